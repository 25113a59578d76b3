"""Token buckets that keep calls within AWS's rates: a burst queues here instead of failing there."""

from __future__ import annotations

import trio

from sockerless_ecs.aws.operations import Rate

_WHOLE = 1 - 1e-6
"""A token, but for what floating point loses."""


class Budget:
    """One bucket of tokens, on Trio's clock; takers are served in the order they came."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._counted_at: float | None = None
        self._turn = trio.Lock()

    async def take(self) -> None:
        """Wait for a token and spend it. Cancelling while waiting spends nothing."""
        async with self._turn:
            while (tokens := self._refilled()) < _WHOLE:  # noqa: ASYNC110 -- time is what it waits for
                await trio.sleep((1 - tokens) / self._rate.per_second)
            self._tokens -= 1

    def exhaust(self) -> None:
        """AWS said we are too fast: start again from nothing, for everyone who shares the rate."""
        self._tokens = min(self._refilled(), 0.0)

    def _refilled(self) -> float:
        now = trio.current_time()
        if self._counted_at is not None:
            earned = (now - self._counted_at) * self._rate.per_second
            self._tokens = min(self._tokens + earned, float(self._rate.burst))
        self._counted_at = now
        return self._tokens
