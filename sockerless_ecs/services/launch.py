"""The outcome of one start, or of one preparation: shared by every request that waits for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.model.container import Task


@dataclass(slots=True)
class Launch:
    """Settled once, by the job that brings it about."""

    ran_before: bool = False
    left: Task | None = None
    """The task of the run before, when it cannot be used again."""
    adopted: bool = False
    """It is a preparation with the task of a daemon before us: if that is gone, another one will do."""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    settled: trio.Event = field(default_factory=trio.Event)
    error: SockerlessError | None = None

    def settle(self, error: SockerlessError | None = None) -> None:
        """Let everybody know."""
        self.error = error
        self.settled.set()

    async def outcome(self) -> None:
        """Return once it has succeeded; raises why it does not. Cancelling only stops the waiting."""
        await self.settled.wait()
        if self.error is not None:
            raise self.error
