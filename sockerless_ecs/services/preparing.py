"""Tasks without a process: a container that has not started gets a place, so that it has files."""

from __future__ import annotations

import structlog
import trio

from sockerless_ecs.errors import NotFound, SockerlessError, Unavailable
from sockerless_ecs.services.janitor import Janitor, clean_up_job
from sockerless_ecs.services.launch import Launch
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.services.placing import Placing
from sockerless_ecs.services.uploads import Uploads
from sockerless_ecs.store.contract import Put

_LOG = structlog.get_logger(__name__)


class Preparer:
    """Owns every preparation in flight; a start that comes meanwhile waits for it and uses its task.

    A task that was prepared ends by itself when nothing is started in it (`agent.start_timeout_seconds`).
    """

    def __init__(
        self, *, jobs: trio.Nursery, ledger: Ledger, placing: Placing, janitor: Janitor, uploads: Uploads
    ) -> None:
        self._jobs = jobs
        self._ledger = ledger
        self._placing = placing
        self._janitor = janitor
        self._uploads = uploads
        self._in_flight: dict[str, Launch] = {}

    def in_flight(self, live: Live) -> Launch | None:
        """The preparation under way, if there is one."""
        return self._in_flight.get(live.id)

    def begin(self, live: Live) -> Launch:
        """Make a task for the container, in place of one whose agent is out of reach.

        Not async: no cancellation can fall between what is decided here and the job that follows it up.
        """
        left = live.record.task
        live.become(task=None)
        return self._prepare(live, Launch(left=left))

    def resume(self, live: Live) -> Launch:
        """Meet the agent of the task that a daemon before us has prepared, or was preparing."""
        return self._prepare(live, Launch(adopted=True))

    async def forget(self, live: Live) -> None:
        """Whatever became of the RunTask that a daemon before us sent: the container goes without it."""
        await self._clear(live, "the daemon ended before it knew the task")

    async def abort(self, live: Live) -> None:
        """End the preparation under way, if any: its task is stopped by the janitor."""
        if launch := self._in_flight.get(live.id):
            launch.scope.cancel()
            await launch.settled.wait()

    def _prepare(self, live: Live, launch: Launch) -> Launch:
        self._in_flight[live.id] = launch
        self._jobs.start_soon(self._run, live, launch, name=f"prepare {live.id[:12]}")
        return launch

    async def _run(self, live: Live, launch: Launch) -> None:
        # What it is settled with unless something else is found: the drain has cancelled it.
        error: SockerlessError | None = Unavailable(
            "the daemon is shutting down: try again with the next one"
        )
        failed = True
        try:
            with launch.scope:
                if launch.left is not None:
                    await self._placing.give_back(live, launch.left, "its agent is out of reach")
                await self._uploads.deliver(live, await self._placing.agent(live))
                if self._ledger.get(live.id) is not live or live.leaving:
                    raise NotFound(f"No such container: {live.id}")
                error, failed = None, False
            if launch.scope.cancelled_caught:
                error = Unavailable("the container was removed while a task was made for it")
        except SockerlessError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - a job's edge
            _LOG.exception("preparation_broke", container_id=live.id)
            error = SockerlessError(f"preparing failed inside the daemon: {failure!r}")
        except BaseException:
            failed = False  # the next daemon goes on with it
            raise
        finally:
            if failed and error is not None:
                with trio.CancelScope(shield=True):
                    await self._failed(live, error)
            del self._in_flight[live.id]
            launch.settle(error)

    async def _failed(self, live: Live, error: SockerlessError) -> None:
        """Nothing stays behind in AWS; the container is as it was."""
        _LOG.warning(
            "preparation_failed",
            container_id=live.id,
            error=str(error),
            aws_request_ids=error.request_ids,
        )
        await self._clear(live, f"preparing failed: {error.message}")

    async def _clear(self, live: Live, reason: str) -> None:
        task, agent, live.agent = live.record.task, live.agent, None
        job = clean_up_job(task, reason)
        await self._ledger.insist(Put(live.become(task=None)), *([Put(job)] if job else []))
        if job:
            self._janitor.add(job)
        if agent is not None:
            await agent.aclose()
