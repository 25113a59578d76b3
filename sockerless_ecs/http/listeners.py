"""Where the server listens: Unix sockets that never steal a live one, TCP, and mutual TLS."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import secrets
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from sockerless_ecs.errors import Misconfigured

_BACKLOG = 1024
_PATH_BYTES = 107
"""The longest path that a client can connect to."""


class UnixListener(trio.abc.Listener[trio.SocketStream]):
    """A listening Unix socket whose file goes away with it."""

    def __init__(self, path: Path, listener: trio.SocketListener) -> None:
        self.path = path
        self._listener = listener
        self._identity = _identity(path)

    async def accept(self) -> trio.SocketStream:
        """The next connection."""
        return await self._listener.accept()

    async def aclose(self) -> None:
        """Close, and remove the file if it is still ours."""
        if self._identity is not None and _identity(self.path) == self._identity:
            self.path.unlink(missing_ok=True)
        self._identity = None
        await self._listener.aclose()


def unix_listener(path: str | Path, *, mode: int = 0o660, group: str | None = None) -> UnixListener:
    """Listen on `path`; a stale socket is replaced. Misconfigured: it is live, or cannot be made."""
    path = Path(path).absolute()
    if len(os.fsencode(path)) > _PATH_BYTES:
        raise _refusal(path, f"the path is longer than {_PATH_BYTES} bytes")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _folder_locked(path) as folder:
            _refuse_live(path)
            _bind(sock, path, folder, mode, group)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return UnixListener(path, trio.SocketListener(trio.socket.from_stdlib_socket(sock)))


@contextmanager
def _folder_locked(path: Path) -> Iterator[int]:
    """The folder's descriptor, locked: of two daemons that start at once, one sees the other."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _refusal(path, f"{path.parent}: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(folder)


def _refuse_live(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise _refusal(path, "the file is there and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        answer = probe.connect_ex(os.fspath(path))
    if answer == errno.ECONNREFUSED:
        return
    if answer in (0, errno.EAGAIN, errno.EINPROGRESS):
        raise _refusal(path, "another server is listening there")
    if answer != errno.ENOENT:
        raise _refusal(path, os.strerror(answer))


def _bind(sock: socket.socket, path: Path, folder: int, mode: int, group: str | None) -> None:
    """Bind a temporary name, set who may connect, listen, and only then take the name."""
    temporary = f".{secrets.token_hex(8)}.sock"
    try:
        sock.bind(f"/proc/self/fd/{folder}/{temporary}")
        try:
            if group is not None:
                os.chown(temporary, -1, _group_id(path, group), dir_fd=folder)
            os.chmod(temporary, mode, dir_fd=folder)
            sock.listen(_BACKLOG)
            os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
    except OSError as error:
        raise _refusal(path, error.strerror or str(error)) from error


def _group_id(path: Path, group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise _refusal(path, f"there is no group {group!r}") from None


def _refusal(path: Path, reason: str) -> Misconfigured:
    return Misconfigured(f"cannot listen on the Unix socket {path}: {reason}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def tcp_listeners(
    host: str, port: int, tls: ssl.SSLContext | None = None
) -> list[trio.SocketListener | trio.SSLListener[trio.SocketStream]]:
    """Listen on every address of `host`; port 0 takes a free one. Misconfigured: it cannot be had."""
    try:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Misconfigured(f"cannot listen on {host}:{port}: {reason}") from error
    for listener in listeners:
        keep_alive(listener.socket)
    if tls is None:
        return list(listeners)
    return [trio.SSLListener(listener, tls, https_compatible=True) for listener in listeners]


def keep_alive(listening: trio.socket.SocketType) -> None:
    """Connections inherit it: a client whose machine vanished is noticed within two minutes."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4)):
        listening.setsockopt(socket.IPPROTO_TCP, option, value)


def mutual_tls(certificate: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """A context that serves with `certificate` and admits only clients that `client_ca` signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise Misconfigured(f"TLS certificate {certificate} with key {key}: {error}") from error
    try:
        context.load_verify_locations(client_ca)
    except (OSError, ValueError) as error:
        raise Misconfigured(f"TLS client CA {client_ca}: {error}") from error
    return context
