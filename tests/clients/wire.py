"""The Docker API over plain sockets, for what no client library does: hijack by hand, stall, vanish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import trio

from tests.clients.engines import IMAGE, VERSION


class Wire:
    """One engine's Docker API."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=limits),
            base_url=f"http://docker/{VERSION}",
            timeout=60,
        )

    async def call(self, method: str, path: str, *, body: Any = None, **query: Any) -> Any:
        """One call that must succeed; its JSON, if it has any."""
        answer = await self.http.request(method, path, json=body, params=query)
        assert answer.status_code < httpx.codes.BAD_REQUEST, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    async def create(self, *command: str, **config: Any) -> str:
        """A container of the tests' program."""
        body = {"Image": IMAGE, "Cmd": ["/bin/program", *command], **config}
        return str((await self.call("POST", "/containers/create", body=body))["Id"])

    async def run(self, *command: str, **config: Any) -> str:
        """One that runs."""
        container = await self.create(*command, **config)
        await self.call("POST", f"/containers/{container}/start")
        return container

    async def remove(self, container: str) -> None:
        """Whatever it does."""
        await self.call("DELETE", f"/containers/{container}", force=1)

    async def hijack(self, path: str, body: Any = None) -> trio.SocketStream:
        """The connection of an attach or an exec start, after the head of the answer."""
        connection = trio.socket.socket(trio.socket.AF_UNIX)
        await connection.connect(str(self.socket))
        stream = trio.SocketStream(connection)
        content = json.dumps(body).encode() if body is not None else b""
        head = (
            f"POST /{VERSION}{path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        await stream.send_all(head.encode() + content)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):  # byte by byte: what follows is the stream's
            byte = await stream.receive_some(1)
            assert byte, answer
            answer += byte
        assert answer.startswith(b"HTTP/1.1 101"), answer
        return stream

    async def attach(self, container: str) -> trio.SocketStream:
        """All three streams."""
        return await self.hijack(f"/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1")

    async def exec(self, container: str, *command: str, stdin: bool = False) -> tuple[str, trio.SocketStream]:
        """One more process with its streams: the exec's id and the connection."""
        streams = {"AttachStdin": stdin, "AttachStdout": True, "AttachStderr": True}
        body = {"Cmd": ["/bin/program", *command], **streams}
        exec_id = str((await self.call("POST", f"/containers/{container}/exec", body=body))["Id"])
        return exec_id, await self.hijack(f"/exec/{exec_id}/start", {"Detach": False, "Tty": False})

    async def processes(self, container: str) -> list[str]:
        """The command lines of what runs in a container."""
        return [row[-1] for row in (await self.call("GET", f"/containers/{container}/top"))["Processes"]]


async def contents(stream: trio.SocketStream) -> bytes:
    """What comes until the end, without the frames."""
    data = b"".join([chunk async for chunk in stream])
    found = b""
    while data:
        size = int.from_bytes(data[4:8], "big")
        found, data = found + data[8 : 8 + size], data[8 + size :]
    return found
