"""A client of the internal API over its Unix socket, for the commands."""

from __future__ import annotations

import argparse
import json
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
import trio

from sockerless_ecs.errors import SockerlessError

DEFAULT_SOCKET: Final = "/var/run/sockerless-backend.sock"
_BASE: Final = "http://sockerless/internal/v1"
_CONNECT_SECONDS: Final = 10.0
_FIRST_ERROR_STATUS: Final = 400

T = TypeVar("T")


class DaemonUnreachable(SockerlessError):
    """Nobody answers on the socket, or the answer broke off."""


class ApiError(SockerlessError):
    """The daemon refused; `status` is the HTTP status, the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer on its way."""

    content_type: str
    chunks: AsyncIterator[bytes]

    async def read(self) -> bytes:
        """All of it."""
        return b"".join([chunk async for chunk in self.chunks])


class ApiClient:
    """Calls of the internal API. Every method raises `ApiError` or `DaemonUnreachable`."""

    def __init__(self, http: httpx.AsyncClient, socket: Path) -> None:
        self._http = http
        self._socket = socket

    async def call(self, method: str, path: str, *, body: object = None, **query: str) -> Any:
        """One short call; the decoded JSON answer, None without one."""
        async with self.stream(method, path, body=body, **query) as answer:
            content = await answer.read()
        return json.loads(content) if content else None

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, body: object = None, **query: str
    ) -> AsyncIterator[Answer]:
        """One long answer; entered once the daemon has accepted the request (its headers are here)."""
        with self._told():
            async with self._http.stream(method, _BASE + path, params=query, json=body) as response:
                if response.status_code >= _FIRST_ERROR_STATUS:
                    await response.aread()
                    raise ApiError(response.status_code, _message(response))
                yield Answer(response.headers.get("content-type", ""), response.aiter_raw())

    def _told(self) -> _Told:
        return _Told(self._socket)


class _Told:
    """Turns httpx's failures into ours."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout():
                raise DaemonUnreachable(_why_unreachable(self._socket)) from error
            case httpx.TransportError():
                raise DaemonUnreachable(
                    f"the daemon at {self._socket} ended in the middle of an answer"
                ) from error


def add_socket_argument(parser: argparse.ArgumentParser) -> None:
    """`--socket`, which every client command has."""
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default=os.environ.get("SOCKERLESS_SOCKET") or DEFAULT_SOCKET,
        help=f"the daemon's internal API socket (default: $SOCKERLESS_SOCKET, else {DEFAULT_SOCKET})",
    )


def with_daemon(socket: str, work: Callable[[ApiClient], Awaitable[T]]) -> T:
    """Run `work` with a client of the daemon at `socket`."""

    async def connected() -> T:
        async with open_client(Path(socket)) as client:
            return await work(client)

    return trio.run(connected)


@asynccontextmanager
async def open_client(socket: Path) -> AsyncIterator[ApiClient]:
    """A client; connects with its first call."""
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
    async with httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as http:
        yield ApiClient(http, socket)


def container_path(reference: str, action: str = "") -> str:
    """`/containers/{id}[/action]` with the reference escaped."""
    return f"/containers/{quote(reference, safe='')}{action and '/' + action}"


def _message(response: httpx.Response) -> str:
    try:
        document: Mapping[str, object] = response.json()
        return str(document["message"])
    except (ValueError, KeyError, TypeError):
        return f"the daemon answered with status {response.status_code}"


def _why_unreachable(socket: Path) -> str:
    try:
        mode = socket.stat().st_mode
    except PermissionError:
        return f"no permission to reach {socket}"
    except OSError:
        return (
            f"no daemon at {socket}: start one with 'sockerless-backend-ecs serve', "
            "or name its socket with --socket or SOCKERLESS_SOCKET"
        )
    if not stat.S_ISSOCK(mode):
        return f"{socket} is not a socket"
    if not os.access(socket, os.W_OK):
        return f"no permission to write to {socket}: ask to be put into its group, or run as its owner"
    return f"the daemon at {socket} does not answer: is it running?"
