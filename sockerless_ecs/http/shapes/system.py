"""The engine as Docker shows it, and its events."""

from __future__ import annotations

import msgspec

from sockerless_ecs.http.shapes.naming import Answer


class InfoView(Answer, frozen=True, kw_only=True):
    """What info shows."""

    id: str = msgspec.field(name="ID")
    name: str
    server_version: str
    containers: int
    containers_running: int
    containers_paused: int
    containers_stopped: int
    images: int
    driver: str
    operating_system: str
    os_type: str = msgspec.field(name="OSType")
    architecture: str
    ncpu: int = msgspec.field(name="NCPU")
    mem_total: int
    kernel_version: str


class VersionView(Answer, frozen=True, kw_only=True):
    """What version shows."""

    version: str
    api_version: str
    os: str
    arch: str


class AuthBody(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials to check; Docker writes them in lower case."""

    username: str | None = None
    password: str | None = None
    email: str | None = None
    serveraddress: str | None = None
    identitytoken: str | None = None
    auth: str | None = None


class AuthView(Answer, frozen=True, kw_only=True):
    """What came of it."""

    status: str
    identity_token: str = ""


class ActorView(Answer, frozen=True, kw_only=True):
    """To whom it happened."""

    id: str = msgspec.field(name="ID")
    attributes: dict[str, str]


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One event, with the keys of three generations of clients."""

    type: str = msgspec.field(name="Type")
    action: str = msgspec.field(name="Action")
    actor: ActorView = msgspec.field(name="Actor")
    scope: str = "local"
    time: int
    time_ns: int = msgspec.field(name="timeNano")
    status: str | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    from_: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="from")
