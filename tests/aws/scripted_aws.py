"""An HTTP server in AWS's place, which answers every operation from a script."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trio


@dataclass(frozen=True, slots=True)
class Ok:
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fail:
    code: str
    message: str = "because"
    status: int = 400
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Raw:
    body: bytes
    status: int = 200


@dataclass(frozen=True, slots=True)
class Drop:
    """The request arrives, the answer does not."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The answer waits until the test releases it."""

    then: Ok | Fail = field(default_factory=Ok)
    released: threading.Event = field(default_factory=threading.Event)


Answer = Ok | Fail | Raw | Drop | Hold


class ScriptedAws:
    """Answers in the order of the script; the last one of an operation repeats."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.request_ids: list[str] = []
        self.most_at_once = 0
        self._now = 0
        self._script: dict[str, list[Answer]] = defaultdict(list)
        self._changed = threading.Condition()

    def answer(self, operation: str, *answers: Answer) -> None:
        self._script[operation] = list(answers)

    def params(self, operation: str) -> list[dict[str, Any]]:
        return [params for name, params in self.requests if name == operation]

    async def arrived(self, operation: str, count: int = 1) -> None:
        """Wait until that many requests for the operation have come."""

        def wait() -> None:
            with self._changed:
                assert self._changed.wait_for(lambda: len(self.params(operation)) >= count, 10)

        await trio.to_thread.run_sync(wait)

    def begin(self, operation: str, params: dict[str, Any]) -> tuple[str, Answer]:
        with self._changed:
            script = self._script[operation]
            found = script.pop(0) if len(script) > 1 else script[0]
            request_id = f"request-{len(self.requests) + 1}"
            self.requests.append((operation, params))
            self.request_ids.append(request_id)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            self._changed.notify_all()
        return request_id, found

    def end(self) -> None:
        with self._changed:
            self._now -= 1

    def release(self) -> None:
        for script in self._script.values():
            for answer in script:
                if isinstance(answer, Hold):
                    answer.released.set()


@contextmanager
def scripted_aws() -> Iterator[ScriptedAws]:
    aws = ScriptedAws()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].rsplit(".", 1)[-1]
            request_id, answer = aws.begin(operation, json.loads(body))
            try:
                if isinstance(answer, Hold):
                    answer.released.wait(10)
                    answer = answer.then
                self._send(request_id, answer)
            finally:
                aws.end()

        def _send(self, request_id: str, answer: Answer) -> None:
            match answer:
                case Ok(body):
                    self._reply(request_id, 200, json.dumps(body).encode())
                case Fail(code, message, status, extra):
                    told = {"__type": code, "message": message, **extra}
                    self._reply(request_id, status, json.dumps(told).encode())
                case Raw(data, status):
                    self._reply(request_id, status, data)
                case _:
                    self.close_connection = True

        def _reply(self, request_id: str, status: int, body: bytes) -> None:
            head = (
                f"HTTP/1.1 {status} x\r\nContent-Type: application/x-amz-json-1.1\r\n"
                f"x-amzn-RequestId: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            self.wfile.write(head.encode() + body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that was abandoned

    server = Server(("127.0.0.1", 0), Handler)
    aws.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield aws
    finally:
        aws.release()
        server.shutdown()
        thread.join()
        server.server_close()
