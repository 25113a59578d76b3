"""Removing a container: the answer does not wait for AWS, and nothing is forgotten there."""

from __future__ import annotations

import structlog
import trio

from sockerless_ecs.errors import StoreUnusable
from sockerless_ecs.model.container import Container, Run
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.janitor import Janitor, clean_up_job
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.services.tails import Tails
from sockerless_ecs.services.uploads import Uploads
from sockerless_ecs.store.contract import Delete, Put

_LOG = structlog.get_logger(__name__)
_AGAIN_SECONDS = 1.0


class Remover:
    """Takes containers out of every book at once."""

    def __init__(
        self, *, ledger: Ledger, janitor: Janitor, bus: EventBus, tails: Tails, uploads: Uploads
    ) -> None:
        self._ledger = ledger
        self._janitor = janitor
        self._bus = bus
        self._tails = tails
        self._uploads = uploads

    async def remove(self, live: Live) -> None:
        """Forget the container; what it leaves in AWS becomes a job in the same transaction.

        Harmless when it is gone or going already. Raises `StoreUnusable` with nothing changed. Cancelling
        does not stop it half-way.
        """
        if self._ledger.get(live.id) is not live or live.leaving:
            return
        live.leaving = True
        try:
            with trio.CancelScope(shield=True):
                await self._remove(live)
        except BaseException:
            live.leaving = False
            raise

    async def insist(self, live: Live) -> None:
        """What `--rm` promised: removes the container as soon as the store takes it."""
        while True:
            try:
                return await self.remove(live)
            except StoreUnusable as error:
                _LOG.error("store_refuses", error=str(error), again_in_seconds=_AGAIN_SECONDS)
                await trio.sleep(_AGAIN_SECONDS)

    async def _remove(self, live: Live) -> None:
        record, runs = live.record, self._ledger.runs_of(live.id)
        job = clean_up_job(record.task, f"removed {record.name}")
        await self._ledger.save(
            Delete(Container, record.id),
            *(Delete(Run, run.id) for run in runs),
            *([Put(job)] if job else []),
        )
        self._ledger.forget(live)
        if job:
            self._janitor.add(job)
        for run in runs:
            self._tails.forget(run.id)
        attributes = {**record.config.labels, "image": record.config.image, "name": record.name}
        self._bus.emit("container", "destroy", record.id, attributes)
        live.announce_removal()
        await self._uploads.drop(live.id)
        agent, live.agent = live.agent, None
        if agent is not None:
            await agent.aclose()
