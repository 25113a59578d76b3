"""One container's output on its way from its spool to its stream: seen, bounded, made into events."""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections import deque
from contextlib import AbstractContextManager
from operator import itemgetter

from sockerless_ecs.sandbox.logs.spool import Spool
from sockerless_ecs.sandbox.logs.store import Block, Stream, notice, now_ms

_LONGEST_LINE = 256 * 1024 - 26
_SLICE = 128 << 10
_MOST_MARKS = 8192
_FREED_AT_ONCE = 1 << 20
_EMPTY_LINES = re.compile(rb"\n{2,}")


class Output:
    """Reads a spool into a stream, in slices. `turn`, which no other output needs, is held for one slice."""

    def __init__(
        self, spool: Spool, stream: Stream, store_lock: AbstractContextManager[bool], *, most_bytes: int
    ) -> None:
        self.stream = stream
        self._spool = spool
        self._store_lock = store_lock
        self._most_bytes = most_bytes
        self._turn = threading.Lock()
        self._marks: deque[tuple[float, int]] = deque()
        """When the file was seen to have this size, for what is not read yet."""
        self._marks_apart = 0.05
        self._seen = self._read = self._dropped = 0
        self._tail = b""
        self._last = self.over = False

    def look(self, now: float, *, last: bool) -> None:
        """Remember the size and drop what is too much; after the `last` time the file is not needed."""
        with self._turn:
            size = self._spool.size()
            if size > self._seen:
                self._seen = size
                self._marks.append((now, size))
                self._thin_marks()
            self._bound()
            if last and not self._last:
                self._last = True
                self._spool.keep(self._read, self._seen)
                self._end_if_read()

    def ready(self, due: float) -> int:
        """How far `advance` may read now: what was seen by `due`, or all of it when half of the room is full.

        The driver of AWS, too, sends a batch that is full before its time. So somebody who reads what is
        written faster than it may be seen finds the end of it rather than nothing.
        """
        with self._turn:
            if self._seen - self._read > self._most_bytes // 2:
                return self._seen
            count = bisect_right(self._marks, due, key=itemgetter(0))
            return self._marks[count - 1][1] if count else self._read

    def advance(self, end: int, until: int | None) -> bool:
        """Make events of the next slice before `end`; False when there is none.

        Nor is more read than up to the event of the number `until`.
        """
        with self._turn:
            enough = until is not None and self.stream.events.end >= until
            if enough or self._read >= end or not self._marks:
                self._end_if_read()
                return False
            seen_at, size = self._marks[0]
            data = self._spool.read(self._read, min(_SLICE, size - self._read))
            self._read = self._read + len(data) if data else size
            if self._read >= size:
                self._marks.popleft()
            self._emit(data, int(seen_at * 1000))
            self._end_if_read()
            return True

    def _bound(self) -> None:
        excess = self._seen - self._read - self._most_bytes
        if excess > 0:
            self._skip(self._read + excess)
        if self._read < _FREED_AT_ONCE or self._last or self._spool.free(self._read, _FREED_AT_ONCE):
            return
        if self._seen - self._spool.base > 2 * self._most_bytes:  # a file system that cannot free a part
            self._skip(self._spool.restart())

    def _skip(self, position: int) -> None:
        """Read on from there, or from the next line soon after."""
        ahead = self._spool.read(position, min(_SLICE, max(self._seen - position, 0)))
        position += ahead.find(b"\n") + 1
        self._dropped += position - self._read + len(self._tail)
        self._tail = b""
        self._read, self._seen = position, max(position, self._seen)
        while self._marks and self._marks[0][1] <= position:
            self._marks.popleft()

    def _thin_marks(self) -> None:
        """One mark for a longer while, if it goes on and on and nobody reads."""
        while len(self._marks) > _MOST_MARKS:
            self._marks_apart *= 2
            kept = {mark[0] // self._marks_apart: mark for mark in self._marks}
            self._marks = deque(kept.values())

    def _end_if_read(self) -> None:
        if not self._last or self._marks or self.over:
            return
        self._spool.drop()
        self.over = True
        tail, self._tail = self._tail, b""
        self._emit_lines(tail, now_ms())

    def _emit(self, data: bytes, timestamp: int) -> None:
        lines, newline, self._tail = (self._tail + data).rpartition(b"\n")
        if newline:
            self._emit_lines(lines, timestamp)
        while len(self._tail) >= _LONGEST_LINE:
            self._emit_lines(self._tail[:_LONGEST_LINE], timestamp)
            self._tail = self._tail[_LONGEST_LINE:]

    def _emit_lines(self, lines: bytes, timestamp: int) -> None:
        """Lines become events; empty ones vanish, long ones are split, as awslogs does."""
        if len(lines) > _LONGEST_LINE:
            lines = b"\n".join(
                line[start : start + _LONGEST_LINE]
                for line in lines.split(b"\n")
                for start in range(0, len(line), _LONGEST_LINE)
            )
        lines = _EMPTY_LINES.sub(b"\n", lines).strip(b"\n")
        blocks = []
        if self._dropped:
            text = f"dropped {self._dropped} bytes of output here: nobody read them in time"
            blocks.append(notice(timestamp, text))
            self._dropped = 0
        if lines:
            blocks.append(Block(timestamp, now_ms(), lines, lines.count(b"\n") + 1))
        with self._store_lock:
            for block in blocks:
                self.stream.events.append(block)
