"""The engine itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.engine.values import Credentials, DiskUsage, LoggedIn, SystemInfo
from sockerless_ecs.errors import InvalidParameter, Unauthorized
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.event import EngineEvent


class FakeSystem:
    """Facts that never change, and events that tests make."""

    def __init__(self) -> None:
        self.history: list[EngineEvent] = []
        self.usage = DiskUsage(layers_bytes=0)
        self.listeners: set[trio.MemorySendChannel[EngineEvent]] = set()

    def publish(self, action: str, container: Container) -> None:
        event = EngineEvent(
            type="container",
            action=action,
            actor_id=container.id,
            time_ns=time.time_ns(),
            attributes={"image": container.config.image, "name": container.name},
        )
        self.history.append(event)
        for listener in self.listeners:
            listener.send_nowait(event)

    async def info(self) -> SystemInfo:
        await trio.lowlevel.checkpoint()
        return SystemInfo(
            id="i",
            name="fake",
            version="0.1.0",
            containers=0,
            running=0,
            paused=0,
            stopped=0,
            images=0,
            architecture="x86_64",
            cpus=16,
            memory_bytes=120 << 30,
        )

    async def auth(self, credentials: Credentials) -> LoggedIn:
        await trio.lowlevel.checkpoint()
        if credentials.password != "right":
            raise Unauthorized(f"login attempt to {credentials.server_address} failed: wrong password")
        token = "a token" if credentials.server_address == "tokens.example" else ""
        return LoggedIn(status="Login Succeeded", identity_token=token)

    async def ping(self) -> None:
        await trio.lowlevel.checkpoint()

    async def disk_usage(self) -> DiskUsage:
        await trio.lowlevel.checkpoint()
        return self.usage

    @asynccontextmanager
    async def events(
        self, *, since_ns: int = 0, until_ns: int = 0, filters: Filters
    ) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        await trio.lowlevel.checkpoint()
        if "nonsense" in filters:
            raise InvalidParameter("invalid filter 'nonsense'")
        send, receive = trio.open_memory_channel[EngineEvent](100)
        for event in self.history if since_ns else ():
            send.send_nowait(event)
        self.listeners.add(send)
        if until_ns:
            send.close()
        try:
            yield receive
        finally:
            self.listeners.discard(send)
