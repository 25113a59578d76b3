"""The awslogs driver: containers append bytes to spool files, their lines become log events later.

Only the sizes of the spools are looked at, and remembered with the time; lines are made of the bytes when
somebody reads the stream. So the driver does not slow down what is being measured.
"""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from sockerless_ecs.sandbox.ecs.launch import CannotStart
from sockerless_ecs.sandbox.ecs.task import Task
from sockerless_ecs.sandbox.logs.store import LogEvent, LogStore, Stream, now_ms
from sockerless_ecs.sandbox.place import TaskRunner
from sockerless_ecs.sandbox.wire.call import AwsError

_log = structlog.get_logger()

_LONGEST_LINE = 256 * 1024 - 26
_TICKS_PER_DELAY, _SLOWEST_TICK, _FASTEST_TICK = 4, 0.5, 0.02
_CHUNK = 4 << 20
_MOST_MARKS = 512


@dataclass(slots=True)
class _Spool:
    """One container's output and how far it has been read."""

    path: Path
    stream: Stream
    marks: deque[tuple[float, int]] = field(default_factory=deque)
    """When the file was seen to have this size, for what is not read yet."""
    seen: int = 0
    read: int = 0
    tail: bytes = b""
    kept: io.BytesIO | None = None
    """What had not been read when the task was over."""


@dataclass(slots=True)
class _Followed:
    """A task's spools; `done` once its processes are gone."""

    spools: list[_Spool]
    done: Callable[[], None] | None = None


class AwsLogs:
    """Follows the spools of tasks; a line can be read `delay_seconds` after it was written."""

    def __init__(self, store: LogStore, runner: TaskRunner, *, delay_seconds: float) -> None:
        self._store = store
        self._runner = runner
        self._delay_seconds = delay_seconds
        self._tick_seconds = min(_SLOWEST_TICK, max(_FASTEST_TICK, delay_seconds / _TICKS_PER_DELAY))
        self._tasks: dict[str, _Followed] = {}
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._work = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="awslogs", daemon=True)
        self._thread.start()

    def open(self, task: Task) -> None:
        """Make the task's streams and follow its spools; raises `CannotStart` without a log group."""
        spools = [
            self._spool(task, definition)
            for definition in task.definition.containers
            if (definition.get("logConfiguration") or {}).get("logDriver") == "awslogs"
        ]
        with self._lock:
            self._tasks[task.id] = _Followed(spools)
        self._work.set()

    def close(self, task: Task, done: Callable[[], None]) -> None:
        """Take over what the spools hold, then call `done`."""
        with self._lock:
            followed = self._tasks.setdefault(task.id, _Followed([]))
            followed.done = done
        self._work.set()

    def stop(self) -> None:
        """Follow nothing more."""
        self._ends.set()
        self._work.set()
        self._thread.join()

    def _spool(self, task: Task, definition: dict[str, Any]) -> _Spool:
        spool = _Spool(self._runner.log_path(task.id, definition["name"]), self._stream(task, definition))
        spool.stream.catch_up = partial(self._parse_due, spool)
        return spool

    def _stream(self, task: Task, definition: dict[str, Any]) -> Stream:
        options = definition["logConfiguration"]["options"]
        group = options["awslogs-group"]
        name = f"{options['awslogs-stream-prefix']}/{definition['name']}/{task.id}"
        with self._store.lock:
            if group not in self._store.groups and options.get("awslogs-create-group") == "true":
                self._store.create_group(group, {})
            try:
                return self._store.create_stream(group, name)
            except AwsError as error:
                raise CannotStart(
                    "ResourceInitializationError: failed to validate logger args: create stream has been "
                    f"retried 1 times: failed to create Cloudwatch log stream: {error}",
                    definition["name"],
                ) from error

    def _follow(self) -> None:
        while not self._ends.is_set():
            with self._lock:
                followed = list(self._tasks.items())
            if not followed:
                self._work.clear()
                if not self._tasks and not self._ends.is_set():
                    self._work.wait()
                continue
            for task_id, task in followed:
                try:
                    if self._advance(task):
                        with self._lock:
                            del self._tasks[task_id]
                        task.done() if task.done else None
                except Exception:  # noqa: BLE001 - a thread's edge: logged, and it goes on
                    _log.exception("sandbox_logs_failed", task=task_id)
            self._ends.wait(self._tick_seconds)

    def _advance(self, task: _Followed) -> bool:
        """Look at a task's spools; True when it is over and what they held is in memory."""
        over = task.done is not None
        now = time.time()
        for spool in task.spools:
            self._look(spool, now)
            if over:
                self._take_over(spool)
            elif len(spool.marks) > _MOST_MARKS:
                self._parse_due(spool)
        return over

    def _take_over(self, spool: _Spool) -> None:
        """Keep the bytes that nobody has read yet: the file is about to go."""
        with self._store.lock, suppress(FileNotFoundError), spool.path.open("rb") as file:
            file.seek(spool.read)
            spool.kept = io.BytesIO(file.read(spool.seen - spool.read))
            if not spool.marks:
                self._finish(spool)

    def _parse_due(self, spool: _Spool) -> None:
        """Make events of everything whose time has come."""
        due = time.time() - self._delay_seconds
        with self._store.lock:
            while spool.marks and spool.marks[0][0] <= due:
                self._parse(spool, *spool.marks.popleft())
            if spool.kept is not None and not spool.marks:
                self._finish(spool)

    def _finish(self, spool: _Spool) -> None:
        spool.stream.catch_up = _nothing
        if spool.tail:
            self._emit(spool, [spool.tail], time.time())
            spool.tail = b""

    def _look(self, spool: _Spool, now: float) -> None:
        try:
            size = spool.path.stat().st_size
        except FileNotFoundError:
            return
        if size > spool.seen:
            spool.seen = size
            spool.marks.append((now, size))

    def _parse(self, spool: _Spool, seen_at: float, size: int) -> None:
        if spool.kept is not None:
            self._parse_from(spool.kept, spool, seen_at, size)
            return
        with spool.path.open("rb") as file:
            file.seek(spool.read)
            self._parse_from(file, spool, seen_at, size)

    def _parse_from(self, file: BinaryIO, spool: _Spool, seen_at: float, size: int) -> None:
        while spool.read < size:
            data = file.read(min(_CHUNK, size - spool.read))
            if not data:
                return
            spool.read += len(data)
            *lines, spool.tail = (spool.tail + data).split(b"\n")
            self._emit(spool, lines, seen_at)
            while len(spool.tail) >= _LONGEST_LINE:
                self._emit(spool, [spool.tail[:_LONGEST_LINE]], seen_at)
                spool.tail = spool.tail[_LONGEST_LINE:]

    def _emit(self, spool: _Spool, lines: list[bytes], seen_at: float) -> None:
        """Lines become events; empty ones vanish, long ones are split, as awslogs does."""
        timestamp, ingested = int(seen_at * 1000), now_ms()
        events = [
            LogEvent(timestamp, line[start : start + _LONGEST_LINE].decode(errors="replace"), ingested)
            for line in lines
            if line
            for start in range(0, len(line), _LONGEST_LINE)
        ]
        spool.stream.append(events)


def _nothing() -> None:
    """A stream without a spool has nothing to catch up with."""
