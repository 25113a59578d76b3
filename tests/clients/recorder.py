"""A client that remembers every answer, so that two engines' answers can be laid beside each other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.clients.comparison import Allowed, differences
from tests.clients.engines import IMAGE, VERSION, Target
from tests.dockerd import client

_HEADERS = ("content-type", "api-version", "ostype", "docker-experimental")


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
    answers: list[Answer] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, target: str, *, body: Any = None, content: str = "", **query: Any) -> Answer:
        """One call, remembered."""
        with client(self.engine.socket) as http:
            sent: dict[str, Any] = {"json": body} if body is not None else {}
            if content:
                sent = {"content": content, "headers": {"Content-Type": "application/json"}}
            answer = http.request(method, f"/{VERSION}{target}", params=query or None, **sent)
        headers = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
        said = Answer(
            self._alike(f"{method} {target} {query or body or content or ''}".strip()),
            answer.status_code,
            headers,
            _body(answer),
        )
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
    recorder = Recorder(engine)
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
    return answer.text if answer.headers.get("content-type", "").startswith("text/") else None
