"""The sandbox's registry as a server: threads on 127.0.0.1, one per connection."""

from __future__ import annotations

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, cast

from sockerless_ecs.model.reference import DOCKER_HUB
from sockerless_ecs.registry import Login
from sockerless_ecs.sandbox.registry.body import BadBody, Body
from sockerless_ecs.sandbox.registry.host import store_host_image
from sockerless_ecs.sandbox.registry.resolve import ResolvedImage, resolve
from sockerless_ecs.sandbox.registry.routes import Request, Response, answer
from sockerless_ecs.sandbox.registry.storage import Storage

_IDLE_SECONDS = 60.0
_CHUNK = 1 << 18
_MOST_DRAINED = 1 << 20


class Registry:
    """A registry in a folder. It plays ECR, and a Docker Hub with what was pushed and `library/host`.

    What is below `private/` wants the login of `private.LOGIN`.
    """

    def __init__(self, folder: Path) -> None:
        self._storage = Storage(folder)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        store_host_image(self._storage)

    def serve(self) -> int:
        """Listen on a free port of 127.0.0.1, in a thread; the port."""
        if self._server is None:
            self._server = _Server(self._storage)
            self._thread = threading.Thread(target=self._server.run, name="registry", daemon=True)
            self._thread.start()
        return self._server.server_port

    def close(self) -> None:
        """Stop listening and cut the connections; the folder stays."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.stop()
            self._thread.join()
            server.server_close()

    def resolve(self, reference: str, architecture: str, login: Login | None = None) -> ResolvedImage:
        """What to unpack for a reference of ours, of docker.io or of ECR; raises `ImageNotFound`."""
        hosts = {DOCKER_HUB}
        if self._server is not None:
            hosts |= {f"{name}:{self._server.server_port}" for name in ("127.0.0.1", "localhost")}
        return resolve(self._storage, hosts, reference, architecture, login)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = False
        super().__init__(("127.0.0.1", 0), _Handler)

    def run(self) -> None:
        """Serve until `stop`; unlike serve_forever it sleeps between requests."""
        while not self._stopping:
            self.handle_request()

    def stop(self) -> None:
        """Make `run` return: it wakes for a connection."""
        self._stopping = True
        socket.create_connection(("127.0.0.1", self.server_port)).close()

    def server_bind(self) -> None:
        # HTTPServer looks its own name up, which may ask a name server.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of it on stderr; a client that goes away is no news."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    server_version = "sockerless-sandbox"
    sys_version = ""

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """The sandbox's log is for AWS calls."""

    def _serve(self) -> None:
        try:
            body = Body(cast("BinaryIO", self.rfile), self.headers)
            request = Request(method=self.command, target=self.path, headers=self.headers, body=body)
            response = answer(cast("_Server", self.server).storage, request)
            body.drain(_MOST_DRAINED)
        except BadBody:
            self.close_connection = True
            return
        self._send(response, reusable=body.finished)

    def _send(self, response: Response, *, reusable: bool) -> None:
        self.send_response(response.status)
        length = response.file[2] if response.file else len(response.body)
        headers = {**response.headers, "Docker-Distribution-Api-Version": "registry/2.0"}
        if response.status != 204:  # noqa: PLR2004 - No Content has no length
            headers["Content-Length"] = str(length)
        if not reusable:
            headers["Connection"] = "close"
            self.close_connection = True
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if response.file:
            path, first, size = response.file
            with path.open("rb") as file:
                self._copy(file, first, size)
        else:
            self.wfile.write(response.body)

    def _copy(self, file: BinaryIO, first: int, size: int) -> None:
        file.seek(first)
        while size and (chunk := file.read(min(size, _CHUNK))):
            self.wfile.write(chunk)
            size -= len(chunk)
