"""Security groups as nftables sets and rules over raw netlink: stateful, default deny, no `nft`."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable

from sockerless_ecs.sandbox.runner.netlink import ACK, CREATE, Netlink, attribute, nested, text
from sockerless_ecs.sandbox.runner.spec import Rule

_NETFILTER = 12
_NFTABLES = 10
_NEWTABLE, _NEWCHAIN, _NEWRULE, _DELRULE, _NEWSET, _NEWELEMENT, _DELELEMENT = 0, 3, 6, 8, 9, 12, 14
_APPEND = 0x800
_EQUAL, _NOT_EQUAL, _AT_MOST, _AT_LEAST = 0, 1, 3, 5
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_SOURCE, _DESTINATION = 12, 16
_META_PROTOCOL = 16
_PROTOCOLS = {"tcp": b"\x06", "udp": b"\x11", "icmp": b"\x01"}
_TABLE = "vpc"
_ALL_PORTS = (0, 65535)


def _big(value: int) -> bytes:
    return struct.pack(">I", value)


def _expression(name: str, *values: bytes) -> bytes:
    return nested(1, attribute(1, text(name)), nested(2, *values))


def _compare(value: bytes, how: int = _EQUAL) -> bytes:
    return _expression("cmp", attribute(1, _big(1)), attribute(2, _big(how)), nested(3, attribute(1, value)))


def _load(base: int, offset: int, length: int) -> bytes:
    return _expression(
        "payload",
        attribute(1, _big(1)),
        attribute(2, _big(base)),
        attribute(3, _big(offset)),
        attribute(4, _big(length)),
    )


def _meta(key: int) -> bytes:
    return _expression("meta", attribute(1, _big(1)), attribute(2, _big(key)))


def _mask(mask: bytes) -> bytes:
    return _expression(
        "bitwise",
        attribute(1, _big(1)),
        attribute(2, _big(1)),
        attribute(3, _big(4)),
        nested(4, attribute(1, mask)),
        nested(5, attribute(1, bytes(4))),
    )


def _lookup(name: str) -> bytes:
    return _expression("lookup", attribute(1, text(name)), attribute(2, _big(1)))


_ACCEPT = _expression("immediate", attribute(1, _big(0)), nested(2, nested(2, attribute(1, _big(1)))))
_TCP = _meta(_META_PROTOCOL) + _compare(_PROTOCOLS["tcp"])
_ESTABLISHED = (
    _expression("ct", attribute(1, _big(1)), attribute(2, _big(0)))
    + _mask(struct.pack("=I", 6))
    + _compare(bytes(4), _NOT_EQUAL)
)


class Firewall(Netlink):
    """Of the tasks' own network only."""

    def __init__(self) -> None:
        super().__init__(_NETFILTER)
        self._sets: dict[str, str] = {}
        self._batch(
            (_NEWTABLE, attribute(1, text(_TABLE))),
            _chain("forward", "filter", 2, 0, 0),
            _rule("forward", _ESTABLISHED, _ACCEPT),
        )

    def redirect(self, network: str, gateway: str, relay_port: int) -> None:
        """Send TCP that is for the gateway, or leaves the network, to the relay. `network` begins its /16."""
        redirect = _expression(
            "immediate", attribute(1, _big(1)), nested(2, attribute(1, struct.pack(">H", relay_port)))
        ) + _expression("redir", attribute(1, _big(1)))
        to_gateway = _load(_NETWORK_HEADER, _DESTINATION, 4) + _compare(socket.inet_aton(gateway))
        leaves = (
            _load(_NETWORK_HEADER, _DESTINATION, 4)
            + _mask(b"\xff\xff\0\0")
            + _compare(socket.inet_aton(network), _NOT_EQUAL)
        )
        self._batch(
            _chain("egress", "nat", 0, -100, 1),
            _rule("egress", _TCP, to_gateway, redirect),
            _rule("egress", _TCP, leaves, redirect),
        )

    def replace(self, rules: Iterable[Rule]) -> None:
        """Let these rules be the only ones, in one transaction."""
        rules = list(rules)
        for rule in rules:
            for group in (rule.source, rule.target):
                if not is_range(group):
                    self._set_of(group)
        self._batch(
            (_DELRULE, attribute(1, text(_TABLE)) + attribute(2, text("forward"))),
            _rule("forward", _ESTABLISHED, _ACCEPT),
            *(
                _rule("forward", self._source(rule), self._target(rule), _ports(rule), _ACCEPT)
                for rule in rules
            ),
        )

    def member(self, groups: Iterable[str], address: str, *, remove: bool = False) -> None:
        """Put an address into groups, or take it out."""
        element = nested(3, nested(1, nested(1, attribute(1, socket.inet_aton(address)))))
        kind = _DELELEMENT if remove else _NEWELEMENT
        changes = [
            (kind, attribute(1, text(_TABLE)) + attribute(2, text(self._set_of(g))) + element)
            for g in set(groups)
        ]
        if changes:
            self._batch(*changes)

    def _set_of(self, group: str) -> str:
        if group not in self._sets:
            name, number = f"g{len(self._sets)}", len(self._sets) + 1
            body = attribute(1, text(_TABLE)) + attribute(2, text(name)) + attribute(3, _big(0))
            body += attribute(4, _big(7)) + attribute(5, _big(4)) + attribute(10, _big(number))
            self._batch((_NEWSET, body))
            self._sets[group] = name
        return self._sets[group]

    def _source(self, rule: Rule) -> bytes:
        source = _load(_NETWORK_HEADER, _SOURCE, 4)
        if not is_range(rule.source):
            return source + _lookup(self._sets[rule.source])
        network = ipaddress.IPv4Network(rule.source, strict=False)
        return source + _mask(network.netmask.packed) + _compare(network.network_address.packed)

    def _target(self, rule: Rule) -> bytes:
        return _load(_NETWORK_HEADER, _DESTINATION, 4) + _lookup(self._sets[rule.target])

    def _batch(self, *messages: tuple[int, bytes]) -> None:
        edge = struct.pack(">BBH", 0, 0, _NFTABLES)
        data = self.message(0x10, 0, edge)
        for position, (number, body) in enumerate(messages, 1):
            flags = {_DELRULE: 0, _DELELEMENT: 0, _NEWRULE: CREATE | _APPEND}.get(number, CREATE)
            flags |= ACK if position == len(messages) else 0
            data += self.message(
                _NFTABLES << 8 | number, flags, struct.pack(">BBH", socket.AF_INET, 0, 0) + body
            )
        last = self._sequence
        self.send(data + self.message(0x11, 0, edge), last)


def is_range(source: str) -> bool:
    """Whether a rule's source is an address range, not a group."""
    return "/" in source


def _ports(rule: Rule) -> bytes:
    if rule.protocol not in _PROTOCOLS:
        return b""
    only = _meta(_META_PROTOCOL) + _compare(_PROTOCOLS[rule.protocol])
    if rule.protocol == "icmp" or (rule.port_from, rule.port_to) == _ALL_PORTS:
        return only
    port = _load(_TRANSPORT_HEADER, 2, 2)
    low, high = struct.pack(">H", rule.port_from), struct.pack(">H", rule.port_to)
    return only + port + _compare(low, _AT_LEAST) + _compare(high, _AT_MOST)


def _chain(name: str, kind: str, hook: int, priority: int, policy: int) -> tuple[int, bytes]:
    where = nested(4, attribute(1, _big(hook)), attribute(2, struct.pack(">i", priority)))
    body = attribute(1, text(_TABLE)) + attribute(3, text(name)) + where
    return _NEWCHAIN, body + attribute(5, _big(policy)) + attribute(7, text(kind))


def _rule(chain: str, *expressions: bytes) -> tuple[int, bytes]:
    return _NEWRULE, attribute(1, text(_TABLE)) + attribute(2, text(chain)) + nested(4, *expressions)
