"""What may pass by itself is tried again, a few times and not for long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import trio

from sockerless_ecs.errors import Unavailable

_T = TypeVar("_T")


class Transient(Exception):
    """It failed in a way that may pass."""

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how long apart."""

    attempts: int = 4
    first_seconds: float = 0.25
    longest_seconds: float = 8.0

    async def call(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        """The first answer; raises `Unavailable` when every attempt was `Transient`."""
        for number in range(self.attempts):
            try:
                return await attempt()
            except Transient as error:
                wait = self.first_seconds * 2**number if error.wait_seconds is None else error.wait_seconds
                if number + 1 == self.attempts or wait > self.longest_seconds:
                    raise Unavailable(str(error)) from error
                await trio.sleep(wait)
        raise AssertionError("at least one attempt")
