"""EC2: the subnets and security groups that tasks are put in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.operations import DESCRIBE_SECURITY_GROUPS, DESCRIBE_SUBNETS

_ANY_PROTOCOL = "-1"
_TCP = ("tcp", "6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A subnet that exists."""

    id: str
    vpc: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """One inbound rule: who may reach which TCP ports."""

    first_port: int
    last_port: int
    sources: tuple[str, ...]
    """CIDR blocks, prefix lists and security groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup:
    """A security group that exists, as far as TCP goes."""

    id: str
    vpc: str
    ingress: tuple[Ingress, ...]

    def admits(self, port: int) -> tuple[str, ...]:
        """Who may reach the TCP port; empty = nobody."""
        return tuple(
            source
            for rule in self.ingress
            if rule.first_port <= port <= rule.last_port
            for source in rule.sources
        )

    @property
    def admits_itself(self) -> bool:
        """Whether tasks in the group can reach each other through it."""
        return any(self.id in rule.sources for rule in self.ingress)


class Ec2:
    """The network of one region."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def subnets(self, ids: Iterable[str]) -> list[Subnet]:
        """Those of them that exist."""
        # A filter, unlike a list of ids, does not fail for the first one that is missing.
        wanted = [{"Name": "subnet-id", "Values": list(ids)}]
        answer = await self._calls.call(DESCRIBE_SUBNETS, Filters=wanted)
        return [
            Subnet(id=subnet["SubnetId"], vpc=subnet["VpcId"], zone=subnet.get("AvailabilityZone", ""))
            for subnet in answer.get("Subnets", ())
        ]

    async def security_groups(self, ids: Iterable[str]) -> list[SecurityGroup]:
        """Those of them that exist."""
        wanted = [{"Name": "group-id", "Values": list(ids)}]
        answer = await self._calls.call(DESCRIBE_SECURITY_GROUPS, Filters=wanted)
        return [
            SecurityGroup(
                id=group["GroupId"],
                vpc=group.get("VpcId", ""),
                ingress=tuple(_ingress(group.get("IpPermissions", ()))),
            )
            for group in answer.get("SecurityGroups", ())
        ]


def _ingress(permissions: Iterable[Mapping[str, Any]]) -> Iterator[Ingress]:
    for permission in permissions:
        protocol = permission.get("IpProtocol")
        if protocol == _ANY_PROTOCOL:
            yield Ingress(first_port=0, last_port=65535, sources=_sources(permission))
        elif protocol in _TCP:
            yield Ingress(
                first_port=permission.get("FromPort", 0),
                last_port=permission.get("ToPort", 65535),
                sources=_sources(permission),
            )


def _sources(permission: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        *(block["CidrIp"] for block in permission.get("IpRanges", ())),
        *(block["CidrIpv6"] for block in permission.get("Ipv6Ranges", ())),
        *(prefixes["PrefixListId"] for prefixes in permission.get("PrefixListIds", ())),
        *(pair["GroupId"] for pair in permission.get("UserIdGroupPairs", ()) if "GroupId" in pair),
    )
