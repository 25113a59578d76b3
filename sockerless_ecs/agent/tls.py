"""TLS over a trio socket that hands over everything that has arrived in one read."""

from __future__ import annotations

import select
import ssl

import trio

from sockerless_ecs.agent.protocol import AgentLost, AgentUnreachable

_FIRST_READ_BYTES, _READ_BYTES = 4 * 1024, 256 * 1024
"""Most connections are silent: the place that is read into grows when it was too small."""
_KEEPALIVE = {
    trio.socket.TCP_KEEPIDLE: 15,
    trio.socket.TCP_KEEPINTVL: 5,
    trio.socket.TCP_KEEPCNT: 3,
}


class TlsStream:
    """A connection of ours; one task at a time sends, one receives.

    `trio.SSLStream` returns one 16 KiB record per call and pays two locks and a checkpoint for
    each. Half-close does not exist here: the protocol says by itself where input ends. Closing is
    synchronous, so that nothing can come between an owner and the end of its socket.
    """

    def __init__(self, sock: trio.socket.SocketType, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self._scratch = bytearray(_FIRST_READ_BYTES)

    @classmethod
    async def connect(cls, address: str, port: int, context: ssl.SSLContext) -> TlsStream:
        """Connect and shake hands; raises `AgentUnreachable`. A cancellation leaves no socket."""
        family = trio.socket.AF_INET6 if ":" in address else trio.socket.AF_INET
        sock = trio.socket.socket(family)
        try:
            sock.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
            sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE.items():  # a machine that vanished is noticed in 30 s
                sock.setsockopt(trio.socket.IPPROTO_TCP, option, value)
            await sock.connect((address, port))
            stream = cls(sock, context)
            await stream._handshake()
        except (OSError, AgentLost) as error:
            sock.close()
            raise AgentUnreachable(f"no agent answers at {address}:{port}: {error}") from error
        except BaseException:
            sock.close()
            raise
        return stream

    def peer_certificate(self) -> bytes:
        """What the other end presented, DER."""
        return self._tls.getpeercert(binary_form=True) or b""

    def is_silent(self) -> bool:
        """Whether nothing has arrived, not even an end: an idle connection that is fit for use."""
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN | select.POLLRDHUP)
        return not poll.poll(0)

    async def receive_some(self) -> bytes:
        """At least one byte; `b""` after close_notify. Raises `AgentLost` when it was cut."""
        view, size = memoryview(self._scratch), 0
        while True:
            try:
                while size < len(view):
                    got: int = self._tls.read(len(view) - size, view[size:])  # type: ignore[assignment]
                    if not got:
                        break
                    size += got
                if size == len(view) < _READ_BYTES:
                    self._scratch = bytearray(_READ_BYTES)
                return bytes(view[:size])
            except ssl.SSLWantReadError:
                if size:
                    return bytes(view[:size])
            except ssl.SSLZeroReturnError:
                return bytes(view[:size])
            except ssl.SSLError as error:
                if size:
                    return bytes(view[:size])  # the cut is told at the next read
                raise AgentLost(f"the connection to the agent was cut: {error}") from error
            await self._fill()

    async def send_all(self, data: bytes) -> None:
        """Send it; raises `AgentLost`. A cancellation leaves the connection unusable."""
        view = memoryview(data)
        for start in range(0, len(view), _READ_BYTES):
            self._tls.write(view[start : start + _READ_BYTES])
            await self._flush()

    def close(self) -> None:
        """Let go of the socket at once."""
        self._sock.close()

    async def _handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            else:
                return await self._flush()

    async def _fill(self) -> None:
        try:
            data = await self._sock.recv(_READ_BYTES)
        except OSError as error:
            raise AgentLost(f"the connection to the agent was cut: {error}") from error
        if not data:
            # Said here, since some OpenSSLs take a missing close_notify for a proper end: everything that
            # had arrived before was read, and no close_notify was among it.
            raise AgentLost("the connection to the agent was cut")
        self._in.write(data)

    async def _flush(self) -> None:
        pending = memoryview(self._out.read())
        try:
            while pending:
                pending = pending[await self._sock.send(pending) :]
        except OSError as error:
            raise AgentLost(f"the connection to the agent was cut: {error}") from error
