"""One HTTP/1.1 exchange with an agent, as far as agents speak it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from sockerless_ecs.agent.protocol import AgentLost
from sockerless_ecs.agent.tls import TlsStream

UPGRADED = 101
_HEAD_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body; after an upgrade `body` is what the stream has brought already."""

    status: int
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A connection that has become a stream; `early` came with the answer's head and is read first."""

    stream: TlsStream
    headers: Mapping[str, str]
    """The answer's, by lower-case names."""
    early: bytes


async def exchange(
    stream: TlsStream, method: str, path: str, body: object = None, *, upgrade: bool = False
) -> Answer:
    """Ask and read the whole answer; raises `AgentLost`. A cancellation leaves the stream unusable."""
    content = b"" if body is None else msgspec.json.encode(body)
    head = f"{method} {path} HTTP/1.1\r\nHost: agent\r\nContent-Length: {len(content)}\r\n"
    if upgrade:
        head += "Connection: Upgrade\r\nUpgrade: sockerless\r\n"
    await stream.send_all(head.encode() + b"\r\n" + content)
    data = b""
    while b"\r\n\r\n" not in data:
        data += await _more(stream)
        if len(data) > _HEAD_LIMIT and b"\r\n\r\n" not in data:
            raise AgentLost("the agent does not speak HTTP")
    raw_head, _, rest = data.partition(b"\r\n\r\n")
    status, headers, length = _parse(raw_head)
    if status == UPGRADED:
        return Answer(status, headers, rest)
    while len(rest) < length:
        rest += await _more(stream)
    return Answer(status, headers, rest)


def _parse(head: bytes) -> tuple[int, dict[str, str], int]:
    """The status, the headers and the length of the body."""
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        return int(status_line.split()[1]), headers, int(headers.get("content-length", "0"))
    except (ValueError, IndexError) as error:
        raise AgentLost("the agent does not speak HTTP") from error


async def _more(stream: TlsStream) -> bytes:
    data = await stream.receive_some()
    if not data:
        raise AgentLost("the agent hung up instead of answering")
    return data
