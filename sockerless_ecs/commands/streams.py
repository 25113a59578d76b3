"""A container's output on its way to our own stdout and stderr, byte for byte."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import trio

from sockerless_ecs.commands.client import Answer

_HEADER: Final = 8
_TERMINAL: Final = "application/vnd.docker.raw-stream"
"""The output of a container with a terminal: one stream, no frames."""
_STDERR_FRAME: Final = 2
_STDOUT, _STDERR = 1, 2


class FrameReader:
    """Docker's multiplexed stream: 8 bytes of header (stream, length), then the payload."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """Whole frames so far, as (1 stdout | 2 stderr, payload)."""
        self._pending += chunk
        start = 0
        while len(self._pending) - start >= _HEADER:
            end = start + _HEADER + int.from_bytes(self._pending[start + 4 : start + _HEADER])
            if end > len(self._pending):
                break
            yield self._pending[start], bytes(self._pending[start + _HEADER : end])
            start = end
        del self._pending[:start]


async def copy_output(answer: Answer) -> None:
    """Write an answer of logs to stdout and stderr until it ends; raises `BrokenPipeError`."""
    reader = FrameReader()
    framed = answer.content_type != _TERMINAL
    async for chunk in answer.chunks:
        for descriptor, data in _joined(reader.feed(chunk)) if framed else ((_STDOUT, chunk),):
            # In a thread: a terminal that is held up must not keep signals from being forwarded.
            await trio.to_thread.run_sync(_write, descriptor, data, abandon_on_cancel=True)


def _joined(frames: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Neighbouring frames of one stream as one write: a chunk can hold a thousand lines."""
    current, parts = _STDOUT, list[bytes]()
    for stream, payload in frames:
        descriptor = _STDERR if stream == _STDERR_FRAME else _STDOUT
        if descriptor != current and parts:
            yield current, b"".join(parts)
            parts.clear()
        current = descriptor
        parts.append(payload)
    if parts:
        yield current, b"".join(parts)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
