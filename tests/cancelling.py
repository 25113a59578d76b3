"""Cancelling at any step."""

from __future__ import annotations

from typing import Self

import trio


class CancelAt(trio.abc.Instrument):
    """Cancels a scope when the task that makes this takes its n-th step, while it is installed."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self._task = trio.lowlevel.current_task()
        self._scope = scope
        self.left = step
        """Steps to go."""

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self.left -= 1
            if self.left == 0:
                self._scope.cancel()

    def __enter__(self) -> Self:
        trio.lowlevel.add_instrument(self)
        return self

    def __exit__(self, *_: object) -> None:
        trio.lowlevel.remove_instrument(self)
