"""A runner with somebody who listens to it, and the image that tests run."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sockerless_ecs.sandbox.runner.client import (
    Container,
    Event,
    Exited,
    Runner,
    RunnerError,
    Started,
    Stopped,
    Task,
)

PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Result:
    """How a task went."""

    events: tuple[Event, ...]
    logs: Mapping[str, str]

    @property
    def exits(self) -> dict[str, Exited]:
        return {event.container: event for event in self.events if isinstance(event, Exited)}

    @property
    def codes(self) -> dict[str, int]:
        return {name: event.code for name, event in self.exits.items()}

    @property
    def log(self) -> str:
        return self.logs["main"]

    @property
    def stopped(self) -> Stopped:
        return next(event for event in self.events if isinstance(event, Stopped))


@dataclass
class Box:
    """Runs tasks and remembers every event."""

    runner: Runner
    tool: tuple[str, ...]
    """Layers of an image with nothing but /tool."""
    heard: list[Event] = field(default_factory=list)
    died: str = ""

    def __post_init__(self) -> None:
        self._news = threading.Condition()
        self._number = 0
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        try:
            for event in self.runner.events():
                with self._news:
                    self.heard.append(event)
                    self._news.notify_all()
        except RunnerError as error:
            with self._news:
                self.died = str(error)
                self._news.notify_all()

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Until the condition holds, looking again at each event."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._news:
            while not (answer := condition()):
                if self.died or not self._news.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{what}: {self.died} heard {self.heard[-5:]}")
        return answer

    def of(self, task_id: str) -> tuple[Event, ...]:
        return tuple(event for event in self.heard if getattr(event, "task", None) == task_id)

    def new_id(self) -> str:
        self._number += 1
        return f"task-{self._number}-{time.monotonic_ns()}"

    def container(self, *argv: str, name: str = "main", **fields: Any) -> Container:
        """A container of the tool's image: `argv` are the tool's words."""
        return Container(name, fields.pop("layers", self.tool), ("/tool", *argv), **fields)

    def start(self, *containers: Container, **fields: Any) -> tuple[str, str]:
        """A task and its address, once all of its containers have started or it has stopped."""
        task = Task(fields.pop("id", self.new_id()), containers, **fields)
        address = self.runner.run(task)
        self.wait(
            lambda: (
                len({e.container for e in self.of(task.id) if isinstance(e, Started)}) == len(containers)
                or any(isinstance(e, Stopped) for e in self.of(task.id))
            ),
            f"{task.id} starts",
        )
        return task.id, address

    def ended(self, task_id: str) -> Result:
        """Wait for a task's end."""
        self.wait(lambda: any(isinstance(e, Stopped) for e in self.of(task_id)), f"{task_id} stops")
        events = self.of(task_id)
        names = {event.container for event in events if isinstance(event, Started | Exited)}
        logs = {name: self.runner.log_path(task_id, name).read_text() for name in names}
        return Result(events, logs)

    def finish(self, *containers: Container, **fields: Any) -> Result:
        """Run a task to its end."""
        task = Task(fields.pop("id", self.new_id()), containers, **fields)
        self.runner.run(task)
        return self.ended(task.id)

    def print(self, *argv: str, **fields: Any) -> str:
        """What the tool prints."""
        task_fields = {key: fields.pop(key) for key in ("groups", "volumes", "memory_mib") if key in fields}
        return self.finish(self.container(*argv, **fields), **task_fields).log

    def wait_for_line(self, task_id: str, line: str, container: str = "main") -> None:
        """Until a container has printed a line."""
        path, deadline = self.runner.log_path(task_id, container), time.monotonic() + PATIENCE_SECONDS
        while line not in (path.read_text().splitlines() if path.exists() else ()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{line!r} in {path}")
            time.sleep(0.005)

    def close(self) -> None:
        self.runner.close()
        self._listener.join(PATIENCE_SECONDS)


Entry = tuple[str, dict[str, Any], bytes]


def archive(folder: Path, *entries: Entry) -> tuple[Path, str]:
    """A layer from (name, TarInfo fields, content), and its digest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, fields, content in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o755, len(content)
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    data = gzip.compress(buffer.getvalue(), 1, mtime=0)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    path = folder / f"{digest.removeprefix('sha256:')}.tar.gz"
    path.write_bytes(data)
    return path, digest
