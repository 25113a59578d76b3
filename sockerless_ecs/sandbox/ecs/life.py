"""The life of a task, from PROVISIONING and PENDING over RUNNING to DEPROVISIONING and STOPPED.

What ECS *says* trails what *happens*: processes start and end when they do, the statuses follow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.sandbox.clock import Clock
from sockerless_ecs.sandbox.ecs.launch import CannotStart, Launcher
from sockerless_ecs.sandbox.ecs.table import Table
from sockerless_ecs.sandbox.ecs.task import Task
from sockerless_ecs.sandbox.place import TaskRunner
from sockerless_ecs.sandbox.runner.spec import Event, Exited, RunnerError, Started, Stopped, Warned

_log = structlog.get_logger()

# Parts of the provisioning time after which PENDING is said, and the task gets address and processes.
_PENDING, _PLACED = 0.3, 0.6
_DEPROVISIONING = 0.4
_LAUNCHERS = 4
_STOP_SECONDS = 30
OOM_REASON = "OutOfMemoryError: Container killed due to memory usage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long AWS takes; 0 is as fast as it goes."""

    provision_seconds: float
    stop_seconds: float
    stopped_task_seconds: float
    """How long a STOPPED task can still be described."""


class LogSink(Protocol):
    """The log driver, as tasks see it."""

    def open(self, task: Task) -> None:
        """Follow the task's containers; raises `CannotStart` if their log configuration cannot work."""
        ...

    def close(self, task: Task, done: Callable[[], None]) -> None:
        """Nothing more will be written; `done` is called when everything has been read."""
        ...


class Life:
    """Moves tasks through their lives."""

    def __init__(
        self, *, table: Table, clock: Clock, runner: TaskRunner, launcher: Launcher, logs: LogSink, pace: Pace
    ) -> None:
        self._table = table
        self._clock = clock
        self._runner = runner
        self._launcher = launcher
        self._logs = logs
        self._pace = pace
        self._pool = ThreadPoolExecutor(_LAUNCHERS, thread_name_prefix="launch")

    def begin(self, task: Task) -> None:
        """Start what RunTask promised; returns at once."""
        seconds = self._pace.provision_seconds
        if seconds <= 0:
            self._submit(self._place, task)
            return
        self._clock.after(seconds * _PENDING, partial(self._pend, task))
        self._clock.after(seconds * _PLACED, partial(self._submit, self._place, task))
        self._clock.after(seconds, partial(self._say_running, task))

    def stop(self, task: Task, *, code: str, reason: str) -> None:
        """Ask a task to stop, once; returns at once."""
        with self._table.lock:
            if task.ending:
                return
            _decide(task, code, reason)
            placed, launching = task.placed, "pullStartedAt" in task.times
            if task.status == "RUNNING":
                task.status = "DEACTIVATING"
            task.changed()
        if placed:
            self._submit(self._kill, task)
        elif not launching:
            self._ended(task)

    def listen(self) -> None:
        """Hear what happens to the processes, until the runner ends; with it end all tasks."""
        try:
            self._listen()
        except RunnerError as error:
            _log.error("sandbox_runner_died", reason=error.message)
            for tasks in self._table.everything().values():
                for task in tasks:
                    self._fail(task, error.message, "", code="InfrastructureHealth")

    def _listen(self) -> None:
        for event in self._runner.events():
            try:
                self._hear(event)
            except Exception:  # noqa: BLE001 - a thread's edge: logged, and it goes on
                _log.exception("sandbox_event_failed")

    def close(self) -> None:
        """Start nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, work: Callable[[Task], None], task: Task) -> None:
        with suppress(RuntimeError):  # closed: there is nothing left to run on
            self._pool.submit(work, task)

    def _pend(self, task: Task) -> None:
        with self._table.lock:
            if task.status == "PROVISIONING" and not task.ending:
                task.status = "PENDING"
                task.changed()

    def _place(self, task: Task) -> None:
        """Hand a task to the runner; runs in the pool."""
        with self._table.lock:
            if task.ending:
                return
            task.times["pullStartedAt"] = time.time()
        digests: dict[str, str] = {}
        try:
            self._logs.open(task)
            address = self._launcher.launch(task, digests)
        except CannotStart as error:
            self._fail(task, error.reason, error.container)
        except SockerlessError as error:
            self._fail(task, f"ResourceInitializationError: {error.message}", "")
        except Exception as error:  # noqa: BLE001 - a thread's edge: logged, and the task says so
            _log.exception("sandbox_launch_failed", task=task.id)
            self._fail(task, f"ResourceInitializationError: {error!r}", "")
        else:
            self._settle(task, address, digests)

    def _settle(self, task: Task, address: str, digests: dict[str, str]) -> None:
        """The task has its place: say so, or stop it if that was asked meanwhile."""
        with self._table.lock:
            task.placed = True
            task.address = address
            task.times["pullStoppedAt"] = time.time()
            for container in task.containers:
                container.digest = digests.get(container.name, "")
            if task.status == "PROVISIONING":
                task.status = "PENDING"
            task.changed()
            unwanted = task.ending and task.status != "STOPPED" and "executionStoppedAt" not in task.times
        if unwanted:
            self._kill(task)

    def _fail(self, task: Task, reason: str, container_name: str, code: str = "TaskFailedToStart") -> None:
        with self._table.lock:
            if "executionStoppedAt" in task.times:
                return
            _decide(task, code, reason)
            container = task.container(container_name)
            if container is not None:
                container.reason = reason
            task.changed()
        self._ended(task)

    def _kill(self, task: Task) -> None:
        over = {container.name for container in task.containers if container.status == "STOPPED"}
        patience = [
            definition.get("stopTimeout", _STOP_SECONDS)
            for definition in task.definition.containers
            if definition["name"] not in over
        ]
        self._runner.stop(task.id, kill_after=max(patience, default=0))

    def _hear(self, event: Event) -> None:
        if isinstance(event, Warned):
            _log.warning("sandbox_runner_warning", text=event.text)
            return
        task = self._table.by_id(event.task)
        if task is None:
            return
        match event:
            case Started():
                self._started(task, event)
            case Exited():
                self._exited(task, event)
            case Stopped():
                if event.error:
                    self._fail(task, f"ResourceInitializationError: {event.error}", "")
                else:
                    self._ended(task)

    def _started(self, task: Task, event: Started) -> None:
        with self._table.lock:
            container = task.container(event.container)
            if container is None or container.status == "STOPPED":
                return
            container.status = "RUNNING"
            task.times.setdefault("startedAt", event.at) if container.essential else None
            task.changed()
        if time.time() - task.created_at >= self._pace.provision_seconds:
            self._say_running(task)

    def _say_running(self, task: Task) -> None:
        """RUNNING is said when its time has come and every essential container runs."""
        with self._table.lock:
            ready = all(item.status == "RUNNING" for item in task.containers if item.essential)
            if ready and not task.ending and task.status in ("PROVISIONING", "PENDING", "ACTIVATING"):
                task.status = "RUNNING"
                task.times.setdefault("startedAt", time.time())
                task.times.setdefault("connectivityAt", time.time())
                task.changed()

    def _exited(self, task: Task, event: Exited) -> None:
        with self._table.lock:
            container = task.container(event.container)
            if container is None:
                return
            never_ran = bool(event.error)
            container.status = "STOPPED"
            container.exit_code = event.code
            if event.oom:
                container.reason = OOM_REASON
            elif never_ran:
                container.reason = f"CannotStartContainerError: {event.error}"
            if container.essential and not task.ending:
                if never_ran:
                    _decide(task, "TaskFailedToStart", container.reason)
                else:
                    _decide(task, "EssentialContainerExited", "Essential container in task exited")
                task.status = "DEACTIVATING"
            task.changed()

    def _ended(self, task: Task) -> None:
        """Every process is gone: what is left is what ECS still says about it."""
        with self._table.lock:
            if "executionStoppedAt" in task.times:
                return
            task.times["executionStoppedAt"] = time.time()
            _decide(task, "TaskFailedToStart", _unmet_dependency(task))
            for container in task.containers:
                container.status = "STOPPED"
            task.status = "STOPPING"
            task.changed()
        self._logs.close(task, partial(self._runner.forget, task.id))
        seconds = self._pace.stop_seconds
        if seconds > 0:
            self._clock.after(seconds * _DEPROVISIONING, partial(self._deprovision, task))
        self._clock.after(seconds, partial(self._say_stopped, task))

    def _deprovision(self, task: Task) -> None:
        with self._table.lock:
            task.status = "DEPROVISIONING"
            task.changed()

    def _say_stopped(self, task: Task) -> None:
        with self._table.lock:
            task.status = "STOPPED"
            task.times["stoppedAt"] = time.time()
            task.tags = {}
            task.changed()
        self._clock.after(max(self._pace.stopped_task_seconds, 0.001), partial(self._table.forget, task))


def _decide(task: Task, code: str, reason: str) -> None:
    """The task is to stop, unless that was decided before: the first reason stays."""
    if not task.ending:
        task.desired = "STOPPED"
        task.stop_code, task.stopped_reason = code, reason
        task.times["stoppingAt"] = time.time()


def _unmet_dependency(task: Task) -> str:
    """Why a task ended though no essential container ever started; the container says it too."""
    for definition in task.definition.containers:
        container = task.container(definition["name"])
        if container is None or container.status != "PENDING":
            continue
        for dependency in definition.get("dependsOn", ()):
            other = task.container(dependency["containerName"])
            if other is not None and other.status == "STOPPED":
                container.reason = other.reason or (
                    f"dependency graph: failed to resolve container ordering dependency [{other.name}] "
                    f"for target [{container.name}] as dependency did not exit successfully."
                )
                return container.reason
    return "Task failed to start"
