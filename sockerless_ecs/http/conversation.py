"""A client on a connection that was taken over, and a process: bytes both ways until either has ended."""

from __future__ import annotations

import trio

from sockerless_ecs.engine.contract import Streams
from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.http.breakage import Breakage
from sockerless_ecs.http.route import Duplex

_FAREWELL_SECONDS = 1.0
"""How long a client that is gone waits for the process to take what it had sent."""


async def converse(duplex: Duplex, streams: Streams, *, stdin: bool = True) -> None:
    """Carry both directions; returns when all output was sent, or when the client is gone.

    The client's half-close ends standard input, and output goes on. Nothing is kept: who does not read holds
    up who writes. Without `stdin` what the client sends is dropped. A client that is gone has its last bytes
    taken and its input ended, unless the process does not read. Raises Unavailable when the agent was lost,
    which the client is told in the stream.
    """
    all_heard = trio.Event()
    async with trio.open_nursery() as nursery:

        async def part() -> None:
            with trio.move_on_after(_FAREWELL_SECONDS):
                await all_heard.wait()
            nursery.cancel_scope.cancel()

        async def watch() -> None:
            await duplex.gone()
            await part()

        nursery.start_soon(_listen, duplex, streams, stdin, all_heard)
        nursery.start_soon(watch)
        try:
            await _tell(duplex, streams)
        except BrokenPipeError:
            await part()
        nursery.cancel_scope.cancel()


async def _tell(duplex: Duplex, streams: Streams) -> None:
    breakage = Breakage(tty=streams.tty)
    try:
        while data := await streams.receive():
            await duplex.send(data)
            breakage.follow(data)
    except SockerlessError as error:
        await duplex.send(breakage.notice(error.message))
        raise


async def _listen(duplex: Duplex, streams: Streams, stdin: bool, all_heard: trio.Event) -> None:
    while data := await duplex.receive():
        if stdin:
            await streams.send(data)
    if stdin:
        await streams.send_eof()
    all_heard.set()
