"""Filling a container's configuration from its image, and a new image's from its container."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.container import ContainerConfig, ContainerId, Healthcheck
from sockerless_ecs.model.image import ImageConfig

_SHORT_ID = 12


def merged(config: ContainerConfig, image: ImageConfig, container_id: ContainerId) -> ContainerConfig:
    """The configuration with what the request left open taken from the image.

    Raises InvalidParameter when neither says what to run.
    """
    entrypoint, cmd = config.entrypoint, config.cmd
    if not entrypoint:
        cmd = cmd or image.cmd  # an entrypoint of one's own discards the image's command
        if entrypoint is None:
            entrypoint = image.entrypoint
    if entrypoint == ("",):
        entrypoint = None
    if not entrypoint and not cmd:
        raise InvalidParameter("no command specified")
    return replace(
        config,
        hostname=config.hostname or container_id[:_SHORT_ID],
        user=config.user or image.user,
        env=_env(config.env, image.env),
        entrypoint=entrypoint,
        cmd=cmd,
        working_dir=config.working_dir or image.working_dir,
        labels={**image.labels, **config.labels},
        exposed_ports=_union(config.exposed_ports, image.exposed_ports),
        volumes=_union(config.volumes, image.volumes),
        stop_signal=config.stop_signal or image.stop_signal,
        healthcheck=_healthcheck(config.healthcheck, image.healthcheck),
    )


def image_config(config: ContainerConfig) -> ImageConfig:
    """What an image takes over of a container's configuration."""
    return ImageConfig(
        user=config.user,
        env=config.env,
        cmd=config.cmd,
        entrypoint=config.entrypoint,
        working_dir=config.working_dir,
        labels=config.labels,
        exposed_ports=config.exposed_ports,
        volumes=config.volumes,
        stop_signal=config.stop_signal,
        healthcheck=config.healthcheck,
    )


def filled(config: ImageConfig, container: ImageConfig) -> ImageConfig:
    """A configuration to commit, with what it leaves open taken from the container's."""
    entrypoint, cmd = config.entrypoint, config.cmd
    if not entrypoint:
        cmd = cmd or container.cmd
        if entrypoint is None:
            entrypoint = container.entrypoint
    return replace(
        config,
        user=config.user or container.user,
        env=_env(config.env, container.env),
        entrypoint=entrypoint,
        cmd=cmd,
        working_dir=config.working_dir or container.working_dir,
        labels={**container.labels, **config.labels},
        exposed_ports=_union(config.exposed_ports, container.exposed_ports),
        volumes=_union(config.volumes, container.volumes),
        stop_signal=config.stop_signal or container.stop_signal,
        healthcheck=_healthcheck(config.healthcheck, container.healthcheck),
    )


def _env(own: Iterable[str], inherited: Iterable[str]) -> tuple[str, ...]:
    """The container's own variables, then those of the image that it does not set, as Docker has it."""
    own = tuple(own)
    named = {variable.partition("=")[0] for variable in own}
    return (*own, *(variable for variable in inherited if variable.partition("=")[0] not in named))


def _union(own: Iterable[str], inherited: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*inherited, *own)))


def _healthcheck(own: Healthcheck | None, inherited: Healthcheck | None) -> Healthcheck | None:
    if own is None or inherited is None:
        return own or inherited
    return replace(
        own,
        test=own.test or inherited.test,
        interval_ns=own.interval_ns or inherited.interval_ns,
        timeout_ns=own.timeout_ns or inherited.timeout_ns,
        start_period_ns=own.start_period_ns or inherited.start_period_ns,
        start_interval_ns=own.start_interval_ns or inherited.start_interval_ns,
        retries=own.retries or inherited.retries,
    )
