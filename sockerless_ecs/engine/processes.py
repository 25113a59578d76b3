"""What runs in a container, and what it uses."""

from __future__ import annotations

from sockerless_ecs.engine.unbuilt import not_built
from sockerless_ecs.model.usage import ProcessTable, Usage
from sockerless_ecs.services.ledger import Ledger


class Watching:
    """Asks the agents."""

    def __init__(self, *, ledger: Ledger) -> None:
        self._ledger = ledger

    async def top(self, ref: str, ps_args: str = "") -> ProcessTable:
        """Not built."""
        not_built("container top")

    async def usage(self, ref: str) -> Usage | None:
        """Not built."""
        not_built("container stats")
