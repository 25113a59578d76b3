"""Security groups: who may reach which task, in the form each mode can enforce."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from sockerless_ecs.sandbox.runner.firewall import Firewall, is_range
from sockerless_ecs.sandbox.runner.spec import Mode, Rule
from sockerless_ecs.sandbox.runner.vpc import RELAY_PORT, Range


class Groups:
    """Rules and members. `tell_relay` passes on whom the machine may reach where the relay stands between."""

    def __init__(self, own: Range, mode: Mode, tell_relay: Callable[..., None]) -> None:
        self._machine = ipaddress.IPv4Address(own.gateway)
        self._rootless = mode is Mode.ROOTLESS
        self._tell_relay = tell_relay
        self._rules: list[Rule] = []
        self._members: dict[str, frozenset[str]] = {}
        self._firewall: Firewall | None = None
        self.limits: list[str] = []
        if mode is Mode.BARE:
            self.limits.append("Security groups are not enforced: all tasks share the machine's loopback.")
            return
        try:
            self._firewall = Firewall()
        except OSError as error:
            self.limits.append(
                f"Security groups are not enforced, and nothing leads out of tasks: no nftables ({error})."
            )
            return
        try:
            self._firewall.redirect(own.network, own.gateway, RELAY_PORT)
        except OSError as error:
            self.limits.append(f"Nothing leads out of tasks: nftables cannot redirect here ({error}).")

    def allow(self, rule: Rule) -> None:
        """Add a rule; twice is once."""
        if rule not in self._rules:
            self._rules.append(rule)
            self._apply()

    def revoke(self, rule: Rule) -> None:
        """Drop a rule; connections that stand stay, as in AWS."""
        if rule in self._rules:
            self._rules.remove(rule)
            self._apply()

    def join(self, groups: Iterable[str], address: str) -> None:
        """A task with these groups has this address now."""
        self._members[address] = frozenset(groups)
        if self._firewall:
            self._firewall.member(self._members[address], address)
        self._admit(address)

    def leave(self, groups: Iterable[str], address: str) -> None:
        """The address is nobody's again."""
        if self._members.pop(address, None) is None:
            return
        if self._firewall:
            self._firewall.member(groups, address, remove=True)
        if self._rootless:
            self._tell_relay(forget=address)

    def _apply(self) -> None:
        if self._firewall:
            self._firewall.replace(self._rules)
        for address in self._members:
            self._admit(address)

    def _admit(self, address: str) -> None:
        if not self._rootless:
            return
        ports = [
            (rule.port_from, rule.port_to)
            for rule in self._rules
            if rule.target in self._members[address]
            and rule.protocol in ("tcp", "-1")
            and self._covers(rule.source)
        ]
        self._tell_relay(admit={address: ports})

    def _covers(self, source: str) -> bool:
        return is_range(source) and self._machine in ipaddress.IPv4Network(source, strict=False)
