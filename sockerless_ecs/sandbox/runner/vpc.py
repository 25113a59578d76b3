"""The tasks' network: one anonymous namespace as a router, with a link and a /32 for each task.

Nothing of the machine's forwarding, nftables or iptables is touched; what is made there is one link and
one route, and both vanish with our namespace.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sockerless_ecs.sandbox.runner import kernel
from sockerless_ecs.sandbox.runner.netlink import Links
from sockerless_ecs.sandbox.runner.place import Place
from sockerless_ecs.sandbox.runner.spec import Mode, RunnerError

#: Where the relay listens in the tasks' network for what would leave it.
RELAY_PORT: Final = 1
_GATEWAY_LINK = 2
_FIRST_OCTET = {Mode.FULL: 10, Mode.ROOTLESS: 127, Mode.BARE: 127}
_PREFERRED = {10: 231, 127: 77}


@dataclass(frozen=True, slots=True)
class Range:
    """A /16 that is ours on this machine as long as `claim` is open."""

    prefix: str
    claim: socket.socket

    @property
    def network(self) -> str:
        """Its first address."""
        return f"{self.prefix}.0.0"

    @property
    def gateway(self) -> str:
        """The address that stands for the machine's loopback."""
        return f"{self.prefix}.0.1"

    @property
    def machine(self) -> str:
        """The address the machine has in it (full mode)."""
        return f"{self.prefix}.0.2"


def claim_range(mode: Mode) -> Range:
    """A /16 that neither the machine's routes nor another sandbox use; raises `RunnerError`."""
    first = _FIRST_OCTET[mode]
    preferred = _PREFERRED[first]
    routed = _routed(first)
    octets = [preferred, *(octet for octet in range(254, 15, -1) if octet != preferred)]
    for octet in sorted(octets, key=lambda octet: octet in routed):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:  # an abstract name: one per network namespace, like addresses, and gone with the process
            claim.bind(f"\0sockerless-sandbox-{first}.{octet}")
        except OSError:
            claim.close()
            continue
        return Range(f"{first}.{octet}", claim)
    raise RunnerError(f"every address range {first}.x.0.0/16 is taken by other sandboxes")


def _routed(first: int) -> set[int]:
    taken: set[int] = set()
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            fields = line.split()
            address, mask = (struct.unpack("4B", struct.pack("<I", int(fields[at], 16))) for at in (1, 7))
            if mask[0] == 0:
                continue  # the default route
            taken |= {octet for octet in range(256) if address[:2] == (first & mask[0], octet & mask[1])}
    return taken


def build(own: Range, mode: Mode) -> None:
    """Leave the machine's network for a new one that routes between tasks and (full mode) to the machine."""
    machine = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    outside = Links()
    kernel.unshare(kernel.NEWNET)
    inside = Links()
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")  # of the tasks' network only
    if mode is Mode.ROOTLESS:
        inside.narrow_loopback()
    else:
        Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("1")  # a task cannot speak as another
        inside.up(1)
        _join_machine(own, inside, outside, machine)
    inside.close()
    outside.close()
    os.close(machine)


def _join_machine(own: Range, inside: Links, outside: Links, machine: int) -> None:
    there = random.SystemRandom().randrange(1 << 20, 1 << 30)  # any free interface number
    inside.veth("host", _GATEWAY_LINK, f"sless{there:x}", there, machine)
    inside.address(_GATEWAY_LINK, own.gateway)
    inside.up(_GATEWAY_LINK)
    outside.address(there, own.machine)
    outside.up(there)
    outside.route(there, own.gateway, 32)
    outside.route(there, own.network, 16, via=own.gateway, source=own.machine)
    inside.route(_GATEWAY_LINK, own.machine, 32)


def attach(place: Place) -> None:
    """Give the calling process, which is still in the router's network, a network of its own linked to it."""
    router, shared = Links(), os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    kernel.unshare(kernel.NEWNET)
    own = Links()
    own.veth("eth0", 2, f"v{place.index}", place.index, shared)
    if place.mode is Mode.ROOTLESS:
        # The task's address is one of 127/8, the same inside and on the machine: here an ordinary one.
        own.narrow_loopback()
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")  # as Docker does
    router.address(place.index, place.gateway)
    router.up(place.index)
    router.route(place.index, place.address, 32)
    own.up(1)
    own.address(2, place.address)
    own.up(2)
    own.route(2, place.gateway, 32)
    own.route(2, "0.0.0.0", 0, via=place.gateway, source=place.address)  # noqa: S104 - the default route
    router.close()
    own.close()
    os.close(shared)
