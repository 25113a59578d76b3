"""One task: the process that is PID 1 above its containers and decides which may start and which must end."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sockerless_ecs.sandbox.runner import bare, cgroups, launch, vpc
from sockerless_ecs.sandbox.runner.container import ETC_FILES
from sockerless_ecs.sandbox.runner.place import Place
from sockerless_ecs.sandbox.runner.spec import Condition, Container, Mode, Task

_ORDER_BYTES = 1 << 12
_SIGKILL_CODE = 137


class _State(Enum):
    WAITING = auto()
    STARTING = auto()
    RUNNING = auto()
    EXITED = auto()
    NEVER = auto()  # the task ended before its turn


_ALIVE = frozenset({_State.STARTING, _State.RUNNING})


@dataclass(slots=True)
class _Run:
    spec: Container
    state: _State = _State.WAITING
    pid: int = 0
    answer: int = -1
    problem: str = ""
    code: int = 0
    kills_before: int = 0
    kill_at: float | None = None


def run(task: Task, place: Place, channel: socket.socket) -> None:
    """Body of the task's process: returns when all of its containers have ended and its folder is gone."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if place.mode is not Mode.BARE:
        vpc.attach(place)
    _write_files(task, place)
    cgroups.enter(place.cgroups)
    _Loop(task, place, channel).run()
    if place.mode is Mode.BARE:
        bare.kill_all_below()
    shutil.rmtree(place.folder, ignore_errors=True)


def _write_files(task: Task, place: Place) -> None:
    place.logs.mkdir(parents=True, exist_ok=True)
    for name, path in task.volumes.items():
        if path is None:
            (place.folder / "volumes" / name).mkdir(parents=True)
    contents = {
        "hosts": f"127.0.0.1 localhost\n::1 localhost ip6-loopback\n{place.address} {place.hostname}\n",
        "hostname": f"{place.hostname}\n",
        "resolv.conf": f"nameserver {place.gateway}\n",
    }
    for name in ETC_FILES:
        (place.folder / name).write_text(contents[name])


class _Loop:
    def __init__(self, task: Task, place: Place, channel: socket.socket) -> None:
        self._task, self._place, self._channel = task, place, channel
        self._runs = {container.name: _Run(container) for container in task.containers}
        self._stopping = False
        self._events = selectors.DefaultSelector()
        self._wake, waker = socket.socketpair()
        for end in (self._wake, waker):
            end.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._events.register(self._wake, selectors.EVENT_READ, "children")
        self._events.register(channel, selectors.EVENT_READ, "orders")

    def run(self) -> None:
        while True:
            self._start_what_may()
            if not any(run.state in _ALIVE for run in self._runs.values()):
                return
            for key, _ in self._events.select(self._next_deadline()):
                match key.data:
                    case "children":
                        self._wake.recv(4096)
                    case "orders":
                        self._obey()
                    case _Run() as run:
                        self._hear(run)
            self._reap()
            self._kill_the_late()

    def _say(self, **event: Any) -> None:
        self._channel.send(json.dumps({"task": self._task.id, "at": time.time(), **event}).encode())

    # --- starting

    def _start_what_may(self) -> None:
        changed = True
        while changed:
            changed = False
            for run in self._runs.values():
                if run.state is _State.WAITING:
                    changed |= self._start_or_give_up(run)

    def _start_or_give_up(self, run: _Run) -> bool:
        if self._stopping or self._hopeless(run):
            run.state = _State.NEVER
            self._stop_all()
            return True
        if all(self._satisfied(other, condition) for other, condition in run.spec.depends_on):
            self._start(run)
        return False

    def _satisfied(self, name: str, condition: Condition) -> bool:
        other = self._runs[name]
        match condition:
            case Condition.START:
                return other.state is _State.RUNNING or (other.state is _State.EXITED and not other.problem)
            case Condition.COMPLETE:
                return other.state is _State.EXITED
            case _:
                return other.state is _State.EXITED and other.code == 0

    def _hopeless(self, run: _Run) -> bool:
        over = (_State.EXITED, _State.NEVER)
        return any(
            self._runs[name].state in over and not self._satisfied(name, condition)
            for name, condition in run.spec.depends_on
        )

    def _start(self, run: _Run) -> None:
        run.kills_before = cgroups.oom_kills(self._place.cgroups)
        run.pid, run.answer = launch.start(self._place, self._task, run.spec)
        run.state = _State.STARTING
        self._events.register(run.answer, selectors.EVENT_READ, run)

    def _hear(self, run: _Run) -> None:
        # The pipe closes at exec; what was written before is why there was none.
        if run.answer < 0:
            return
        self._events.unregister(run.answer)
        with os.fdopen(run.answer, "rb") as answer:
            message = answer.read()
        run.answer = -1
        if message:
            report = json.loads(message)
            run.problem, run.code = report["error"], report["code"]
            return
        run.state = _State.RUNNING
        self._say(event="started", container=run.spec.name)

    # --- ending

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for run in self._runs.values():
                if run.pid == pid and run.state in _ALIVE:
                    self._ended(run, os.waitstatus_to_exitcode(status))

    def _ended(self, run: _Run, code: int) -> None:
        self._hear(run)
        if self._place.mode is Mode.BARE:
            bare.kill_session(run.pid)
            bare.take_volumes_back(self._place, self._task, run.spec)
        if not run.problem:
            run.code = 128 - code if code < 0 else code
        run.state = _State.EXITED
        oom = run.code == _SIGKILL_CODE and cgroups.oom_kills(self._place.cgroups) > run.kills_before
        self._say(event="exited", container=run.spec.name, code=run.code, oom=oom, error=run.problem)
        if run.spec.essential:
            self._stop_all()

    def _stop_all(self, number: int = signal.SIGTERM, kill_after: float | None = None) -> None:
        self._stopping = True
        now = time.monotonic()
        for run in self._runs.values():
            if run.state not in _ALIVE:
                continue
            seconds = run.spec.stop_seconds if kill_after is None else kill_after
            run.kill_at = min(run.kill_at or now + seconds, now + seconds)
            # What does not run yet cannot be asked: nothing listens, and it would start after all.
            os.kill(run.pid, number if run.state is _State.RUNNING else signal.SIGKILL)

    def _obey(self) -> None:
        data = self._channel.recv(_ORDER_BYTES)
        if not data:  # the supervisor is gone
            self._events.unregister(self._channel)
            self._stop_all(signal.SIGKILL, 0)
            return
        order = json.loads(data)
        self._stop_all(order["signal"], order["kill_after"])

    def _next_deadline(self) -> float | None:
        deadlines = [
            run.kill_at for run in self._runs.values() if run.state in _ALIVE and run.kill_at is not None
        ]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _kill_the_late(self) -> None:
        for run in self._runs.values():
            if run.state in _ALIVE and run.kill_at is not None and run.kill_at <= time.monotonic():
                run.kill_at = None
                os.kill(run.pid, signal.SIGKILL)
