"""TCP between the machine and the tasks' network, in user space: no ip_forward, no NAT table, no rights.

Out: the tasks' network redirects to us whatever leaves it; only exposed ports of the machine's loopback pass.
In (rootless): addresses of 127/8 listen for tasks, and admit the machine where the tasks' groups do.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from sockerless_ecs.sandbox.runner import kernel, names
from sockerless_ecs.sandbox.runner.vpc import RELAY_PORT

_ORIGINAL_DESTINATION = 80
_IP_FREEBIND = 15
_MESSAGE_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 18
_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """Lives in the machine's network; threads of its own make sockets in the tasks' network."""

    def __init__(self, control: socket.socket, gateway: str, inside: int) -> None:
        self._control, self._gateway, self._inside = control, gateway, inside
        self._exposed: set[int] = set()
        self._admitted: dict[str, list[tuple[int, int]]] = {}
        self._listeners: dict[str, list[asyncio.Server]] = {}
        self._names = names.Names()
        self._closed = asyncio.Event()
        self._busy: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Relay until the supervisor goes away."""
        listener = self._socket_inside()
        listener.bind(("0.0.0.0", RELAY_PORT))  # noqa: S104 - in the tasks' own network
        server = await asyncio.start_server(self._outward, sock=listener, backlog=1024)
        questions = self._socket_inside(socket.SOCK_DGRAM)
        questions.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)  # each task's link has it, once there are tasks
        questions.bind((self._gateway, names.PORT))
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self._names, sock=questions)
        self._control.setblocking(False)
        loop.add_reader(self._control.fileno(), self._obey)
        await self._closed.wait()
        server.close()

    def _obey(self) -> None:
        try:
            data = self._control.recv(_MESSAGE_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._closed.set()
            return
        match json.loads(data):
            case {"expose": port}:
                self._exposed.add(port)
            case {"settle": request}:
                self._control.send(json.dumps({"event": "done", "request": request, "error": ""}).encode())
            case {"name": name, "addresses": addresses}:
                self._names.tell(name, tuple(addresses))
            case {"admit": admitted}:
                self._admitted.update(admitted)
            case {"listen": address, "ports": ports}:
                self._spawn(self._listen(address, ports))
            case {"forget": address}:
                self._admitted.pop(address, None)
                for server in self._listeners.pop(address, ()):
                    server.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    def _socket_inside(self, kind: int = socket.SOCK_STREAM) -> socket.socket:
        # A socket belongs to the network its thread was in when it was made. The thread ends: none returns.
        made: list[socket.socket] = []

        def make() -> None:
            kernel.setns(self._inside, kernel.NEWNET)
            made.append(socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        made[0].setblocking(False)
        return made[0]

    async def _outward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        original = writer.get_extra_info("socket").getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, 16)
        port, packed = struct.unpack_from("!2xH4s", original)
        if socket.inet_ntoa(packed) != self._gateway or port not in self._exposed:
            _refuse(writer)
            return
        try:
            far = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            _refuse(writer)
            return
        await _join((reader, writer), far)

    async def _listen(self, address: str, ports: list[int]) -> None:
        for port in ports:
            try:
                server = await asyncio.start_server(self._inward(address, port), address, port, backlog=256)
            except OSError as error:
                text = f"port {port} of a task cannot be reached from the machine: {error.strerror}"
                self._control.send(json.dumps({"event": "warning", "text": text}).encode())
                continue
            self._listeners.setdefault(address, []).append(server)

    def _inward(self, address: str, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not any(low <= port <= high for low, high in self._admitted.get(address, ())):
                _refuse(writer)
                return
            near = self._socket_inside()
            try:
                await asyncio.get_running_loop().sock_connect(near, (address, port))
                far = await asyncio.open_connection(sock=near)
            except OSError:
                near.close()
                _refuse(writer)
                return
            await _join((reader, writer), far)

        return connected


def _refuse(writer: asyncio.StreamWriter) -> None:
    # A reset, not an end: nobody shall take it for an answer.
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _join(one: _Stream, other: _Stream) -> None:
    await asyncio.gather(_pump(one[0], other[1]), _pump(other[0], one[1]))
    one[1].close()
    other[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()


def serve(control: socket.socket, gateway: str) -> None:
    """Body of the relay process; waits for the tasks' network to exist."""
    _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
    if descriptors:
        asyncio.run(_relay(control, gateway, descriptors[0]))
    os._exit(0)


async def _relay(control: socket.socket, gateway: str, inside: int) -> None:
    await Relay(control, gateway, inside).run()
