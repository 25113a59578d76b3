"""The awslogs driver: containers append bytes to spool files, their lines become log events later.

Only the sizes of the spools are looked at, and remembered with the time; lines are made of the bytes when
somebody reads the stream. So the driver does not slow down what is being measured. What nobody reads is
bounded: beyond that the oldest output is dropped, as awslogs does it in its non-blocking mode.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from sockerless_ecs.sandbox.ecs.launch import CannotStart
from sockerless_ecs.sandbox.ecs.task import Task
from sockerless_ecs.sandbox.logs.output import Output
from sockerless_ecs.sandbox.logs.spool import Spool
from sockerless_ecs.sandbox.logs.store import LogStore, Stream
from sockerless_ecs.sandbox.place import TaskRunner
from sockerless_ecs.sandbox.wire.call import AwsError

_log = structlog.get_logger()

_TICKS_PER_DELAY, _SLOWEST_TICK, _FASTEST_TICK = 4, 0.5, 0.02


@dataclass(slots=True)
class _Followed:
    """A task's output; `done` is called once its processes are gone."""

    outputs: list[Output]
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
        outputs = [
            self._output(task, definition)
            for definition in task.definition.containers
            if (definition.get("logConfiguration") or {}).get("logDriver") == "awslogs"
        ]
        with self._lock:
            self._tasks[task.id] = _Followed(outputs)
        self._work.set()

    def close(self, task: Task, done: Callable[[], None]) -> None:
        """Take over what the spools hold, then call `done`."""
        with self._lock:
            followed = self._tasks.setdefault(task.id, _Followed([]))
            followed.done = done
        self._work.set()

    def stop(self) -> None:
        """Follow nothing more; output that is not read yet is lost."""
        self._ends.set()
        self._work.set()
        self._thread.join()

    def _output(self, task: Task, definition: dict[str, Any]) -> Output:
        stream = self._stream(task, definition)
        spool = Spool(self._runner.log_path(task.id, definition["name"]))
        output = Output(spool, stream, self._store.lock, most_bytes=self._store.most_bytes)
        stream.catch_up = partial(self._catch_up, output)
        return output

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

    def _catch_up(self, output: Output, until: int | None) -> None:
        """Make events of everything whose time has come, or of as much as is asked for."""
        end = output.ready(time.time() - self._delay_seconds)
        while not self._ends.is_set() and output.advance(end, until):
            time.sleep(0)  # whoever waits for the interpreter or for this output is let in between
        if output.over:
            output.stream.catch_up = _nothing

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
                    if self._look(task):
                        with self._lock:
                            del self._tasks[task_id]
                        task.done() if task.done else None
                except Exception:  # noqa: BLE001 - a thread's edge: logged, and it goes on
                    _log.exception("sandbox_logs_failed", task=task_id)
            self._ends.wait(self._tick_seconds)

    def _look(self, task: _Followed) -> bool:
        """Look at a task's spools; True when it is over and what they held is taken over."""
        over = task.done is not None
        for output in task.outputs:
            output.look(time.time(), last=over)
        return over


def _nothing(_until: int | None) -> None:
    """A stream without a spool has nothing to catch up with."""
