"""Reading a process's streams in tests."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import trio

from sockerless_ecs.agent import AgentEvent, AgentStreams
from tests.agent.conftest import AgentTask


async def received(streams: AgentStreams) -> bytes:
    """Everything up to the proper end."""
    data = bytearray()
    with trio.fail_after(20):
        while some := await streams.receive():
            data += some
    return bytes(data)


async def received_until(streams: AgentStreams, wanted: bytes) -> bytes:
    """What came up to the moment in which `wanted` was in it."""
    data = b""
    with trio.fail_after(20):
        while wanted not in data:
            some = await streams.receive()
            assert some, data
            data += some
    return data


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The stream and the payload of each frame."""
    start = 0
    while start < len(data):
        stream, size = struct.unpack_from(">BxxxI", data, start)
        yield stream, data[start + 8 : start + 8 + size]
        start += 8 + size


def unframed(data: bytes) -> tuple[bytes, bytes]:
    """Standard output and standard error."""
    found = list(frames(data))
    return b"".join(d for s, d in found if s == 1), b"".join(d for s, d in found if s == 2)


async def event(task: AgentTask, kind: str, exec_id: str = "") -> AgentEvent:
    """The first event of a kind, of an exec if it is given; waits for it."""
    with trio.fail_after(20):
        async with task.client.events() as events:
            async for found in events:
                if found.type == kind and found.exec == exec_id:
                    return found
    raise AssertionError("the agent went away")


def agent_pid(task: AgentTask) -> int:
    """Unshare's child, where the agent is PID 1; a plain agent is its own."""
    pid = task.process.pid
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text()) if name == "unshare" else pid


def descriptors(task: AgentTask) -> list[str]:
    """What the agent has open, sockets of the spare connection and others alike."""
    found = []
    for descriptor in Path(f"/proc/{agent_pid(task)}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()).partition(":")[0])
    return sorted(found)
