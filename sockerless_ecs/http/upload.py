"""A request's body on its way to its handler, no faster than it is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

import trio
from werkzeug.exceptions import RequestEntityTooLarge

from sockerless_ecs.errors import InvalidParameter

CUT_SHORT = "sockerless.cut_short"
"""The message that tells of a client which ended half-way through a body."""

_REST_BYTES = 256 * 1024
_REST_SECONDS = 0.5


class Upload:
    """The body of one request. Iterate over it once, or `read` it; InvalidParameter when it is cut short.

    `invite`, of a client that holds its body back till then, is called before the first piece is waited for.
    """

    def __init__(
        self, receive: Callable[[], Awaitable[Any]], invite: Callable[[], Awaitable[None]] | None
    ) -> None:
        self._receive = receive
        self._invite = invite
        self._piece: bytes | None = None
        self._news: trio.Event | None = None
        self._taken: trio.Event | None = None
        self._ended = self._left = False
        self._fault = ""

    @classmethod
    def empty(cls) -> Self:
        """No body at all."""
        upload = cls(trio.sleep_forever, None)
        upload._end()
        return upload

    async def watch(self) -> None:
        """Pass the body on as it is read; returns when the client has gone."""
        while True:
            message = await self._receive()
            if message["type"] == "http.request":
                await self._pass_on(message["body"])
                if not message["more_body"]:
                    self._end()
            elif message["type"] == CUT_SHORT:
                self._end(message["reason"])
            else:
                return

    async def settle(self) -> None:
        """Before the answer: let a short rest that is on its way pass by, so that its client can go on."""
        if self._invite is None:
            with trio.move_on_after(_REST_SECONDS), suppress(InvalidParameter, RequestEntityTooLarge):
                await self.read(_REST_BYTES)
        self.leave()

    def leave(self) -> None:
        """Nobody reads it any more: what still comes is dropped."""
        self._left = True
        _tell(self._taken)

    async def read(self, limit: int) -> bytes:
        """All of it."""
        pieces, size = [], 0
        async for piece in self:
            size += len(piece)
            if size > limit:
                raise RequestEntityTooLarge
            pieces.append(piece)
        return b"".join(pieces)

    async def finish(self) -> None:
        """Let the rest of it pass by unread."""
        async for _ in self:
            pass

    def __aiter__(self) -> Upload:
        return self

    async def __anext__(self) -> bytes:
        if self._invite is not None:
            invite, self._invite = self._invite, None
            await invite()
        while self._piece is None and not self._ended:
            self._news = trio.Event()
            await self._news.wait()
        if self._piece is not None:
            piece, self._piece = self._piece, None
            _tell(self._taken)
            return piece
        if self._fault:
            raise InvalidParameter(f"the request body is incomplete: {self._fault}")
        raise StopAsyncIteration

    async def _pass_on(self, piece: bytes) -> None:
        while self._piece is not None and not self._left:
            self._taken = trio.Event()
            await self._taken.wait()
        if piece and not self._left:
            self._piece = piece
            _tell(self._news)

    def _end(self, fault: str = "") -> None:
        self._ended, self._fault = True, fault
        _tell(self._news)


def _tell(waiting: trio.Event | None) -> None:
    if waiting is not None:
        waiting.set()
