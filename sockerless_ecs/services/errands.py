"""What is seen through although the client that asked for it may be gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from sockerless_ecs.errors import Unavailable


async def see_through(nursery: trio.Nursery, work: Callable[[], Awaitable[None]], name: str) -> None:
    """Do `work` in the nursery and raise what it raises. Cancelling only stops the waiting.

    Raises Unavailable when the nursery ends first.
    """
    over = trio.Event()
    outcome: list[Exception | None] = []

    async def run() -> None:
        try:
            await work()
            outcome.append(None)
        except Exception as error:  # noqa: BLE001 - raised where it was asked for
            outcome.append(error)
        finally:
            over.set()

    nursery.start_soon(run, name=name)
    await over.wait()
    if not outcome:
        raise Unavailable("the daemon is shutting down")
    if outcome[0] is not None:
        raise outcome[0]
