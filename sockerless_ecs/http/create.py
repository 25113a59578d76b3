"""A container create as it comes from the wire: judged field by field, then a model value."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

import msgspec
from msgspec.structs import replace

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.create_fields import (
    CAPABILITIES,
    CONFIG,
    ENDPOINT,
    FARGATE_CAPABILITIES,
    HOST_CONFIG,
)
from sockerless_ecs.http.judge import Judge
from sockerless_ecs.http.policies import healthcheck, restart_policy
from sockerless_ecs.http.shapes.create import (
    CreateBody,
    HostConfigBody,
    LogConfigBody,
    NetworkingBody,
    StringMap,
)
from sockerless_ecs.model.container import (
    HOST_GATEWAY,
    ContainerConfig,
    ContainerUpdate,
    CreateRequest,
    HostConfig,
    Ulimit,
)
from sockerless_ecs.model.image import ImageConfig

_DEFAULT_NETWORKS = frozenset({"", "default", "bridge"})
_LEAST_QUOTA_US = 1000
_LOG_PATTERNS = ("labels-regex", "env-regex")
_KEPT_LOGS = frozenset({"", "json-file", "local", "journald", "awslogs"})
_CPU_PERIOD_US = 100_000
_LEAST_MEMORY_BYTES = 6 * 1024 * 1024
_NO_RESTRICTIONS = frozenset({"label=disable", "apparmor=unconfined", "systempaths=unconfined"})
"""Security options that lift what Fargate does not impose."""
_NO_NEW_PRIVILEGES = {
    "no-new-privileges": True,
    "no-new-privileges=true": True,
    "no-new-privileges=false": False,
}


def create_request(body: CreateBody, *, name: str | None, platform: str | None) -> CreateRequest:
    """The model's create.

    Raises InvalidParameter for what Fargate can never do and Unimplemented for what is not built,
    naming the field; what has no effect becomes a warning.
    """
    if body == CreateBody():
        raise InvalidParameter("config cannot be empty in order to create a container")
    if not body.image:
        raise InvalidParameter("Image: no image specified")
    judge = Judge()
    judge.fields(body, CONFIG, "")
    host = body.host_config or HostConfigBody()
    judge.fields(host, HOST_CONFIG, "HostConfig.")
    _judge_endpoints(judge, body.networking_config, host.network_mode or "")
    config, host_config = _config(body, judge), _host_config(host, judge)
    judge.decide()
    return CreateRequest(
        name=name or None,
        config=config,
        host=host_config,
        platform=platform or None,
        warnings=tuple(judge.warnings),
    )


def _judge_endpoints(judge: Judge, networking: NetworkingBody | None, mode: str) -> None:
    endpoints = (networking.endpoints_config if networking else None) or {}
    for network, endpoint in endpoints.items():
        field = f"NetworkingConfig.EndpointsConfig[{network}]"
        if network not in _DEFAULT_NETWORKS and network != mode:  # the mode has been judged
            judge.later(field)
        elif endpoint is not None:
            judge.fields(endpoint, ENDPOINT, f"{field}.")


def _config(body: CreateBody, judge: Judge) -> ContainerConfig:
    if body.hostname or body.domainname:
        judge.warnings.append(
            "Hostname is set as HOSTNAME and in /etc/hosts; uname shows the name of the Fargate task"
        )
    return ContainerConfig(
        image=body.image or "",
        hostname=body.hostname or "",
        domainname=body.domainname or "",
        user=body.user or "",
        attach_stdin=bool(body.attach_stdin),
        attach_stdout=bool(body.attach_stdout),
        attach_stderr=bool(body.attach_stderr),
        tty=bool(body.tty),
        open_stdin=bool(body.open_stdin),
        stdin_once=bool(body.stdin_once),
        env=_environment(body.env or []),
        cmd=_words(body.cmd),
        entrypoint=_words(body.entrypoint),
        working_dir=_working_dir(body.working_dir or ""),
        labels=_strings(body.labels),
        exposed_ports=_ports(body.exposed_ports or {}),
        healthcheck=healthcheck(body.healthcheck),
        stop_signal=body.stop_signal or "",
        stop_timeout=body.stop_timeout,
    )


def image_config(body: CreateBody) -> ImageConfig | None:
    """The configuration of an image to be; None where the body says nothing of it."""
    said = replace(body, host_config=None, networking_config=None)
    if said == CreateBody():
        return None
    return ImageConfig(
        user=body.user or "",
        env=_environment(body.env or []),
        cmd=_words(body.cmd),
        entrypoint=_words(body.entrypoint),
        working_dir=body.working_dir or "",
        labels=_strings(body.labels),
        exposed_ports=_ports(body.exposed_ports or {}),
        volumes=tuple(sorted(body.volumes or ())),
        stop_signal=body.stop_signal or "",
        healthcheck=healthcheck(body.healthcheck),
        on_build=tuple(body.on_build or ()),
    )


def _environment(variables: list[str]) -> tuple[str, ...]:
    for variable in variables:
        if not variable.partition("=")[0]:
            raise InvalidParameter(f"invalid environment variable: {variable}")
    return tuple(variables)


def _working_dir(path: str) -> str:
    if path and not path.startswith("/"):
        raise InvalidParameter(f"the working directory '{path}' is invalid, it needs to be an absolute path")
    return path


def _words(value: list[str] | str | None) -> tuple[str, ...] | None:
    """Docker takes one string for a list of one; an empty one is a way to clear the image's."""
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def _strings(value: StringMap) -> dict[str, str]:
    return {key: text or "" for key, text in (value or {}).items()}


def _ports(exposed: Mapping[str, object]) -> tuple[str, ...]:
    ports = []
    for port in exposed:
        number, _, protocol = port.partition("/")
        if not number.isdecimal() or not 0 < int(number) < 1 << 16:
            raise InvalidParameter(f"ExposedPorts: invalid port {port!r}")
        ports.append(f"{number}/{protocol.lower() or 'tcp'}")
    return tuple(ports)


def _host_config(host: HostConfigBody, judge: Judge) -> HostConfig:
    _judge_capabilities(host.cap_add or [], judge)
    _judge_logs(host.log_config, judge)
    policy = restart_policy(host.restart_policy)
    if host.auto_remove and policy.name != "no":
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")
    return HostConfig(
        network_mode=host.network_mode or "default",
        auto_remove=bool(host.auto_remove),
        memory_bytes=_memory(host.memory or 0),
        nano_cpus=_nano_cpus(host),
        cap_drop=_dropped(host.cap_drop or []),
        group_add=tuple(host.group_add or ()),
        ulimits=tuple(
            Ulimit(name=limit.name, soft=limit.soft or 0, hard=limit.hard or 0)
            for limit in host.ulimits or ()
        ),
        security_opt=_security_options(host.security_opt or [], judge),
        extra_hosts=_extra_hosts(host.extra_hosts or [], judge),
        readonly_rootfs=bool(host.readonly_rootfs),
        init=host.init,
        restart_policy=policy,
        log_driver=_log_driver(host.log_config),
        log_options=_log_options(host.log_config),
    )


def _memory(wanted: int) -> int:
    if wanted and wanted < _LEAST_MEMORY_BYTES:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    return wanted


def _not_negative(value: int | None, field: str) -> int:
    if value is not None and value < 0:
        raise InvalidParameter(f"{field}: {value} is negative")
    return value or 0


def _nano_cpus(host: HostConfigBody) -> int:
    nano = _not_negative(host.nano_cpus, "HostConfig.NanoCpus")
    period = _not_negative(host.cpu_period, "HostConfig.CpuPeriod")
    quota = max(host.cpu_quota or 0, 0)  # a negative one is no limit
    if nano and (period or quota):
        other = "Period" if period else "Quota"
        raise InvalidParameter(f"Conflicting options: Nano CPUs and CPU {other} cannot both be set")
    if quota and quota < _LEAST_QUOTA_US:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    return nano or quota * 1_000_000_000 // (period or _CPU_PERIOD_US)


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _dropped(names: list[str]) -> tuple[str, ...]:
    for name in names:
        if _capability(name) not in CAPABILITIES:
            raise InvalidParameter(f'invalid CapDrop: unknown capability: "CAP_{_capability(name)}"')
    return tuple(names)


def _judge_capabilities(names: list[str], judge: Judge) -> None:
    for name in names:
        match _capability(name):
            case "SYS_PTRACE":
                judge.later("HostConfig.CapAdd SYS_PTRACE")
            case capability if capability not in FARGATE_CAPABILITIES:
                judge.never(f"HostConfig.CapAdd {name}", "no task gets more than Fargate's own capabilities")


def _judge_logs(logs: LogConfigBody | None, judge: Judge) -> None:
    kind = (logs.type if logs else None) or ""
    if kind == "none":
        judge.warnings.append("HostConfig.LogConfig none has no effect: logs are kept in CloudWatch Logs")
    elif kind not in _KEPT_LOGS:
        judge.never(f"HostConfig.LogConfig {kind}", "logs are kept in CloudWatch Logs; leave it out")
    judge.warnings += [
        f"HostConfig.LogConfig {name} has no effect: name the labels or variables one by one"
        for name in _LOG_PATTERNS
        if logs and logs.config and name in logs.config
    ]


def _log_driver(logs: LogConfigBody | None) -> str:
    kind = (logs.type if logs else None) or "json-file"
    return kind if kind in _KEPT_LOGS else "json-file"


def _log_options(logs: LogConfigBody | None) -> dict[str, str]:
    return {name: value or "" for name, value in ((logs.config if logs else None) or {}).items()}


def _security_options(options: list[str], judge: Judge) -> tuple[str, ...]:
    honoured = []
    for option in options:
        plain = option.replace(":", "=", 1)
        if plain in _NO_NEW_PRIVILEGES:
            honoured += ["no-new-privileges"] if _NO_NEW_PRIVILEGES[plain] else []
        elif plain not in _NO_RESTRICTIONS:
            judge.never(f"HostConfig.SecurityOpt {option}", "Fargate's own profile applies; leave it out")
    return tuple(honoured)


def _extra_hosts(hosts: list[str], judge: Judge) -> tuple[str, ...]:
    for entry in hosts:
        name, separator, address = entry.partition("=") if "=" in entry else entry.partition(":")
        if not (name and separator):
            raise InvalidParameter(f'bad format for add-host: "{entry}"')
        if address == HOST_GATEWAY:
            judge.warnings.append(f"HostConfig.ExtraHosts {entry} has no effect: a task has no host")
        elif not _is_address(address):
            raise InvalidParameter(f'invalid IP address in add-host: "{address}"')
    return tuple(hosts)


def _is_address(text: str) -> bool:
    try:
        ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def update_request(body: HostConfigBody) -> tuple[ContainerUpdate, list[str]]:
    """The model's update and what is to be warned of; fields that are zero are left as they are."""
    judge = Judge()
    judge.fields(body, HOST_CONFIG, "")
    policy = restart_policy(body.restart_policy) if body.restart_policy and body.restart_policy.name else None
    wanted = ContainerUpdate(
        restart_policy=policy,
        memory_bytes=_memory(body.memory or 0) or None,
        nano_cpus=_nano_cpus(body) or None,
    )
    judge.decide()
    return wanted, judge.warnings


def unknown_fields(raw: bytes) -> list[str]:
    """Warnings of what no field is called: Docker ignores it without a word, we with one."""
    top = msgspec.json.decode(raw.strip() or b"{}", type=dict[str, msgspec.Raw])
    warnings = _unknown(top, CreateBody, "")
    host = msgspec.json.decode(top.get("HostConfig", b"null"), type=dict[str, msgspec.Raw] | None)
    warnings += _unknown(host or {}, HostConfigBody, "HostConfig.")
    return warnings


def _unknown(given: Mapping[str, object], shape: type[msgspec.Struct], prefix: str) -> list[str]:
    known = shape.__struct_encode_fields__
    return [f"{prefix}{key} is not a field of a container: ignored" for key in given if key not in known]
