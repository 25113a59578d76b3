"""The Go frontend's side of the wire, to the byte."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import quote, urlencode

from tests.http.wire import Address, Whole, Wire

BASE = "/internal/v1"


def path_escape(name: str) -> str:
    """Go's url.PathEscape."""
    return quote(name, safe=":@+=&$~!*'()")


def target(path: str, query: dict[str, str] | None = None) -> str:
    """Go's Values.Encode: sorted, a space is a plus; empty values are not sent."""
    wanted = sorted((key, value) for key, value in (query or {}).items() if value)
    return BASE + path + (f"?{urlencode(wanted)}" if wanted else "")


class Frontend:
    """One pooled connection for ordinary calls, and one of its own for every long one."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pooled: Wire

    async def __aenter__(self) -> Self:
        self._pooled = await Wire.to(self._address)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._pooled.__aexit__(*exc)

    async def call(
        self, method: str, path: str, query: dict[str, str] | None = None, body: Any = None
    ) -> Whole:
        """An ordinary call; a POST without a body says that its nothing is JSON."""
        raw = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        return await self._pooled.ask(method, target(path, query), raw)

    async def long(self, method: str, path: str, query: dict[str, str] | None = None) -> Wire:
        """A call whose answer takes its time; the head has not been read."""
        wire = await Wire.to(self._address)
        await wire.send(method, target(path, query))
        return wire

    @asynccontextmanager
    async def upgrade(self, path: str, body: Any = None) -> AsyncIterator[Wire]:
        """Attach or exec start: a connection of its own, in the frontend's own words; no head was read."""
        host = f"{self._address.host}:{self._address.port}"
        head = f"POST {BASE}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        raw = b""
        if body is not None:
            raw = json.dumps(body, separators=(",", ":")).encode()
            head += f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n"
        async with await Wire.to(self._address) as wire:
            await wire.stream.send_all(head.encode() + b"\r\n")
            if raw:
                await wire.stream.send_all(raw)
            yield wire

    async def refused(self, path: str, body: Any = None) -> Whole:
        """The answer to an upgrade that is an ordinary one."""
        async with self.upgrade(path, body) as wire:
            return await wire.answer()

    async def tar(
        self, method: str, path: str, query: dict[str, str] | None = None, raw: bytes = bytes(1024)
    ) -> Whole:
        """A raw body: always x-tar, always chunked."""
        async with await Wire.to(self._address) as wire:
            head = ("Content-Type: application/x-tar", "Transfer-Encoding: chunked")
            await wire.send(method, target(path, query), None, *head)
            await wire.stream.send_all(b"%x\r\n" % len(raw) + raw + b"\r\n0\r\n\r\n")
            return await wire.answer()
