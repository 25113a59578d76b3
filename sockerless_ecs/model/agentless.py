"""Containers without our agent: what ECS runs for them, what it cannot do, and who should be one."""

from __future__ import annotations

from sockerless_ecs.errors import InvalidParameter, Unimplemented
from sockerless_ecs.model.container import AGENT_LABEL, Container, ContainerConfig, CreateRequest, HostConfig
from sockerless_ecs.model.taskdef import STOP_TIMEOUT_SECONDS, Program

OFF = f"{AGENT_LABEL}=off"
_STOP_SECONDS = 10
"""Docker's own stop timeout."""
_NOTE = (
    f"the label {OFF}: command, variables and user are in the task definition, where whoever may read "
    "those can read them; there is no attach, exec, cp, top, stats, pause, health check and no input"
)
_S6 = (
    "/init of s6-overlay insists on being PID 1, which is the agent here: if it refuses to start, "
    f"set the label {OFF}"
)
_PID_1 = ("/init",)
"""Entrypoints that refuse to be anything but PID 1: s6-overlay."""


def program_of(config: ContainerConfig, host: HostConfig) -> Program:
    """What ECS is told to run; both configurations have been checked."""
    argv = (config.entrypoint or ()) + (config.cmd or ())
    head = len(config.entrypoint) if config.entrypoint else 1
    limit = next(iter(host.ulimits), None)
    pairs = [variable.partition("=")[::2] for variable in config.variables]
    return Program(
        entrypoint=argv[:head],
        command=argv[head:],
        environment=tuple((name, value) for name, value in pairs),
        user=config.user,
        working_dir=config.working_dir,
        stop_seconds=_STOP_SECONDS if config.stop_timeout is None else config.stop_timeout,
        init=bool(host.init),
        cap_drop=host.dropped,
        open_files=None if limit is None else (limit.soft, limit.hard),
    )


def check(request: CreateRequest, image_stop_signal: str) -> None:
    """Raises InvalidParameter, which names the field, for what ECS cannot do without our agent."""
    config, host = request.config, request.host
    asked = {
        "Tty": config.tty,
        "OpenStdin": config.open_stdin,
        "Hostname": config.hostname,
        "Healthcheck": config.healthcheck is not None and config.healthcheck.test != ("NONE",),
        "StopSignal": config.stop_signal and config.stop_signal != image_stop_signal,
        "HostConfig.GroupAdd": host.group_add,
        "HostConfig.ExtraHosts": host.extra_hosts,
        "HostConfig.SecurityOpt": [one for one in host.security_opt if one.startswith("no-new-privileges")],
        "HostConfig.Ulimits": [limit.name for limit in host.ulimits if limit.name != "nofile"],
    }
    for field, value in asked.items():
        if value:
            raise InvalidParameter(f"{field} is not possible with the label {OFF}: ECS has no such thing")
    if config.stop_timeout is not None and not 0 <= config.stop_timeout <= STOP_TIMEOUT_SECONDS:
        raise InvalidParameter(
            f"StopTimeout is not possible with the label {OFF}: "
            f"ECS waits {STOP_TIMEOUT_SECONDS} seconds at most"
        )


def refuse(record: Container, what: str) -> None:
    """Raises Unimplemented where `what` needs an agent and the container has none."""
    if record.agentless:
        raise Unimplemented(
            f"{what} is not possible for container {record.id}: it was created with the label {OFF}, "
            "so nothing of ours is in its task; create it without that label"
        )


def notes(record: Container) -> tuple[str, ...]:
    """The warnings that a create gives."""
    if record.agentless:
        return (_NOTE,)
    if record.argv[:1] == _PID_1:
        return (_S6,)
    return ()
