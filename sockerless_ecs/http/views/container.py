"""Containers as inspect and list show them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from sockerless_ecs.http.shapes.container import (
    ConfigView,
    ContainerSummaryView,
    ContainerView,
    EndpointView,
    HealthcheckView,
    HealthView,
    HostConfigView,
    LogConfigView,
    NetworkModeView,
    NetworkSettingsView,
    NetworksView,
    PortView,
    ProbeView,
    RestartPolicyView,
    StateView,
    UlimitView,
)
from sockerless_ecs.http.times import SECOND_NS, human_duration, rfc3339
from sockerless_ecs.model.container import Container, ContainerConfig, Healthcheck, HostConfig
from sockerless_ecs.model.health import Health, HealthStatus
from sockerless_ecs.model.image import ImageConfig
from sockerless_ecs.model.lifecycle import State


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much disk a container takes, as far as is known: what it wrote itself is not counted."""

    image_bytes: int


def container_view(container: Container, *, with_agent: bool, sizes: Sizes | None = None) -> ContainerView:
    """What inspect shows; the agent's address and token only where this API is meant to tell them."""
    argv = container.argv
    task = container.task if with_agent else None
    return ContainerView(
        id=container.id,
        name=f"/{container.name}",
        created=rfc3339(container.created_ns),
        path=argv[0] if argv else "",
        args=list(argv[1:]),
        state=_state(container),
        image=container.image_id,
        config=config_view(container.config, image=container.config.image),
        host_config=_host_config(container.host),
        network_settings=_network_settings(container),
        restart_count=container.restart_count,
        exec_ids=list(container.exec_ids) or None,
        size_rw=0 if sizes else UNSET,
        size_root_fs=sizes.image_bytes if sizes else UNSET,
        agent_address=(task.agent_address if task else None) or UNSET,
        agent_token=task.agent_token if task else UNSET,
    )


def container_summary(
    container: Container, now_ns: int | None = None, *, sizes: Sizes | None = None
) -> ContainerSummaryView:
    """What a list shows."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    return ContainerSummaryView(
        id=container.id,
        names=[f"/{container.name}"],
        image=container.config.image,
        image_id=container.image_id,
        command=_command(container.argv),
        created=container.created_ns // SECOND_NS,
        state=container.status,
        status=status_text(container, now_ns),
        ports=[_port(port) for port in container.config.exposed_ports] if container.state.alive else [],
        labels=dict(container.config.labels),
        host_config=NetworkModeView(network_mode=container.host.network_mode),
        network_settings=NetworksView(networks=_networks(container)),
        size_rw=0 if sizes else UNSET,
        size_root_fs=sizes.image_bytes if sizes else UNSET,
    )


def status_text(container: Container, now_ns: int) -> str:
    """`Up 3 seconds (healthy)`, `Exited (7) 2 minutes ago`."""
    if container.active and not container.state.alive:
        ago = human_duration(now_ns - container.finished_ns)
        return f"Restarting ({container.exit_code}) {ago} ago"
    match container.state:
        case State.RUNNING:
            return f"Up {human_duration(now_ns - container.started_ns)}{_health_text(container.health)}"
        case State.PAUSED:
            return f"Up {human_duration(now_ns - container.started_ns)} (Paused)"
        case State.EXITED:
            ago = human_duration(now_ns - container.finished_ns)
            return f"Exited ({container.exit_code}) {ago} ago"
        case State.DEAD:
            return "Dead"
        case _:
            return "Created"


def _health_text(health: Health | None) -> str:
    if health is None:
        return ""
    return f" (health: {health.status})" if health.status is HealthStatus.STARTING else f" ({health.status})"


def config_view(config: ContainerConfig | ImageConfig, *, image: str) -> ConfigView:
    """A container's or an image's configuration; an image says less."""
    own = config if isinstance(config, ContainerConfig) else ContainerConfig(image=image)
    return ConfigView(
        hostname=own.hostname,
        domainname=own.domainname,
        user=config.user,
        attach_stdin=own.attach_stdin,
        attach_stdout=own.attach_stdout,
        attach_stderr=own.attach_stderr,
        exposed_ports=_keys(config.exposed_ports) or UNSET,
        tty=own.tty,
        open_stdin=own.open_stdin,
        stdin_once=own.stdin_once,
        env=list(config.env),
        cmd=_listed(config.cmd),
        image=image,
        volumes=_keys(config.volumes) or None,
        working_dir=config.working_dir,
        entrypoint=_listed(config.entrypoint),
        labels=dict(config.labels),
        on_build=_listed(config.on_build) or None if isinstance(config, ImageConfig) else None,
        stop_signal=config.stop_signal or UNSET,
        stop_timeout=UNSET if own.stop_timeout is None else own.stop_timeout,
        healthcheck=_healthcheck(config.healthcheck),
    )


def _keys(names: Iterable[str]) -> dict[str, dict[str, str]]:
    return {name: {} for name in names}


def _listed(values: Iterable[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _healthcheck(check: Healthcheck | None) -> HealthcheckView | UnsetType:
    if check is None:
        return UNSET
    return HealthcheckView(
        test=list(check.test),
        interval=check.interval_ns,
        timeout=check.timeout_ns,
        start_period=check.start_period_ns,
        start_interval=check.start_interval_ns,
        retries=check.retries,
    )


def _state(container: Container) -> StateView:
    return StateView(
        status=container.status,
        running=container.active,
        paused=container.state is State.PAUSED,
        restarting=container.active and not container.state.alive,
        oom_killed=container.oom_killed,
        dead=container.state is State.DEAD,
        pid=0,  # it runs on no machine of the client's
        exit_code=container.exit_code,
        error=container.error,
        started_at=rfc3339(container.started_ns),
        finished_at=rfc3339(container.finished_ns),
        health=_health(container.health),
    )


def _health(health: Health | None) -> HealthView | UnsetType:
    if health is None:
        return UNSET
    return HealthView(
        status=health.status,
        failing_streak=health.failing_streak,
        log=[
            ProbeView(
                start=rfc3339(probe.start_ns),
                end=rfc3339(probe.end_ns),
                exit_code=probe.exit_code,
                output=probe.output,
            )
            for probe in health.log
        ],
    )


def _host_config(host: HostConfig) -> HostConfigView:
    return HostConfigView(
        network_mode=host.network_mode,
        auto_remove=host.auto_remove,
        restart_policy=RestartPolicyView(
            name=host.restart_policy.name, maximum_retry_count=host.restart_policy.maximum_retry_count
        ),
        memory=host.memory_bytes,
        nano_cpus=host.nano_cpus,
        cap_drop=list(host.cap_drop) or None,
        group_add=list(host.group_add) or None,
        ulimits=[UlimitView(name=limit.name, soft=limit.soft, hard=limit.hard) for limit in host.ulimits]
        or None,
        security_opt=list(host.security_opt) or None,
        extra_hosts=list(host.extra_hosts) or None,
        readonly_rootfs=host.readonly_rootfs,
        init=host.init,
        log_config=LogConfigView(type=host.log_driver, config=dict(host.log_options)),
    )


def _network_settings(container: Container) -> NetworkSettingsView:
    networks = _networks(container)
    bridge = networks.get("bridge")
    exposed = container.config.exposed_ports if container.state.alive else ()
    return NetworkSettingsView(
        networks=networks,
        ports=dict.fromkeys(exposed),
        ip_address=bridge.ip_address if bridge else "",
        ip_prefix_len=bridge.ip_prefix_len if bridge else 0,
    )


def _networks(container: Container) -> dict[str, EndpointView]:
    mode = container.host.network_mode
    address = _address(container)
    endpoint = EndpointView(
        network_id="", endpoint_id="", ip_address=address, ip_prefix_len=32 if address else 0
    )
    return {"bridge" if mode in ("", "default") else mode: endpoint}


def _address(container: Container) -> str:
    """The task's own, while it has one; its agent listens there."""
    if not container.state.alive or container.task is None or container.task.agent_address is None:
        return ""
    host, colon, port = container.task.agent_address.rpartition(":")
    return host.strip("[]") if colon and port.isdecimal() else container.task.agent_address


def _port(port: str) -> PortView:
    number, _, protocol = port.partition("/")
    return PortView(private_port=int(number), type=protocol or "tcp")


def _command(argv: tuple[str, ...]) -> str:
    return " ".join([*argv[:1], *(f"'{word}'" if " " in word else word for word in argv[1:])])
