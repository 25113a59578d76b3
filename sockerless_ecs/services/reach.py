"""Reaching an agent that may not be there yet: short connects that overlap."""

from __future__ import annotations

from collections.abc import Callable

import trio

from sockerless_ecs.agent import AgentClient, AgentUnreachable, WrongAgent

_ATTEMPT_SECONDS = 3.0
"""An address that is not up yet drops packets, and TCP's own retry waits a second: better a new connect."""
_REFUSED_SECONDS, _SILENT_SECONDS = 0.005, 0.25
_AT_ONCE = 12


async def reach(make: Callable[[], AgentClient]) -> AgentClient:
    """The first client whose connect succeeded. Tries until cancelled; a cancellation leaves nothing open."""
    winner: list[AgentClient] = []
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
            while True:
                over = trio.Event()
                await limit.acquire_on_behalf_of(over)
                attempts.start_soon(attempt, over)
                with trio.move_on_after(_SILENT_SECONDS):
                    await over.wait()

        attempts.start_soon(keep_trying)
    return winner[0]
