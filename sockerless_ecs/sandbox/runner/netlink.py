"""Links, addresses and routes over raw netlink: no `ip`, no package."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Final

ACK: Final = 4
CREATE: Final = 0x400
EXCLUSIVE: Final = 0x200
_NLMSG_ERROR = 2


def attribute(kind: int, *values: bytes) -> bytes:
    """One netlink attribute, padded."""
    data = b"".join(values)
    return struct.pack("=HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)


def nested(kind: int, *values: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | 0x8000, *values)


def text(value: str) -> bytes:
    """A string as netlink wants it."""
    return value.encode() + b"\0"


class Netlink:
    """A netlink socket; it belongs to the network namespace it was opened in, for good."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def message(self, kind: int, flags: int, body: bytes) -> bytes:
        """One message with its header."""
        self._sequence += 1
        return struct.pack("=IHHII", 16 + len(body), kind, flags | 1, self._sequence, 0) + body

    def send(self, data: bytes, last: int | None = None) -> None:
        """Send messages and wait for the answer to number `last`, or the latest; raises `OSError`."""
        last = last or self._sequence
        self._socket.send(data)
        failure = 0
        while True:
            reply = self._socket.recv(1 << 16)
            while reply:
                length, kind, _, sequence = struct.unpack_from("=IHHI", reply)
                if kind == _NLMSG_ERROR:  # which is also how success is said
                    failure = failure or struct.unpack_from("=i", reply, 16)[0]
                    if sequence >= last:
                        if failure:
                            raise OSError(-failure, f"netlink: {os.strerror(-failure)}")
                        return
                reply = reply[(length + 3) & ~3 :]


class Links(Netlink):
    """rtnetlink: interfaces, addresses, routes."""

    def __init__(self) -> None:
        super().__init__(0)

    def veth(self, name: str, index: int, peer: str, peer_index: int, peer_namespace: int) -> None:
        """Make a pair; its far end is born in `peer_namespace` (a descriptor)."""
        far = struct.pack("=BxHiII", 0, 0, peer_index, 0, 0) + attribute(3, text(peer))
        far += attribute(28, struct.pack("=I", peer_namespace))
        info = nested(18, attribute(1, b"veth"), nested(2, attribute(1, far)))
        body = struct.pack("=BxHiII", 0, 0, index, 0, 0) + attribute(3, text(name)) + info
        self.send(self.message(16, CREATE | EXCLUSIVE | ACK, body))

    def up(self, index: int) -> None:
        """Set an interface up."""
        self.send(self.message(16, ACK, struct.pack("=BxHiII", 0, 0, index, 1, 1)))

    def remove(self, index: int) -> None:
        """Delete an interface, and with it its peer."""
        self.send(self.message(17, ACK, struct.pack("=BxHiII", 0, 0, index, 0, 0)))

    def narrow_loopback(self) -> None:
        """Only 127.0/16 stays ours (up first: coming up gives lo its /8); the rest of 127/8 can be routed."""
        self.up(1)
        self.address(1, "127.0.0.1", 8, remove=True)
        self.address(1, "127.0.0.1", 16)
        Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text("1")

    def address(self, index: int, address: str, prefix: int = 32, *, remove: bool = False) -> None:
        """Give an interface an address, or take it away."""
        packed = socket.inet_aton(address)
        body = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, 0, index)
        body += attribute(1, packed) + attribute(2, packed)
        self.send(self.message(21 if remove else 20, ACK if remove else CREATE | ACK, body))

    def route(self, index: int, target: str, prefix: int, via: str = "", source: str = "") -> None:
        """Route `target`/`prefix` to an interface, on link or via a gateway."""
        scope, flags = (0, 4) if via else (253, 0)
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, prefix, 0, 0, 254, 3, scope, 1, flags)
        body += attribute(1, socket.inet_aton(target)) + attribute(4, struct.pack("=I", index))
        body += attribute(5, socket.inet_aton(via)) if via else b""
        body += attribute(7, socket.inet_aton(source)) if source else b""
        self.send(self.message(24, CREATE | ACK, body))
