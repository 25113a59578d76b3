"""What a launch asks for: of ECS a place, of the agent a process."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sockerless_ecs.agent import HealthCheck, Names, StartRequest
from sockerless_ecs.model import sizing
from sockerless_ecs.model.container import Container, ContainerConfig, RunId, Task
from sockerless_ecs.model.taskdef import LAUNCH_VARIABLE, TOKEN_VARIABLE, RunTaskRequest
from sockerless_ecs.services.ledger import now_ns

LINGER_LABEL = "sockerless.linger"
_PROBE_NS, _START_INTERVAL_NS, _RETRIES = 30 * 10**9, 5 * 10**9, 3
"""Docker's defaults of a health check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where tasks are put: what is the same for every launch of this daemon."""

    cluster: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    assign_public_ip: bool
    capacity_provider: str
    platform_version: str
    started_by: str
    tags: Mapping[str, str]
    default_cpu_units: int
    default_memory_mib: int
    agent_port: int
    linger_seconds: int
    reach_seconds: float
    """How long an agent may stay silent once ECS says that its task runs."""


def new_task(record: Container, place: Place) -> Task:
    """A task that is still to be run, with fresh secrets."""
    size = sizing.size(
        record.host.nano_cpus,
        record.host.memory_bytes,
        default_cpu_units=place.default_cpu_units,
        default_memory_mib=place.default_memory_mib,
        labels=record.config.labels,
    )
    token, client_token = secrets.token_hex(32), uuid.uuid4().hex
    return Task(
        agent_token=token,
        requested_ns=now_ns(),
        request=RunTaskRequest(
            cluster=place.cluster,
            definition_arn=record.task_definition_arn,
            client_token=client_token,
            started_by=place.started_by,
            subnets=place.subnets,
            security_groups=place.security_groups,
            assign_public_ip=place.assign_public_ip,
            capacity_provider=place.capacity_provider,
            platform_version=place.platform_version,
            cpu_units=size.cpu_units,
            memory_mib=size.memory_mib,
            storage_gib=size.storage_gib,
            environment={LAUNCH_VARIABLE: client_token}
            if record.agentless
            else {TOKEN_VARIABLE: token, LAUNCH_VARIABLE: client_token},
            tags={**place.tags, "sockerless.container": record.id, "sockerless.name": record.name},
        ),
    )


def names(record: Container, address: str) -> Names:
    """What `/etc/hosts` of the container has."""
    return Names(
        hostname=record.config.hostname,
        address=address,
        extra_hosts=record.host.names,
    )


def start_request(record: Container, run_id: RunId, place: Place) -> StartRequest:
    """What the agent is told to run."""
    env = record.config.variables
    if not any(variable.startswith("HOSTNAME=") for variable in env):
        env = (*env, f"HOSTNAME={record.config.hostname}")
    return StartRequest(
        run=run_id,
        argv=record.argv,
        env=env,
        cwd=record.config.working_dir,
        user=record.config.user,
        groups=record.host.group_add,
        cap_drop=record.host.dropped,
        ulimits=record.host.ulimits,
        no_new_privs=any(option.startswith("no-new-privileges") for option in record.host.security_opt),
        stop_signal=record.config.stop_signal or "SIGTERM",
        linger_seconds=linger_seconds(record, place),
        hostname=record.config.hostname,
        health=health_check(record.config),
        tty=record.config.tty,
        stdin=record.config.open_stdin,
        stdin_once=record.config.stdin_once,
    )


def health_check(config: ContainerConfig) -> HealthCheck | None:
    """What the agent probes, with Docker's defaults filled in; None when there is nothing to probe."""
    check = config.healthcheck
    if check is None or check.test[:1] not in (("CMD",), ("CMD-SHELL",)):
        return None
    return HealthCheck(
        test=check.test,
        interval=check.interval_ns or _PROBE_NS,
        timeout=check.timeout_ns or _PROBE_NS,
        start_period=check.start_period_ns,
        start_interval=check.start_interval_ns or _START_INTERVAL_NS,
        retries=check.retries if check.retries > 0 else _RETRIES,
    )


def linger_seconds(record: Container, place: Place) -> int:
    """How long the task outlives the process."""
    wanted = record.config.labels.get(LINGER_LABEL)
    if wanted is not None and wanted.isdecimal():
        return int(wanted)
    return 0 if record.host.auto_remove else place.linger_seconds
