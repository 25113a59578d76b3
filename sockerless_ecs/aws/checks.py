"""What start-up asks AWS: whether all that the configuration names is there and fits together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.ec2 import Ec2, SecurityGroup, Subnet
from sockerless_ecs.aws.ecs import Ecs
from sockerless_ecs.aws.efs import Efs
from sockerless_ecs.aws.identity import Identity
from sockerless_ecs.aws.logs import Logs
from sockerless_ecs.errors import Misconfigured, SockerlessError, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSetup:
    """What the configuration says is there."""

    cluster: str
    subnets: Sequence[str]
    security_groups: Sequence[str]
    agent_port: int
    log_group: str
    log_retention_days: int
    efs_filesystem_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


async def problems(calls: Calls, setup: CloudSetup) -> list[str]:
    """One sentence for each thing that is missing or does not fit, with its fix; empty = all is well.

    A missing log group is made. A check that fails is a sentence too and stops no other; without valid
    credentials there is only one sentence.
    """
    try:
        await Identity(calls).caller()
    except Misconfigured as misconfigured:
        return [misconfigured.message]
    except Unavailable:
        pass  # STS alone may be out of reach of a private network: the others tell
    ec2 = Ec2(calls)
    checks: list[Callable[[], Awaitable[list[str]]]] = [
        lambda: _cluster(Ecs(calls, setup.cluster), setup),
        lambda: _network(ec2, setup),
        lambda: _log_group(Logs(calls), setup),
    ]
    if setup.efs_filesystem_id:
        checks.append(lambda: _file_system(Efs(calls), setup))
    found: list[list[str]] = [[] for _ in checks]

    async def run(index: int) -> None:
        try:
            found[index] = await checks[index]()
        except SockerlessError as failure:
            found[index] = [f"Could not be checked: {failure.message}"]

    async with trio.open_nursery() as nursery:
        for index in range(len(checks)):
            nursery.start_soon(run, index)
    return [problem for some in found for problem in some]


async def _cluster(ecs: Ecs, setup: CloudSetup) -> list[str]:
    match await ecs.describe_cluster():
        case "ACTIVE":
            return []
        case None:
            problem = (
                f"The ECS cluster {setup.cluster!r} does not exist in this region: "
                f"create it (aws ecs create-cluster --cluster-name {setup.cluster}) or correct ecs.cluster"
            )
            return [problem]
        case status:
            return [
                f"The ECS cluster {setup.cluster!r} is {status}, not ACTIVE: no task can be started in it"
            ]


async def _network(ec2: Ec2, setup: CloudSetup) -> list[str]:
    subnets = await ec2.subnets(setup.subnets)
    groups = await ec2.security_groups(setup.security_groups)
    return [
        *_missing("subnet", setup.subnets, [subnet.id for subnet in subnets], "ecs.subnets"),
        *_missing(
            "security group", setup.security_groups, [group.id for group in groups], "ecs.security_groups"
        ),
        *_one_vpc(subnets, groups),
        *_reachable(groups, setup.agent_port),
        *_isolated(groups),
    ]


def _missing(noun: str, wanted: Sequence[str], found: Sequence[str], key: str) -> list[str]:
    return [
        f"The {noun} {name!r} does not exist in this region and account: correct {key}"
        for name in wanted
        if name not in found
    ]


def _one_vpc(subnets: Sequence[Subnet], groups: Sequence[SecurityGroup]) -> list[str]:
    vpcs = sorted({subnet.vpc for subnet in subnets} | {group.vpc for group in groups})
    if len(vpcs) < 2:  # noqa: PLR2004
        return []
    problem = (
        f"The subnets and security groups belong to different VPCs ({', '.join(vpcs)}): "
        "RunTask will refuse them; choose ecs.subnets and ecs.security_groups of one VPC"
    )
    return [problem]


def _reachable(groups: Sequence[SecurityGroup], port: int) -> list[str]:
    if not groups or any(group.admits(port) for group in groups):
        return []
    names = ", ".join(group.id for group in groups)
    problem = (
        f"No security group of {names} admits TCP port {port}, so the daemon cannot reach its tasks: "
        f"add an inbound rule for port {port} from the daemon's address or security group"
    )
    return [problem]


def _isolated(groups: Sequence[SecurityGroup]) -> list[str]:
    return [
        f"The security group {group.id} admits itself, so all containers can reach each other whatever "
        "their networks: remove that rule, unless that is what you want"
        for group in groups
        if group.admits_itself
    ]


async def _log_group(logs: Logs, setup: CloudSetup) -> list[str]:
    await logs.ensure_log_group(setup.log_group, setup.log_retention_days, setup.tags)
    return []


async def _file_system(efs: Efs, setup: CloudSetup) -> list[str]:
    found = await efs.file_system(setup.efs_filesystem_id)
    name = setup.efs_filesystem_id
    if found is None:
        return [f"The EFS file system {name!r} does not exist in this region: correct ecs.efs_filesystem_id"]
    if found.state != "available":
        return [f"The EFS file system {name!r} is {found.state}, not available: volumes cannot be used yet"]
    if not found.mount_targets:
        return [f"The EFS file system {name!r} has no mount target: add one in each subnet of ecs.subnets"]
    return []
