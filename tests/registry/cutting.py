"""A wire between a client and a registry that breaks when it is told to."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a connection breaks: after so many bytes to the registry, or from it."""

    sent: int | None = None
    received: int | None = None


class Wire:
    """Passes everything on; of `cuts` each breaks one connection, the first that gets so far."""

    def __init__(self, server: socket.socket, target: int) -> None:
        self._server = server
        self._target = target
        self._lock = threading.Lock()
        self.cuts: deque[Cut] = deque()
        self.host = f"127.0.0.1:{server.getsockname()[1]}"

    def run(self) -> None:
        """Until the server is closed."""
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as registry:
            back = threading.Thread(target=self._pump, args=(registry, client, "received"), daemon=True)
            back.start()
            self._pump(client, registry, "sent")
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket, direction: str) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(_PIECE):
                left = self._left(direction, passed)
                if left is not None and left < len(data):
                    sink.sendall(data[:left])
                    self.cuts.popleft()
                    break
                sink.sendall(data)
                passed += len(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _left(self, direction: str, passed: int) -> int | None:
        """How much may still pass."""
        with self._lock:
            limit = getattr(self.cuts[0], direction) if self.cuts else None
            return None if limit is None else max(0, limit - passed)


@contextmanager
def breaking_wire(port: int) -> Iterator[Wire]:
    """To a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = Wire(server, port)
        thread = threading.Thread(target=wire.run, daemon=True)
        thread.start()
        yield wire
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
