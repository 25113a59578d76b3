"""Which containers a client asked for, answered from memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.model import filters as filtering
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.services.ledger import Ledger, Live, now_ns


class Listing:
    """Lists and filters; also the view that a filter needs beyond a record."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def containers(
        self, filters: Filters, *, include_stopped: bool, limit: int | None
    ) -> Sequence[Container]:
        """Newest first; with a limit, the newest whatever their state, as Docker has it."""
        passes = filtering.container_filter(filters, self)
        shown = include_stopped or filtering.includes_stopped(filters) or bool(limit)
        found = [live.record for live in self._ledger if shown or live.record.active]
        found = sorted(filter(passes, found), key=lambda record: record.created_ns, reverse=True)
        return found[:limit] if limit and limit > 0 else found

    def prunable(self, filters: Filters) -> Sequence[Live]:
        """What `prune` may remove: everything that does not run and is not starting."""
        passes = filtering.prune_filter(filters, now_ns())
        stopped = (State.CREATED, State.EXITED, State.DEAD)
        return [
            live
            for live in self._ledger
            if live.record.state in stopped and passes(live.record.config.labels, live.record.created_ns)
        ]

    def image_names(self, image_id: str, /) -> Collection[str]:
        """The full references of an image."""
        return [image.ref for image in self._ledger.images.values() if image.id == image_id]

    def created_ns(self, ref: str, /) -> int:
        """When the container of that id, prefix or name was created; raises NotFound."""
        return self._ledger.find(ref).record.created_ns

    def health(self, container: Container, /) -> str:
        """`none` without a health check, else what it last said."""
        return container.health.status.value if container.health else "none"
