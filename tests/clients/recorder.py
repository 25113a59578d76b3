"""A client that remembers every answer, so that two engines' answers can be laid beside each other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.clients.comparison import Allowed, differences
from tests.clients.engines import IMAGE, VERSION, Target
from tests.dockerd import client

_HEADERS = ("content-type", "api-version", "ostype", "docker-experimental")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: what was asked, the status, the headers that clients read, and the body, JSON taken apart."""

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
    answers: list[Answer] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)

    def call(
        self, method: str, path: str, *, body: Any = None, content: bytes | None = None, **query: Any
    ) -> Answer:
        """One call, remembered."""
        with client(self.engine.socket) as http:
            sent: dict[str, Any] = {"json": body} if body is not None else {}
            if content is not None:
                sent = {"content": content, "headers": {"Content-Type": "application/json"}}
            answer = http.request(method, f"/{VERSION}{path}", params=query, **sent)
        headers = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
        said = Answer(self._alike(f"{method} {path}"), answer.status_code, headers, _body(answer))
        self.answers.append(said)
        return said

    def create(self, name: str, *cmd: str, **config: Any) -> str:
        """A container that both call by `name`."""
        host = {**config.pop("HostConfig", {}), "NetworkMode": self.engine.network}
        body = {"Image": IMAGE, "Cmd": ["/bin/program", *cmd], "HostConfig": host, **config}
        container = str(self.call("POST", "/containers/create", body=body, name=name).json["Id"])
        self.aliases[container] = f"<{name}>"
        self.aliases[container[:12]] = f"<{name[:12]}>"
        return container

    def _alike(self, text: str) -> str:
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


def compare(scenario: Scenario, ours: Target, real: Target, allowed: Allowed) -> list[str]:
    """Run a scenario on both; how their answers differ."""
    recorded = []
    for engine in (ours, real):
        recorder = Recorder(engine)
        scenario(recorder)
        recorded.append(recorder.seen())
    found = []
    for mine, theirs in zip(*recorded, strict=True):
        assert mine.asked == theirs.asked
        if mine.status != theirs.status:
            found.append(f"{mine.asked}: {mine.status} {mine.body}, dockerd: {theirs.status} {theirs.body}")
            continue
        found += [f"{mine.asked}: {said}" for said in differences(mine.body, theirs.body, allowed)]
        found += [
            f"{mine.asked}: header {said}" for said in differences(mine.headers, theirs.headers, allowed)
        ]
    return found


def _body(answer: httpx.Response) -> Any:
    if re.match(r"application/json", answer.headers.get("content-type", "")) and answer.content:
        lines = answer.text.strip().splitlines()
        return json.loads(lines[0]) if len(lines) == 1 else [json.loads(line) for line in lines]
    return answer.text if answer.headers.get("content-type", "").startswith("text/") else None
