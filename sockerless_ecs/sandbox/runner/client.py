"""The runner's door: starts the supervisor, gives orders, tells what happens. Thread-safe."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.sandbox.runner.layers import name_of
from sockerless_ecs.sandbox.runner.place import layer_store
from sockerless_ecs.sandbox.runner.spec import (
    HOST,
    Condition,
    Container,
    Event,
    Exited,
    Mode,
    Mount,
    RunnerError,
    Started,
    Stopped,
    Task,
    Ulimit,
    Warned,
    check,
    task_to_wire,
)

__all__ = [
    "HOST",
    "Condition",
    "Container",
    "Event",
    "Exited",
    "Mode",
    "Mount",
    "Runner",
    "RunnerError",
    "Started",
    "Stopped",
    "Task",
    "Ulimit",
    "Warned",
]

_MESSAGE_BYTES = 1 << 18
_LAST_PORT = 65_535
_DIED = "the sandbox's supervisor has died, and all tasks with it"
_FIRST_INDEX, _LAST_INDEX = 10, 65_000
_PACKAGE_PARENT = Path(__file__).resolve().parents[3]
_CODE = (
    f"import sys; sys.path.insert(0, {str(_PACKAGE_PARENT)!r}); "
    "from sockerless_ecs.sandbox.runner.boot import main; main()"
)


class Runner:
    """A supervisor process and all that it runs; closing it, or dying, ends everything.

    `mode` None takes the best that works. `user` gives up root for that user first (rootless and bare).
    Raises `RunnerError` saying why a demanded mode is impossible, or why no mode is.
    """

    def __init__(self, state: Path, *, mode: Mode | None = None, user: int | None = None) -> None:
        self._state = state.resolve()
        self._state.mkdir(parents=True, exist_ok=True)
        if user is not None:
            os.chown(self._state, user, user)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._closed = self._dead = False
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._addresses: dict[str, int] = {}
        self._indexes = itertools.cycle(range(_FIRST_INDEX, _LAST_INDEX))
        self._running: set[str] = set()
        self._requests = itertools.count()
        self._answers: dict[int, queue.SimpleQueue[str]] = {}
        self._unpacking: dict[str, threading.Lock] = {}
        ready = self._start(mode, user)
        self.gateway: str = ready["gateway"]
        self.machine: str = ready["machine"]
        self.limits: tuple[str, ...] = (*self._reasons, *ready["limits"])
        self._prefix: str = ready["prefix"]
        self._reader = threading.Thread(target=self._read, name="sandbox-runner", daemon=True)
        self._reader.start()

    def _start(self, mode: Mode | None, user: int | None) -> dict[str, Any]:
        self._reasons: list[str] = []
        for candidate in (mode,) if mode else Mode:
            answer = self._spawn(candidate, user)
            if answer.get("event") == "ready":
                self.mode: Mode = candidate
                return answer
            reason = answer.get("error") or "the supervisor died"
            self._reasons.append(f"{candidate.capitalize()} mode is impossible here: {reason}.")
        raise RunnerError(" ".join(self._reasons))

    def _spawn(self, mode: Mode, user: int | None) -> dict[str, Any]:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._socket, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        arguments = [str(self._state), str(theirs.fileno()), mode.value, "" if user is None else str(user)]
        self._process = subprocess.Popen(
            # Isolated and without site packages: a fork copies what is loaded.
            [sys.executable, "-ISc", _CODE, *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C on the terminal is for the daemon
        )
        theirs.close()
        data = self._socket.recv(_MESSAGE_BYTES)
        answer: dict[str, Any] = json.loads(data) if data else {}
        if answer.get("event") != "ready":
            self._socket.close()
            self._process.wait()
        return answer

    def _send(self, descriptors: list[int] | None = None, **order: object) -> None:
        data = json.dumps(order).encode()
        with (
            self._sending
        ):  # never the other lock: the reader takes it, and must go on for orders to be taken
            if self._dead:
                raise RunnerError(_DIED)
            try:
                socket.send_fds(self._socket, [data], descriptors or [])
            except OSError as error:
                raise RunnerError(
                    f"the sandbox's supervisor does not take orders: {error.strerror}"
                ) from error

    def _ask(self, descriptors: list[int] | None = None, /, **order: object) -> str:
        """Give an order and wait until it is carried out; what it says is what went wrong."""
        request, answer = next(self._requests), queue.SimpleQueue[str]()
        with self._lock:
            self._answers[request] = answer
        try:
            self._send(descriptors, request=request, **order)
            error = answer.get()
        finally:
            with self._lock:
                del self._answers[request]
        if error == _DIED:
            raise RunnerError(error)
        return error

    def _demand(self, **order: object) -> None:
        if error := self._ask(**order):
            raise RunnerError(f"the sandbox's network could not be changed: {error}")

    # --- orders

    def unpack(self, archive: Path, digest: str) -> str:
        """The layer name of this archive, unpacked once per digest. Raises `RunnerError` if it cannot be."""
        name = name_of(digest)
        with self._lock:
            turn = self._unpacking.setdefault(name, threading.Lock())
        with turn:
            if (layer_store(self._state, self.mode) / name).is_dir():
                return name
            with archive.open("rb") as file:
                error = self._ask([file.fileno()], op="unpack", digest=digest)
            if error:
                raise RunnerError(f"layer {digest} cannot be unpacked: {error}")
            return name

    def address(self, task_id: str) -> str:
        """The address that a task has or will have; kept until it has stopped."""
        with self._lock:
            return self._address(task_id)

    def _address(self, task_id: str) -> str:
        if task_id not in self._addresses:
            taken = set(self._addresses.values())
            self._addresses[task_id] = next(index for index in self._indexes if index not in taken)
        index = self._addresses[task_id]
        return f"{self._prefix}.{index >> 8}.{index & 255}"

    def run(self, task: Task) -> str:
        """Start a task and return its address at once; what becomes of it comes as events.

        Raises `InvalidParameter` or `Unimplemented` for a task that cannot be run.
        """
        check(task)
        with self._lock:
            if task.id in self._running:
                raise InvalidParameter(f"task {task.id} is running already")
            self._running.add(task.id)
            address, index = self._address(task.id), self._addresses[task.id]
        try:
            self._send(op="run", task=task_to_wire(task), address=address, index=index)
        except RunnerError:
            with self._lock:
                self._running.discard(task.id)
            raise
        return address

    def stop(self, task_id: str, *, signal: int = signal.SIGTERM, kill_after: float | None = None) -> None:
        """Send `signal` to all containers of a task, and SIGKILL after `kill_after` seconds.

        None is each container's own `stop_seconds`. A task that is not there is stopped already.
        """
        self._send(op="stop", task=task_id, signal=int(signal), kill_after=kill_after)

    def allow(
        self, source: str, target: str, port_from: int = 0, port_to: int = 65535, protocol: str = "tcp"
    ) -> None:
        """Let a group, or an IPv4 range, reach the members of `target`. Nothing is allowed without a rule."""
        self._demand(op="allow", rule=_rule(source, target, port_from, port_to, protocol))

    def revoke(
        self, source: str, target: str, port_from: int = 0, port_to: int = 65535, protocol: str = "tcp"
    ) -> None:
        """Take back exactly what `allow` was told."""
        self._demand(op="revoke", rule=_rule(source, target, port_from, port_to, protocol))

    def expose(self, port: int) -> None:
        """Let tasks reach this TCP port of the machine's loopback, as `gateway`:port."""
        self._demand(op="expose", port=port)

    def name(self, name: str, addresses: Sequence[str]) -> None:
        """Let the tasks' resolver answer a name with these addresses; with none it does not exist."""
        self._demand(op="name", name=name, addresses=list(addresses))

    def log_path(self, task_id: str, container: str) -> Path:
        """The spool of a container's output: append-only, there until `forget`."""
        return self._state / "logs" / task_id / container

    def forget(self, task_id: str) -> None:
        """Delete the spools of a stopped task."""
        shutil.rmtree(self._state / "logs" / task_id, ignore_errors=True)

    # --- events

    def events(self) -> Iterator[Event]:
        """What happens, in order, to one reader, until `close`; `RunnerError` if the supervisor died."""
        while (event := self._events.get()) is not None:
            yield event
        self._events.put(None)  # for whoever asks again
        if not self._closed:
            raise RunnerError(_DIED)

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(_MESSAGE_BYTES)
            except OSError:
                data = b""
            if not data:
                break
            self._hear(json.loads(data))
        with self._lock:
            self._dead = True
            for answer in self._answers.values():
                answer.put(_DIED)
        self._events.put(None)

    def _hear(self, message: dict[str, Any]) -> None:
        match message:
            case {"event": "done", "request": request, "error": error}:
                self._answers[request].put(error)
            case {"event": "started", "task": task, "container": container, "at": at}:
                self._events.put(Started(task, container, at))
            case {"event": "exited", "task": task, "container": container, "code": code, "at": at}:
                self._events.put(Exited(task, container, code, message["oom"], message["error"], at))
            case {"event": "stopped", "task": task, "error": error, "at": at}:
                with self._lock:
                    self._addresses.pop(task, None)
                    self._running.discard(task)
                self._events.put(Stopped(task, error, at))
            case {"event": "warning", "text": text}:
                self._events.put(Warned(text, message.get("at", 0.0)))

    def close(self) -> None:
        """End every task and the supervisor; returns when nothing of them is left."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._process.wait()
        self._reader.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _rule(source: str, target: str, port_from: int, port_to: int, protocol: str) -> list[object]:
    if protocol not in ("tcp", "udp", "icmp", "-1"):
        raise InvalidParameter(f"protocol {protocol} is not one of tcp, udp, icmp, -1")
    if protocol in ("icmp", "-1"):
        port_from, port_to = 0, _LAST_PORT
    if not 0 <= port_from <= port_to <= _LAST_PORT:
        raise InvalidParameter(f"ports {port_from} to {port_to} are none")
    if source[:1].isdigit():
        try:
            source = str(ipaddress.IPv4Network(source, strict=False))
        except ValueError as error:
            raise InvalidParameter(f"{source} is not an IPv4 range") from error
    return [source, target, port_from, port_to, protocol]
