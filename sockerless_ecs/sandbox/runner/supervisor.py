"""The sandbox's supervisor: orders in, events out, on one socket. When it dies, all it made is gone.

A single thread and no shared memory: forking is safe, and PDEATHSIG means what it says.
"""

# ruff: noqa: PTH208

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sockerless_ecs.sandbox.runner import container, kernel, layers, rootfs, task, vpc
from sockerless_ecs.sandbox.runner.cgroups import Memory
from sockerless_ecs.sandbox.runner.groups import Groups
from sockerless_ecs.sandbox.runner.place import Place, layer_store
from sockerless_ecs.sandbox.runner.spec import Mode, Rule, Task, task_from_wire

MESSAGE_BYTES = 1 << 18
_BROKEN = b"broken:"
_LAYER_LANGUAGE = {Mode.FULL: layers.TRUSTED, Mode.ROOTLESS: layers.USER, Mode.BARE: layers.MARKERS}


@dataclass(slots=True)
class _Running:
    spec: Task
    place: Place
    channel: socket.socket


@dataclass(slots=True)
class _Unpacking:
    request: int
    name: str
    partial: Path
    answer: int


class Supervisor:
    """Owns the tasks. `memory` is where their limits are."""

    def __init__(self, control: socket.socket, state: Path, mode: Mode, memory: Memory) -> None:
        self._control, self._state, self._mode, self._memory = control, state, mode, memory
        self._layers = layer_store(state, mode)
        self._events = selectors.DefaultSelector()
        self._tasks: dict[int, _Running] = {}
        self._unpacking: dict[int, _Unpacking] = {}
        self._broken: dict[socket.socket, str] = {}  # why a task's process failed, until it is reaped
        self._limits: list[str] = []
        self._chroot = mode is not Mode.BARE or kernel.has_capability(kernel.CAP_SYS_CHROOT)
        self._relay: socket.socket | None = None
        self._range = vpc.claim_range(mode)
        if mode is not Mode.BARE:
            self._join_networks()
        self._groups = Groups(self._range, mode, self._tell_relay)
        self._prepare_folders()

    @property
    def gateway(self) -> str:
        """By which tasks reach the machine's loopback."""
        return "127.0.0.1" if self._mode is Mode.BARE else self._range.gateway

    def _prepare_folders(self) -> None:
        for folder in (self._layers, *(self._state / name for name in ("tasks", "root", "logs"))):
            folder.mkdir(parents=True, exist_ok=True)
        if self._mode is not Mode.BARE and kernel.is_overlay(self._state):
            # As inside a container. Overlayfs on overlayfs takes neither upper layers nor whiteouts: RAM,
            # which only our mounts show.
            for folder in (self._layers, self._state / "tasks"):
                kernel.mount("tmpfs", str(folder), "tmpfs", kernel.NODEV)
            self._limits.append(
                "The state folder lies on overlayfs: layers and what tasks write are in memory."
            )
        (self._layers / "empty").mkdir(exist_ok=True)
        if self._mode is Mode.ROOTLESS:
            self._limits += rootfs.prepare_host(self._state)
            if not container.can_mount_proc(self._state / "root"):
                self._limits.append(
                    "Parts of /proc are masked here: containers see all processes of the machine."
                )

    def _join_networks(self) -> None:
        self._relay, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            try:
                kernel.die_with_parent(1)
                keep_only(theirs.fileno())
                # Here, not above: every fork copies what is loaded, and only the relay needs asyncio.
                from sockerless_ecs.sandbox.runner import relay  # noqa: PLC0415

                relay.serve(theirs, self._range.gateway)
            finally:
                os._exit(1)
        theirs.close()
        vpc.build(self._range, self._mode)
        inside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        socket.send_fds(self._relay, [b"."], [inside])
        os.close(inside)

    def _tell_relay(self, **order: object) -> None:
        if self._relay:
            self._relay.send(json.dumps(order).encode())

    def _say(self, **event: object) -> None:
        self._control.sendall(json.dumps({"at": time.time(), **event}).encode())

    def run(self, limits: list[str]) -> None:
        """Serve until the control socket closes. `limits` are those known before."""
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._events.register(self._control, selectors.EVENT_READ, "control")
        self._events.register(wake, selectors.EVENT_READ, "children")
        if self._relay:
            self._events.register(self._relay, selectors.EVENT_READ, "relay")
        machine = {Mode.FULL: self._range.machine, Mode.ROOTLESS: self._range.gateway}.get(
            self._mode, "127.0.0.1"
        )
        told = [*limits, *self._limits, *self._groups.limits]
        self._say(
            event="ready",
            gateway=self.gateway,
            machine=machine,
            prefix=self._range.prefix,
            limits=told,
            chroot=self._chroot,
        )
        while True:
            for key, _ in self._events.select():
                if key.data == "control":
                    if not self._listen():
                        return
                elif key.data == "children":
                    wake.recv(4096)
                    self._reap()
                else:
                    self._forward(key.fileobj)

    def _listen(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 1)
        if not data:
            return False
        order = json.loads(data)
        match order["op"]:
            case "run":
                self._run(order)
            case "stop":
                for running in self._tasks.values():
                    if running.spec.id == order["task"]:
                        self._order(running, order)
            case "unpack":
                self._unpack(order, descriptors[0])
            case _:
                try:
                    self._change_network(order)
                except OSError as error:
                    self._done(order["request"], str(error))
                else:
                    self._settle(order["request"])
        return True

    def _change_network(self, order: dict[str, Any]) -> None:
        match order["op"]:
            case "allow":
                self._groups.allow(Rule(*order["rule"]))
            case "revoke":
                self._groups.revoke(Rule(*order["rule"]))
            case "expose":
                self._tell_relay(expose=order["port"])
            case "name":
                self._tell_relay(name=order["name"], addresses=order["addresses"])

    def _settle(self, request: int) -> None:
        # What was ordered holds once the relay has heard it too; its answer goes the way of all events.
        if self._relay:
            self._tell_relay(settle=request)
        else:
            self._done(request)

    def _done(self, request: int, error: str = "") -> None:
        self._say(event="done", request=request, error=error)

    def _order(self, running: _Running, order: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it has just ended by itself
            running.channel.send(
                json.dumps({"signal": order["signal"], "kill_after": order["kill_after"]}).encode()
            )

    def _forward(self, source: Any) -> None:
        # A channel's messages are events already; its end is seen as the process's end.
        if source.fileno() < 0:  # reaped in the same round
            return
        try:
            data = source.recv(MESSAGE_BYTES)
        except OSError:
            data = b""
        if not data:
            self._events.unregister(source)
        else:
            self._pass_on(source, data)

    def _pass_on(self, source: socket.socket, data: bytes) -> None:
        if data.startswith(_BROKEN):
            self._broken[source] = data.removeprefix(_BROKEN).decode()
        else:
            self._control.sendall(data)

    # --- tasks

    def _run(self, order: dict[str, Any]) -> None:
        spec = task_from_wire(order["task"])
        try:
            self._start(spec, order["address"], order["index"])
        except OSError as error:
            self._clean_up(spec, order["address"])
            self._say(event="stopped", task=spec.id, error=f"the sandbox could not place the task: {error}")

    def _start(self, spec: Task, address: str, index: int) -> None:
        place = Place(
            state=self._state,
            task=spec.id,
            mode=self._mode,
            address=address,
            gateway=self.gateway,
            index=index,
            hostname=spec.hostname or "ip-" + address.replace(".", "-"),
            cgroups=self._memory.make(spec.id, spec.memory_mib),
            chroot=self._chroot,
        )
        place.folder.mkdir()
        self._groups.join(spec.groups, address)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = self._fork_task(spec, place, theirs)
        theirs.close()
        self._events.register(ours, selectors.EVENT_READ, "task")
        self._tasks[child] = _Running(spec, place, ours)
        if self._mode is Mode.ROOTLESS:
            self._tell_relay(listen=address, ports=spec.ports)

    def _fork_task(self, spec: Task, place: Place, channel: socket.socket) -> int:
        home = -1
        if self._mode is not Mode.BARE:
            home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            kernel.unshare(kernel.NEWPID)  # for the next child only
        parent = os.getpid() if self._mode is Mode.BARE else 0
        child = os.fork()
        if child == 0:
            try:
                kernel.die_with_parent(parent)
                if self._mode is Mode.BARE:
                    kernel.adopt_orphans()
                signal.set_wakeup_fd(-1)
                keep_only(channel.fileno())
                task.run(spec, place, channel)
            except BaseException as error:  # noqa: BLE001 - the only way out of a forked child
                channel.send(_BROKEN + f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(0)
        if home >= 0:
            kernel.setns(home, kernel.NEWPID)
            os.close(home)
        return child

    def _reap(self) -> None:
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not process:
                return
            if process in self._tasks:
                self._ended(self._tasks.pop(process), os.waitstatus_to_exitcode(status))
            elif process in self._unpacking:
                self._unpacked(self._unpacking.pop(process))

    def _ended(self, running: _Running, code: int) -> None:
        running.channel.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while data := running.channel.recv(MESSAGE_BYTES):
                self._pass_on(running.channel, data)
        with contextlib.suppress(KeyError):
            self._events.unregister(running.channel)
        error = self._broken.pop(running.channel, f"the task's process died with code {code}" if code else "")
        running.channel.close()
        self._clean_up(running.spec, running.place.address)
        self._say(event="stopped", task=running.spec.id, error=error)

    def _clean_up(self, spec: Task, address: str) -> None:
        try:
            self._groups.leave(spec.groups, address)
        except OSError as error:
            self._say(event="warning", text=f"{address} is still in its security groups: {error}")
        self._memory.remove(spec.id)
        shutil.rmtree(self._state / "tasks" / spec.id, ignore_errors=True)

    # --- layers

    def _unpack(self, order: dict[str, Any], archive: int) -> None:
        name = layers.name_of(order["digest"])
        partial = self._layers / f"{name}.partial"
        if (self._layers / name).is_dir():
            os.close(archive)
            self._done(order["request"])
            return
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            layers.extract(archive, partial, _LAYER_LANGUAGE[self._mode], writing, chroot=self._chroot)
        os.close(archive)
        os.close(writing)
        self._unpacking[child] = _Unpacking(order["request"], name, partial, reading)

    def _unpacked(self, job: _Unpacking) -> None:
        with os.fdopen(job.answer, "rb") as answer:
            error = answer.read().decode()
        if error:
            shutil.rmtree(job.partial, ignore_errors=True)
        else:
            job.partial.rename(job.partial.with_name(job.name))
        self._done(job.request, error)


def keep_only(*wanted: int) -> None:
    """Close every descriptor of a forked process but the standard ones and these."""
    edge = 3
    for descriptor in sorted(wanted):
        os.closerange(edge, descriptor)
        edge = descriptor + 1
    os.closerange(edge, max((int(name) for name in os.listdir("/proc/self/fd")), default=edge) + 1)
