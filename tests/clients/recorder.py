"""A client that remembers every answer, so that two engines' answers can be laid beside each other."""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.clients.comparison import Allowed, differences
from tests.clients.engines import IMAGE, VERSION, Target
from tests.dockerd import client

_HEADERS = ("content-type", "api-version", "ostype", "docker-experimental")
_STREAMS = ("stdin", "stdout", "stderr")
_HEAD = 8
_RUNTIMES = (
    ("failed to create shim task: OCI runtime create failed: ", ""),
    ("runc create failed: unable to start container ", ""),
    ("failed to create task for container: failed to start the ", ""),
    (': unknown"', '"'),
    (": unknown\\r", "\\r"),
    ('exec: \\"/etc\\": permission denied', 'exec: \\"/etc\\": is a directory'),
)
"""What each runtime says before what is wrong, and what it has called otherwise over the years."""
_LOGS = "/logs?"
_PATH_STAT = "x-docker-container-path-stat"
_QUIET_SECONDS = 1
_SETTLED_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: what was asked, the status, the headers that clients read, the body (JSON taken apart)."""

    asked: str
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def json(self) -> Any:
        """The body of an answer that must have succeeded."""
        assert self.status < httpx.codes.BAD_REQUEST, self
        return self.body


@dataclass(slots=True)
class Recorder:
    """Talks to one engine; ids and names that were made there are written alike for both."""

    engine: Target
    http: httpx.Client
    answers: list[Answer] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)

    def call(
        self,
        method: str,
        target: str,
        *,
        body: Any = None,
        content: str | bytes = "",
        version: str = f"/{VERSION}",
        only: Callable[[Any], Any] = lambda body: body,
        **query: Any,
    ) -> Answer:
        """One call, remembered; `only`: what of its body is compared."""
        sent: dict[str, Any] = {"json": body} if body is not None else {}
        if content:
            sent = {"content": content, "headers": {"Content-Type": "application/json"}}
        answer = self.http.request(method, f"{version}{target}", params=query or None, **sent)
        headers = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
        asked = f"{method} {target} {query or body or (content if isinstance(content, str) else '')}".strip()
        found = _body(answer)
        if answer.is_success:
            found = only(found)
        if _PATH_STAT in answer.headers:
            stat = json.loads(base64.b64decode(answer.headers[_PATH_STAT]))
            found = {"stat": {**stat, "mtime": ""}}
        return self.note(asked, found, status=answer.status_code, headers=headers)

    def note(
        self, asked: str, body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Something seen that is to be the same."""
        said = Answer(self._alike(asked), status, headers or {}, body)
        self.answers.append(said)
        return said

    def container(self, container: str, verb: str, *, method: str = "POST", **more: Any) -> Answer:
        """One call on a container."""
        return self.call(method, f"/containers/{container}/{verb}", **more)

    def stream(
        self,
        target: str,
        body: Any = None,
        *,
        send: bytes = b"",
        upgrade: bool = True,
        meanwhile: Callable[[], object] | None = None,
        until: bytes = b"",
    ) -> None:
        """A hijack to its end: its head, and each stream's bytes in the order in which they came.

        `meanwhile` is done once the head is there; the half-close comes after `until`.
        """
        content = b"" if body is None else json.dumps(body).encode()
        asked = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else ""
        head = (
            f"POST /{VERSION}{target} HTTP/1.1\r\nHost: docker\r\n{asked}"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(_QUIET_SECONDS)
            connection.connect(str(self.engine.socket))
            connection.sendall(head.encode() + content)
            said = b""
            while b"\r\n\r\n" not in said:  # what comes sooner dockerd throws away
                said += _received(connection)
            if meanwhile is not None:
                meanwhile()
            connection.sendall(send)
            while until not in said:
                said += _received(connection)
            connection.shutdown(socket.SHUT_WR)
            ended = False
            while not ended:
                try:
                    data = connection.recv(65536)
                except TimeoutError:
                    break
                said, ended = said + data, not data
        head_said, _, data = said.partition(b"\r\n\r\n")
        lines = head_said.decode().split("\r\n")
        kept = sorted(line for line in lines[1:] if re.match("(?i)content-type|connection|upgrade", line))
        found = {"head": [lines[0], *kept], "data": unframed(data), "ended": ended}
        self.note(f"stream {target} {body or ''}", found)

    def events(self, since: float, last: str, **filters: list[str]) -> None:
        """What happened since then, once the last of it has."""
        deadline = time.monotonic() + _SETTLED_SECONDS
        found: list[Any] = []
        while time.monotonic() < deadline and not any(one["Action"].startswith(last) for one in found):
            query = {"since": f"{since:.9f}", "until": f"{time.time():.9f}", "filters": json.dumps(filters)}
            text = self.http.get(f"/{VERSION}/events", params=query).text
            found = [json.loads(line) for line in text.splitlines()]
        times = ("time", "timeNano")
        self.note(f"events {filters}", [{key: one[key] for key in one if key not in times} for one in found])

    def create(self, name: str, *cmd: str, **config: Any) -> str:
        """A container that both call by `name`."""
        host = {**config.pop("HostConfig", {}), "NetworkMode": self.engine.network}
        body = {"Image": IMAGE, "Cmd": ["/bin/program", *cmd], "HostConfig": host, **config}
        container = str(self.call("POST", "/containers/create", body=body, name=name).json["Id"])
        self.aliases[container] = f"<{name}>"
        self.aliases[container[:12]] = f"<{name[:12]}>"
        return container

    def forget_nameless_images(self) -> None:
        """Remove what a scenario has left of them: others count them."""
        dangling = {"filters": '{"dangling":["true"]}'}
        for image in self.http.get(f"/{VERSION}/images/json", params=dangling).json():
            self.http.delete(f"/{VERSION}/images/{image['Id']}").raise_for_status()

    def _alike(self, text: str) -> str:
        for words, later in _RUNTIMES:
            text = text.replace(words, later)
        for made, alias in sorted(self.aliases.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(made, alias)
        return text

    def seen(self) -> list[Answer]:
        """All answers with what is this engine's own written alike."""
        return [
            Answer(one.asked, one.status, one.headers, json.loads(self._alike(json.dumps(one.body))))
            for one in self.answers
        ]


Scenario = Callable[[Recorder], None]


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "ended too early"
    return data


def unframed(data: bytes) -> list[tuple[str, str]]:
    """Frames as (stream, text), neighbours of one stream joined; what has no frames as it is."""
    found: list[tuple[str, str]] = []
    while len(data) >= _HEAD and data[0] <= len(_STREAMS) - 1 and data[1:4] == bytes(3):
        size = int.from_bytes(data[4:8], "big")
        name, text = _STREAMS[data[0]], data[_HEAD : _HEAD + size].decode(errors="backslashreplace")
        data = data[_HEAD + size :]
        if found and found[-1][0] == name:
            text = found.pop()[1] + text
        found.append((name, text))
    return [*found, *([("raw", data.decode(errors="backslashreplace"))] if data else [])]


def compare(
    scenario: Scenario, ours: Target, real: Target, allowed: Allowed, later: Mapping[str, tuple[int, str]]
) -> list[str]:
    """Run a scenario on both; how their answers differ.

    `later`: what is asked → status and message that later versions of dockerd give, where they have changed;
    an empty message is any.
    """
    mine, theirs = (_recorded(scenario, engine) for engine in (ours, real))
    return [said for pair in zip(mine, theirs, strict=True) for said in _compared(*pair, allowed, later)]


def _recorded(scenario: Scenario, engine: Target) -> list[Answer]:
    with client(engine.socket) as http:
        recorder = Recorder(engine, http)
        scenario(recorder)
    return recorder.seen()


def _compared(
    mine: Answer, theirs: Answer, allowed: Allowed, later: Mapping[str, tuple[int, str]]
) -> Iterator[str]:
    assert mine.asked == theirs.asked
    status, body = theirs.status, theirs.body
    if mine.asked in later:
        status, message = later[mine.asked]
        body = {"message": message} if message else mine.body
    if mine.status != status:
        yield f"{mine.asked}: {mine.status} {mine.body}, dockerd: {status} {body}"
        return
    for said in differences(mine.body, body, allowed):
        yield f"{mine.asked}: {said}"
    for said in differences(mine.headers, theirs.headers, allowed):
        yield f"{mine.asked}: header {said}"


def _body(answer: httpx.Response) -> Any:
    if re.match(r"application/json", answer.headers.get("content-type", "")) and answer.content:
        lines = answer.text.strip().splitlines()
        return json.loads(lines[0]) if len(lines) == 1 else [json.loads(line) for line in lines]
    if answer.headers.get("content-type", "").startswith("text/"):
        return answer.text
    return unframed(answer.content) if _LOGS in str(answer.url) else None
