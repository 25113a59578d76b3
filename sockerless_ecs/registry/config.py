"""An image's configuration file → values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.model.container import Healthcheck
from sockerless_ecs.model.image import ImageConfig
from sockerless_ecs.registry.platform import Platform

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """An image's configuration file."""

    config: ImageConfig
    platform: Platform
    created: str
    author: str
    comment: str
    docker_version: str
    diff_ids: tuple[str, ...]
    history: tuple[Step, ...]
    container: str = ""
    """That it was committed from."""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of an image's making; those that made a layer do so in the layers' order."""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool = False


class _Healthcheck(msgspec.Struct, rename="pascal", omit_defaults=True):
    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class _Config(msgspec.Struct, rename="pascal", omit_defaults=True):
    user: str | None = None
    env: list[str] | None = None
    cmd: list[str] | None = None
    entrypoint: list[str] | None = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    exposed_ports: dict[str, Any] | None = None
    volumes: dict[str, Any] | None = None
    stop_signal: str | None = None
    healthcheck: _Healthcheck | None = None
    on_build: list[str] | None = None


class _RootFs(msgspec.Struct):
    type: str = "layers"
    diff_ids: list[str] | None = None


class _ConfigFile(msgspec.Struct, omit_defaults=True):
    architecture: str = ""
    os: str = ""
    variant: str | None = None
    created: str | None = None
    author: str | None = None
    comment: str | None = None
    docker_version: str | None = None
    container: str | None = None
    config: _Config | None = None
    rootfs: _RootFs | None = None
    history: list[Step] | None = None


def read_config(body: bytes, name: str) -> ConfigFile:
    """The configuration file; raises `Unavailable` for what is none."""
    file = decode(body, _ConfigFile, f"{name}: its configuration cannot be read")
    newest = file.history[-1] if file.history else Step()
    return ConfigFile(
        config=_image_config(file.config or _Config()),
        platform=Platform(os=file.os, architecture=file.architecture, variant=file.variant or ""),
        created=file.created or "",
        author=file.author or "",
        comment=file.comment or newest.comment or "",
        docker_version=file.docker_version or "",
        history=tuple(file.history or ()),
        diff_ids=tuple((file.rootfs.diff_ids if file.rootfs else None) or ()),
        container=file.container or "",
    )


def write_config(file: ConfigFile) -> bytes:
    """The configuration file, as Docker writes it but for what is empty."""
    return msgspec.json.encode(
        _ConfigFile(
            architecture=file.platform.architecture,
            os=file.platform.os,
            variant=file.platform.variant or None,
            created=file.created or None,
            author=file.author or None,
            comment=file.comment or None,
            docker_version=file.docker_version or None,
            container=file.container or None,
            config=_written(file.config),
            rootfs=_RootFs(diff_ids=list(file.diff_ids)),
            history=list(file.history),
        )
    )


def created_at(time_ns: int) -> str:
    """A time as the file has it."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"


def _image_config(config: _Config) -> ImageConfig:
    return ImageConfig(
        user=config.user or "",
        env=tuple(config.env or ()),
        cmd=None if config.cmd is None else tuple(config.cmd),
        entrypoint=None if config.entrypoint is None else tuple(config.entrypoint),
        working_dir=config.working_dir or "",
        labels=config.labels or {},
        exposed_ports=_keys(config.exposed_ports),
        volumes=_keys(config.volumes),
        stop_signal=config.stop_signal or "",
        healthcheck=_healthcheck(config.healthcheck),
        on_build=tuple(config.on_build or ()),
    )


def _written(config: ImageConfig) -> _Config:
    check = config.healthcheck
    return _Config(
        user=config.user or None,
        env=list(config.env) or None,
        cmd=None if config.cmd is None else list(config.cmd),
        entrypoint=None if config.entrypoint is None else list(config.entrypoint),
        working_dir=config.working_dir or None,
        labels=dict(config.labels) or None,
        exposed_ports={port: {} for port in config.exposed_ports} or None,
        volumes={volume: {} for volume in config.volumes} or None,
        stop_signal=config.stop_signal or None,
        healthcheck=_written_check(check) if check else None,
        on_build=list(config.on_build) or None,
    )


def _written_check(check: Healthcheck) -> _Healthcheck:
    return _Healthcheck(
        test=list(check.test),
        interval=check.interval_ns,
        timeout=check.timeout_ns,
        start_period=check.start_period_ns,
        start_interval=check.start_interval_ns,
        retries=check.retries,
    )


def _keys(value: Mapping[str, Any] | None) -> tuple[str, ...]:
    return tuple(sorted(value or ()))


def _healthcheck(check: _Healthcheck | None) -> Healthcheck | None:
    if check is None:
        return None
    return Healthcheck(
        test=tuple(check.test or ()),
        interval_ns=check.interval,
        timeout_ns=check.timeout,
        start_period_ns=check.start_period,
        start_interval_ns=check.start_interval,
        retries=check.retries,
    )


def decode(body: bytes, kind: type[_T], what: str) -> _T:
    """JSON of a shape; raises `Unavailable` that begins with `what`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(f"{what}: {error}") from error
