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

from tests.bench.frames import Frames

_BOTH = {"stdout": 1, "stderr": 1}


class Exit(NamedTuple):
    """What a wait answers, and when it did."""

    code: int
    answered_ns: int


@dataclass(frozen=True, slots=True)
class Engine:
    """What the bench does with either; the image's entrypoint is the bench's program."""

    http: httpx.AsyncClient
    image: str
    is_docker: bool

    @classmethod
    def ours(cls, socket: Path, image: str) -> Self:
        """The daemon's internal API."""
        return cls(_client(socket, "/internal/v1"), image, is_docker=False)

    @classmethod
    def docker(cls, socket: Path, image: str) -> Self:
        """The Docker Engine API."""
        return cls(_client(socket, "/v1.40"), image, is_docker=True)

    async def create(self, *command: str, **config: Any) -> str:
        """A container of the bench's image, unless `Image` says otherwise; its id."""
        path = "/containers/create" if self.is_docker else "/containers"
        body = {"Image": self.image, "Cmd": command, **config}
        if self.is_docker:
            body["HostConfig"] = {"NetworkMode": "none", **config.get("HostConfig", {})}
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
