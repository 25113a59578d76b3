"""Work that tells how far it is: it goes on while its lines are read, and ends with who reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from sockerless_ecs.engine.values import PullProgress
from sockerless_ecs.errors import SockerlessError

_AHEAD = 64
_BAR_BYTES = 512 << 10


class Teller:
    """Where work puts its lines. A reader that is slow misses bars, and no other line."""

    def __init__(self, lines: trio.MemorySendChannel[PullProgress]) -> None:
        self._lines = lines

    async def say(self, line: PullProgress) -> None:
        """A line that must be read; waits for room."""
        await self._lines.send(line)

    def bar(self, status: str, short_id: str, total_bytes: int) -> Callable[[int], Awaitable[None]]:
        """What takes how many bytes are done, and shows it now and then."""
        shown = 0

        async def done(current_bytes: int) -> None:
            nonlocal shown
            await trio.lowlevel.checkpoint()
            if current_bytes - shown < _BAR_BYTES and current_bytes < total_bytes:
                return
            shown = current_bytes
            if self._lines.statistics().current_buffer_used < _AHEAD:
                self._lines.send_nowait(
                    PullProgress(
                        status=status,
                        id=short_id,
                        current_bytes=current_bytes,
                        total_bytes=total_bytes,
                        step=True,
                    )
                )

        return done


@asynccontextmanager
async def telling(
    work: Callable[[Teller], Awaitable[None]],
) -> AsyncIterator[AsyncIterator[PullProgress]]:
    """The lines of some work, which is cancelled when this is left before its end.

    Iterating raises the work's `SockerlessError` after the lines that came before it.
    """
    send, receive = trio.open_memory_channel[PullProgress](_AHEAD)
    failures: list[SockerlessError] = []

    async def run() -> None:
        with send:
            try:
                await work(Teller(send))
            except SockerlessError as error:
                failures.append(error)

    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        try:
            yield _Lines(receive, failures)
        except Exception as error:  # noqa: BLE001 - taken past the nursery, which would wrap it
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Lines:
    """What was told, and then the failure."""

    def __init__(
        self, told: trio.MemoryReceiveChannel[PullProgress], failures: Sequence[SockerlessError]
    ) -> None:
        self._told = told
        self._failures = failures

    def __aiter__(self) -> _Lines:
        return self

    async def __anext__(self) -> PullProgress:
        try:
            return await self._told.receive()
        except trio.EndOfChannel:
            if self._failures:
                raise self._failures[0] from None
            raise StopAsyncIteration from None
