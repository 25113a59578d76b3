"""Sockets that systemd opened for us (socket activation)."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import MutableMapping
from typing import Any

import trio

from sockerless_ecs.errors import Misconfigured
from sockerless_ecs.http.listeners import keep_alive

_FIRST_DESCRIPTOR = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_INTERNAL = "backend"
_DOCKER = "docker"


def inherited_sockets(environ: MutableMapping[str, str], pid: int) -> dict[str, list[socket.socket]]:
    """The sockets that were opened for this process, as `docker` and `backend` (which no name means as well).

    The variables are taken away, so that no child thinks that they are its own; those of another process are
    ignored. Misconfigured: something is no listening stream socket, or its name says nothing to us.
    """
    listen_pid, count, names = (environ.pop(name, "") for name in _VARIABLES)
    found: dict[str, list[socket.socket]] = {_DOCKER: [], _INTERNAL: []}
    if listen_pid != str(pid) or not count.isdecimal():
        return found
    named = names.split(":")
    try:
        for index in range(int(count)):
            name = _api(named[index] if index < len(named) else "")
            found[name].append(_listening(_FIRST_DESCRIPTOR + index, name))
    except BaseException:
        for sockets in found.values():
            for sock in sockets:
                sock.close()
        raise
    return found


def inherited_listener(sock: socket.socket, tls: ssl.SSLContext | None) -> trio.abc.Listener[Any]:
    """Accept on it, with TLS if it is TCP and there is a context; a Unix socket's file stays at the end."""
    sock.setblocking(False)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    if sock.family == socket.AF_UNIX:
        return listener
    keep_alive(listener.socket)
    return listener if tls is None else trio.SSLListener(listener, tls, https_compatible=True)


def is_beyond_this_machine(sock: socket.socket) -> bool:
    """Whether somebody elsewhere could reach it."""
    return sock.family != socket.AF_UNIX and not ipaddress.ip_address(sock.getsockname()[0]).is_loopback


def _api(name: str) -> str:
    # systemd's own name for a socket without one is that of its unit.
    if name in ("", "unknown", "stored", "connection") or name.endswith(".socket"):
        return _INTERNAL
    if name not in (_INTERNAL, _DOCKER):
        raise Misconfigured(
            f"systemd passed a socket named {name!r}: FileDescriptorName= must be {_INTERNAL} (the internal "
            f"API) or {_DOCKER} (the Docker API)"
        )
    return name


def _listening(descriptor: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise Misconfigured(f"systemd passed descriptor {descriptor} ({name}): {error.strerror}") from error
    reason = _unfit(sock)
    if reason is not None:
        sock.close()
        raise Misconfigured(f"systemd passed descriptor {descriptor} ({name}), which {reason}")
    return sock


def _unfit(sock: socket.socket) -> str | None:
    known = sock.family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
    if not known or sock.type != socket.SOCK_STREAM:
        return "is no stream socket (ListenStream=)"
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen (Accept= must be no)"
    return None
