"""A container engine over HTTP on a Unix socket: ours or Docker's, which differ in two paths."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
import trio

from tests.bench.frames import Frames

API = "/v1.40"
_BOTH = {"stdout": 1, "stderr": 1}


class Exit(NamedTuple):
    """What a wait answers, and when it did."""

    code: int
    answered_ns: int


@dataclass(frozen=True, slots=True)
class Engine:
    """What the bench does with either; the image's entrypoint is the bench's program."""

    http: httpx.AsyncClient
    socket: Path
    image: str
    is_docker: bool
    network: str = ""
    """The mode that works there; empty = whichever it has."""

    @classmethod
    def ours(cls, socket: Path, image: str) -> Self:
        """The daemon's internal API."""
        return cls(_client(socket, "/internal/v1"), socket, image, is_docker=False)

    @classmethod
    def docker(cls, socket: Path, image: str, network: str = "") -> Self:
        """The Docker Engine API, ours or a local dockerd's."""
        return cls(_client(socket, API), socket, image, is_docker=True, network=network)

    async def create(self, *command: str, **config: Any) -> str:
        """A container of the bench's image, unless `Image` says otherwise; its id."""
        path = "/containers/create" if self.is_docker else "/containers"
        body = {"Image": self.image, "Cmd": command, **config}
        if self.network:
            body["HostConfig"] = {"NetworkMode": self.network, **config.get("HostConfig", {})}
        return str((await self._call("POST", path, json=body)).json()["Id"])

    async def start(self, container: str) -> None:
        """Start it."""
        await self._call("POST", f"/containers/{container}/start")

    async def wait(self, container: str) -> Exit:
        """The exit code, as soon as it can be read: both say it in a line of JSON and then end the answer."""
        async with self.http.stream("POST", f"/containers/{container}/wait") as answer:
            assert answer.status_code == httpx.codes.OK, await answer.aread()
            body, answered_ns = b"", 0
            async for chunk in answer.aiter_raw():
                body += chunk
                if not answered_ns and body.endswith(b"}\n"):
                    answered_ns = time.time_ns()
        return Exit(int(json.loads(body)["StatusCode"]), answered_ns)

    async def inspect(self, container: str) -> dict[str, Any]:
        """Its JSON."""
        suffix = "/json" if self.is_docker else ""
        answer: dict[str, Any] = (await self._call("GET", f"/containers/{container}{suffix}")).json()
        return answer

    async def remove(self, container: str, *, force: bool = False) -> None:
        """Remove it; with force even if it runs."""
        await self._call("DELETE", f"/containers/{container}", params={"force": 1} if force else {})

    async def output(self, container: str) -> bytes:
        """What it has written so far, on both streams."""
        return Frames().feed(await self.framed_output(container))

    async def framed_output(self, container: str) -> bytes:
        """The same in Docker's frames."""
        return (await self._call("GET", f"/containers/{container}/logs", params=_BOTH)).content

    @asynccontextmanager
    async def follow(self, container: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Its output as it comes, in Docker's frames, cut anywhere."""
        path, query = f"/containers/{container}/logs", {**_BOTH, "follow": 1}
        async with self.http.stream("GET", path, params=query) as answer:
            assert answer.status_code == httpx.codes.OK, await answer.aread()
            yield answer.aiter_raw()

    async def exec(self, container: str, *command: str, stdin: bool = False) -> str:
        """One more process, not yet started; its id."""
        body = {
            "Cmd": ["/program", *command],
            "AttachStdin": stdin,
            "AttachStdout": True,
            "AttachStderr": True,
        }
        return str((await self._call("POST", f"/containers/{container}/exec", json=body)).json()["Id"])

    async def exit_code_of(self, exec_id: str) -> int:
        """Of an exec that has ended."""
        return int((await self._call("GET", f"/exec/{exec_id}/json")).json()["ExitCode"])

    async def hijack(self, path: str, body: Any = None) -> trio.SocketStream:
        """The connection of an attach or an exec start, after the head of the answer."""
        stream = trio.SocketStream(trio.socket.socket(trio.socket.AF_UNIX))
        await stream.socket.connect(str(self.socket))
        content = json.dumps(body).encode() if body is not None else b""
        head = f"POST {API}{path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        await stream.send_all(head.encode() + content)
        answer = b""
        while not answer:  # no more than the head is taken: what follows is the stream's
            seen = await stream.socket.recv(1 << 12, trio.socket.MSG_PEEK)
            answer = await stream.receive_some(seen.find(b"\r\n\r\n") + 4) if b"\r\n\r\n" in seen else b""
        assert answer.startswith(b"HTTP/1.1 101"), answer
        return stream

    async def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = await self.http.request(method, path, **more)
        assert answer.status_code < httpx.codes.BAD_REQUEST, f"{method} {path}: {answer.text}"
        return answer


def _client(socket: Path, prefix: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2)
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=limits),
        base_url=f"http://engine{prefix}",
        timeout=None,
    )
