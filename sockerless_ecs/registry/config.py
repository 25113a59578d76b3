"""An image's configuration file → values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an image's making; those that made a layer do so in the layers' order."""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool = False


class _Healthcheck(msgspec.Struct, rename="pascal"):
    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class _Config(msgspec.Struct, rename="pascal"):
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


class _RootFs(msgspec.Struct):
    diff_ids: list[str] | None = None


class _ConfigFile(msgspec.Struct):
    architecture: str = ""
    os: str = ""
    variant: str | None = None
    created: str | None = None
    author: str | None = None
    comment: str | None = None
    docker_version: str | None = None
    config: _Config | None = None
    rootfs: _RootFs | None = None
    history: list[Step] | None = None


def read_config(body: bytes, name: str) -> ConfigFile:
    """The configuration file; raises `Unavailable` for what is none."""
    file = decode(body, _ConfigFile, f"{name}: its configuration cannot be read")
    return ConfigFile(
        config=_image_config(file.config or _Config()),
        platform=Platform(os=file.os, architecture=file.architecture, variant=file.variant or ""),
        created=file.created or "",
        author=file.author or "",
        comment=file.comment or "",
        docker_version=file.docker_version or "",
        history=tuple(file.history or ()),
        diff_ids=tuple((file.rootfs.diff_ids if file.rootfs else None) or ()),
    )


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
