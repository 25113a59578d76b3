"""Answers that are given again from memory until something changes, without a look at HTTP's finer points."""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Protocol

from sockerless_ecs.telemetry import get_logger, new_request_id

_MOST_BYTES = 32 << 20
_LARGEST_BYTES = 4 << 20
_OVERHEAD_BYTES = 512
"""What an entry costs besides its text."""

_REQUEST = re.compile(
    rb"(GET|HEAD) ([!-~]+) HTTP/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+\r\n"
)
_NOT_PLAIN = re.compile(
    rb"\r\n(?:content-length|transfer-encoding|upgrade|expect|connection:(?![ \t]*keep-alive[ \t]*\r))",
    re.IGNORECASE,
)
_HOST = re.compile(rb"\r\nhost:", re.IGNORECASE)

_LOG = get_logger(__name__)
_LEVEL = logging.getLogger(__name__)


class Revised(Protocol):
    """What says when answers are out of date."""

    @property
    def revision(self) -> int:
        """Rises with every change."""


@dataclass(frozen=True, slots=True)
class _Kept:
    head: bytes
    body: bytes
    until: float


class Hot:
    """Rendered answers by method and target: of one revision, bounded in bytes, the least used go first."""

    def __init__(self, source: Revised) -> None:
        self._source = source
        self._kept: OrderedDict[tuple[bytes, bytes], _Kept] = OrderedDict()
        self._revision = source.revision
        self._bytes = 0
        self._last_request: tuple[bytes, tuple[bytes, bytes]] = (b"", (b"", b""))
        self._date: tuple[int, bytes] = (0, b"")

    @property
    def revision(self) -> int:
        """To be read before an answer is made that is to be kept."""
        return self._source.revision

    def answer(self, request: bytes) -> bytes | None:
        """The whole answer, if `request` is one whole plain request whose answer is kept."""
        if self._source.revision != self._revision:
            self._forget()
        if not self._kept or (key := self._key(request)) is None or (kept := self._kept.get(key)) is None:
            return None
        now = time.monotonic()
        if now >= kept.until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        request_id = new_request_id()
        if _LEVEL.isEnabledFor(logging.DEBUG):
            method, target = (part.decode("ascii") for part in key)
            path = target.partition("?")[0]
            _LOG.debug("request", method=method, path=path, status=200, request_id=request_id, hot=True)
        return b"".join(
            (kept.head, self._today(), b"x-request-id: ", request_id.encode(), b"\r\n\r\n", kept.body)
        )

    def keep(
        self,
        method: str,
        target: bytes,
        headers: Mapping[str, str],
        body: bytes,
        *,
        revision: int,
        seconds: float,
    ) -> None:
        """Keep an answer with status 200 that was made at `revision`, for at most so long."""
        size = len(body) + len(target) + _OVERHEAD_BYTES
        if revision != self._source.revision or size > _LARGEST_BYTES:
            return
        if revision != self._revision:
            self._forget()
        lines = ["HTTP/1.1 200 OK", *(f"{name.lower()}: {value}" for name, value in headers.items()), ""]
        key = method.encode(), target
        self._drop(key)
        shown = b"" if method == "HEAD" else body
        self._kept[key] = _Kept("\r\n".join(lines).encode("latin1"), shown, time.monotonic() + seconds)
        self._bytes += len(shown) + len(target) + _OVERHEAD_BYTES
        while self._bytes > _MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _key(self, request: bytes) -> tuple[bytes, bytes] | None:
        last, key = self._last_request
        if request == last:
            return key
        found = _REQUEST.fullmatch(request)
        if found is None or _NOT_PLAIN.search(request) or len(_HOST.findall(request)) != 1:
            return None
        key = found[1], found[2]
        self._last_request = request, key
        return key

    def _drop(self, key: tuple[bytes, bytes]) -> None:
        if (kept := self._kept.pop(key, None)) is not None:
            self._bytes -= len(kept.body) + len(key[1]) + _OVERHEAD_BYTES

    def _forget(self) -> None:
        self._kept.clear()
        self._bytes = 0
        self._revision = self._source.revision

    def _today(self) -> bytes:
        second, line = self._date
        now = int(time.time())
        if now != second:
            line = f"date: {formatdate(now, usegmt=True)}\r\n".encode()
            self._date = now, line
        return line
