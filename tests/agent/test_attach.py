"""Attached clients: what they get of a run's output, and what the process gets of their input."""

from __future__ import annotations

import struct

import trio

from sockerless_ecs.agent import AgentStreams, StartRequest
from tests.agent.conftest import StartAgent


async def received(streams: AgentStreams) -> bytes:
    """Everything up to the proper end."""
    data = bytearray()
    with trio.fail_after(30):
        while some := await streams.receive():
            data += some
    return bytes(data)


def unframed(data: bytes) -> tuple[bytes, bytes]:
    """Standard output and standard error."""
    found = {1: bytearray(), 2: bytearray()}
    while data:
        stream, size = struct.unpack(">BxxxI", data[:8])
        found[stream] += data[8 : 8 + size]
        data = data[8 + size :]
    return bytes(found[1]), bytes(found[2])


async def test_client_that_came_before_the_run_gets_its_first_byte(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.attach("r1", after=0) as streams:
        await task.client.start(StartRequest(run="r1", argv=("sh", "-c", "echo out; echo err >&2; exit 3")))
        assert (streams.position, streams.pid) == (0, 0)
        assert unframed(await received(streams)) == (b"out\n", b"err\n")
        assert await streams.receive() == b""
