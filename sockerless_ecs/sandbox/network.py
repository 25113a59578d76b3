"""The sandbox's EC2: moto's network objects, and the runner's walls kept like their security groups."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from sockerless_ecs.sandbox.place import TaskRunner

AGENT_PORT = 9111
_EVERYWHERE = "0.0.0.0/0"
_PROTOCOLS = frozenset({"tcp", "udp", "icmp", "-1"})
_ALL_PORTS = (0, 65535)


@dataclass(frozen=True, slots=True)
class _Rule:
    source: str
    target: str
    port_from: int
    port_to: int
    protocol: str


class Network:
    """What RunTask asks of EC2, and what the runner is told of it."""

    def __init__(self, backend: Any, runner: TaskRunner) -> None:
        self._backend = backend
        self._runner = runner
        self._allowed: set[_Rule] = set()
        self._lock = threading.Lock()
        self.vpc: str = next(iter(self._backend.vpcs))
        self._default_group: str = next(
            group.id for group in self._backend.groups[self.vpc].values() if group.name == "default"
        )
        self._admit(self._default_group, "-1", -1, -1, source_group=self._default_group)
        self.agents_group = self._make_agents_group()
        self.mirror()

    @property
    def subnets(self) -> list[str]:
        """The subnets of the default VPC."""
        return [subnet.id for zone in self._backend.subnets.values() for subnet in zone.values()]

    def zone_of(self, subnet: str) -> str | None:
        """The availability zone of a subnet that exists."""
        return next((zone for zone, subnets in self._backend.subnets.items() if subnet in subnets), None)

    def group_exists(self, group: str) -> bool:
        """Whether there is such a security group."""
        return any(group in groups for groups in self._backend.groups.values())

    def default_group(self) -> str:
        """The VPC's own group, for tasks that name none."""
        return self._default_group

    def mirror(self) -> None:
        """Tell the runner which rules came and went since the last time."""
        with self._lock:
            wanted = self._rules()
            for rule in wanted - self._allowed:
                self._runner.allow(rule.source, rule.target, rule.port_from, rule.port_to, rule.protocol)
            for rule in self._allowed - wanted:
                self._runner.revoke(rule.source, rule.target, rule.port_from, rule.port_to, rule.protocol)
            self._allowed = wanted

    def _rules(self) -> set[_Rule]:
        found = set()
        for groups in list(self._backend.groups.values()):
            for group in list(groups.values()):
                for rule in list(group.ingress_rules):
                    source = (rule.source_group or {}).get("GroupId") or (rule.ip_range or {}).get("CidrIp")
                    if source and rule.ip_protocol in _PROTOCOLS:
                        ports = _ports(rule)
                        found.add(_Rule(source, group.id, *ports, rule.ip_protocol))
        return found

    def _make_agents_group(self) -> str:
        """The group that the daemon's tasks get: agents can be reached, tasks cannot reach each other."""
        group = self._backend.create_security_group(
            "sockerless-agents", "Agent traffic from the daemon", self.vpc
        )
        self._admit(group.id, "tcp", AGENT_PORT, AGENT_PORT, cidr=_EVERYWHERE)
        return str(group.id)

    def _admit(
        self,
        group: str,
        protocol: str,
        port_from: int,
        port_to: int,
        *,
        cidr: str = "",
        source_group: str = "",
    ) -> None:
        self._backend.authorize_security_group_ingress(
            group_name_or_id=group,
            ip_protocol=protocol,
            from_port=port_from,
            to_port=port_to,
            ip_ranges=[{"CidrIp": cidr}] if cidr else [],
            source_groups=[{"GroupId": source_group}] if source_group else [],
            vpc_id=self.vpc,
        )


def _ports(rule: Any) -> tuple[int, int]:
    if rule.ip_protocol in ("-1", "icmp") or rule.from_port is None or rule.from_port < 0:
        return _ALL_PORTS
    return int(rule.from_port), int(rule.to_port)
