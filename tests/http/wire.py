"""A client of raw bytes: what goes over the wire is what the test says, and the answer is taken apart."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import trio
from trio_websocket import WebSocketConnection, wrap_client_stream


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Head:
    """The first part of an answer."""

    status: int
    headers: dict[str, str]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The message of a failure, whose shape is checked on the way."""
        assert self.headers["content-type"] == "application/json"
        assert list(self.json) == ["message"]
        return str(self.json["message"])


@asynccontextmanager
async def web_socket(address: Address, resource: str) -> AsyncIterator[WebSocketConnection]:
    """A WebSocket whose TCP connection is surely closed at the end, whoever said farewell first."""
    stream = await trio.open_tcp_stream(address.host, address.port)
    async with stream, trio.open_nursery() as nursery:
        yield await wrap_client_stream(nursery, stream, f"{address.host}:{address.port}", resource)
        nursery.cancel_scope.cancel()


class Wire:
    """One connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._buffer = b""
        self._chunked = False
        self._method = ""

    @classmethod
    async def to(cls, address: Address) -> Self:
        return cls(await trio.open_tcp_stream(address.host, address.port))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await trio.aclose_forcefully(self.stream)

    async def send(self, method: str, target: str, body: bytes | None = b"", *headers: str) -> None:
        """As the Go frontend sends it: JSON type and a length even when there is no body."""
        self._method = method
        lines = [
            f"{method} {target} HTTP/1.1",
            "Host: 127.0.0.1:1",
            "User-Agent: Go-http-client/1.1",
            *headers,
        ]
        if body is not None and method not in ("GET", "HEAD", "DELETE"):
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        await self.stream.send_all("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    async def ask(self, method: str, target: str, body: object = b"", *headers: str) -> Whole:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.send(method, target, raw, *headers)
        return await self.answer()

    async def answer(self) -> Whole:
        head = await self.head()
        if self._chunked:
            body = b"".join([chunk async for chunk in self._chunks()])
        elif self._method == "HEAD" or head.status in (204, 304):
            body = b""
        else:
            body = await self.take(int(head.headers["content-length"]))
        return Whole(head.status, head.headers, body)

    async def head(self) -> Head:
        while b"\r\n\r\n" not in self._buffer:
            await self._more()
        raw, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = raw.decode("latin1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value.strip()
        self._chunked = headers.get("transfer-encoding") == "chunked"
        _, status, reason = first.split(" ", 2)
        return Head(int(status), headers, reason)

    async def chunk(self) -> bytes:
        """The next piece of a streamed body; empty at its end."""
        while b"\r\n" not in self._buffer:
            await self._more()
        size, _, self._buffer = self._buffer.partition(b"\r\n")
        data = await self.take(int(size, 16))
        assert await self.take(2) == b"\r\n"
        return data

    async def _chunks(self) -> Any:
        while data := await self.chunk():
            yield data

    async def ended(self) -> bytes:
        """All that comes until the server closes."""
        while True:
            try:
                await self._more()
            except EOFError:
                return self._buffer

    async def takes(self, expected: bytes) -> bool:
        return await self.take(len(expected)) == expected

    async def take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    async def _more(self) -> None:
        try:
            data = await self.stream.receive_some(1 << 16)
        except trio.BrokenResourceError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        self._buffer += data
