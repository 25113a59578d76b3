"""Reaching an agent that may not be there yet: short connects that overlap."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from sockerless_ecs.agent import AgentClient, AgentUnreachable, WrongAgent

_ATTEMPT_SECONDS = 3.0
"""An address that is not up yet drops packets, and TCP's own retry waits a second: better a new connect."""
_REFUSED_SECONDS = 0.005
_FIRST_SILENT_SECONDS, _SILENT_SECONDS, _MORE_PATIENCE = 0.02, 0.25, 1.5
"""How long a connect may be silent before the next one: a network is up in milliseconds, or in seconds."""
_AT_ONCE = 20


async def reach_unless(
    make: Callable[[], AgentClient], given_up: Callable[[], Awaitable[None]]
) -> AgentClient | None:
    """The first client whose connect succeeded, None when `given_up` returned before there was one.

    A cancellation leaves nothing open.
    """
    winner: list[AgentClient] = []
    async with _kept_only_if_returned(winner), trio.open_nursery() as race:

        async def give_up() -> None:
            await given_up()
            race.cancel_scope.cancel()

        race.start_soon(give_up)
        await _reach(make, winner)
        race.cancel_scope.cancel()
    return winner[0] if winner else None


@asynccontextmanager
async def _kept_only_if_returned(winner: list[AgentClient]) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        with trio.CancelScope(shield=True):
            for client in winner:
                await client.aclose()
        raise


async def _reach(make: Callable[[], AgentClient], winner: list[AgentClient]) -> None:
    limit = trio.CapacityLimiter(_AT_ONCE)
    async with trio.open_nursery() as attempts:

        async def attempt(over: trio.Event) -> None:
            client = make()
            kept = False
            try:
                with trio.move_on_after(_ATTEMPT_SECONDS):
                    await client.connect()
                    if not winner:
                        winner.append(client)
                        kept = True
                        attempts.cancel_scope.cancel()
            except (AgentUnreachable, WrongAgent):
                # Refused: it will listen in a moment. Somebody else's: the address has just changed hands.
                await trio.sleep(_REFUSED_SECONDS)
            finally:
                if not kept:
                    with trio.CancelScope(shield=True):
                        await client.aclose()
                limit.release_on_behalf_of(over)
                over.set()

        async def keep_trying() -> None:
            silent_seconds = _FIRST_SILENT_SECONDS
            while True:
                over = trio.Event()
                await limit.acquire_on_behalf_of(over)
                attempts.start_soon(attempt, over)
                with trio.move_on_after(silent_seconds) as patience:
                    await over.wait()
                if patience.cancelled_caught:
                    silent_seconds = min(_SILENT_SECONDS, silent_seconds * _MORE_PATIENCE)

        attempts.start_soon(keep_trying)
