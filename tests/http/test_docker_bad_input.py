"""What makes no sense is refused with Docker's status and words, on a connection that stays usable."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from sockerless_ecs.http.docker import ROUTES as DOCKER
from sockerless_ecs.http.docker import containers, execs
from sockerless_ecs.http.internal import ROUTES as INTERNAL
from sockerless_ecs.http.internal import containers as internal_containers
from sockerless_ecs.http.internal import execs as internal_execs
from sockerless_ecs.http.route import AnyRoute, Route
from tests.http.conftest import Served
from tests.http.hijacked import UPGRADE
from tests.http.wire import Wire

V1 = "/internal/v1"
NEEDED = {"archive": "?path=/", "resize": "?h=1&w=1", "logs": "?stdout=1", "rename": "?name=b"}


def named(routes: tuple[AnyRoute, ...], prefix: str) -> Iterator[tuple[str, str]]:
    """Every call on one container or exec, with what it needs besides."""
    for route in routes:
        if "<ref:ref>" in route.path:
            method = route.method if isinstance(route, Route) else "WEBSOCKET"
            yield method, prefix + route.path + NEEDED.get(route.path.rsplit("/", 1)[1], "")


NAMED = sorted(
    {
        *named((*containers.ROUTES, *execs.ROUTES), ""),
        *named((*internal_containers.ROUTES, *internal_execs.ROUTES), V1),
    }
)
WITH_BODY = sorted(
    {
        (route.method, prefix + route.path.replace("<ref:ref>", "c").replace("/exec/c", "/exec/{exec}"))
        for routes, prefix in ((DOCKER, ""), (INTERNAL, V1))
        for route in routes
        if isinstance(route, Route)
        and route.body is not None
        and route.path.startswith(("/containers", "/exec"))
    }
)


async def ask(wire: Wire, method: str, target: str, body: bytes = b"") -> tuple[int, str]:
    """Status and message; a WebSocket is asked for with its handshake."""
    if method == "WEBSOCKET":
        handshake = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        answer = await wire.ask("GET", target, b"", "Connection: Upgrade", "Upgrade: websocket", *handshake)
        return answer.status, answer.message
    answer = await wire.ask(method, target, body)
    return answer.status, "" if method == "HEAD" else answer.message


@pytest.mark.parametrize(("method", "path"), NAMED)
async def test_what_is_not_there_is_a_404(engine: Served, served: Served, method: str, path: str) -> None:
    home = served if path.startswith(V1) else engine
    await home.backend.running()
    body = b'{"Cmd":["true"]}' if path.endswith("/exec") else b""
    async with await home.wire() as wire:
        status, message = await ask(wire, method, path.replace("<ref:ref>", "nope"), body)
        assert status == 404
        noun = "exec instance" if "/exec/" in path else "container"
        prefix = "cannot kill container: nope: " if path == "/containers/<ref:ref>/kill" else ""
        assert message == ("" if method == "HEAD" else f"{prefix}No such {noun}: nope")
        if method != "WEBSOCKET":
            assert (await wire.ask("GET", _list(path))).status == 200


def _list(path: str) -> str:
    return f"{V1}/containers" if path.startswith(V1) else "/containers/json"


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"x"', b"7", b"{}{", b"nul"])
async def test_a_body_that_is_no_object_is_a_400(
    engine: Served, served: Served, method: str, path: str, body: bytes
) -> None:
    home = served if path.startswith(V1) else engine
    await home.backend.running()
    async with await home.wire() as wire:
        made = await wire.ask("POST", f"{V1 if home is served else ''}/containers/c/exec", {"Cmd": ["true"]})
        target = path.replace("{exec}", made.json["Id"])
        answer = await wire.ask(method, target, body, *(UPGRADE if path.endswith("start") else ()))
        assert answer.status == 400
        assert "request body" in answer.message
        assert (await wire.ask("GET", _list(path))).status == 200


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "said"),
    [
        ("POST", "/containers/create", b'{"Image":1}', 400, "Image: expected str"),
        ("POST", "/containers/create", b'{"Image":"alpine:3","Tty":"yes"}', 400, "Tty: expected bool"),
        ("POST", "/containers/create", b'{"Image":"nope"}', 404, "No such image: nope"),
        ("POST", "/containers/create?name=r", b'{"Image":"alpine:3"}', 409, "is already in use"),
        ("POST", "/containers/r/exec", b"{}", 400, "No exec command specified"),
        ("POST", "/containers/r/exec", b'{"Cmd":[]}', 400, "No exec command specified"),
        ("POST", "/containers/r/exec", b'{"Cmd":"x"}', 400, "Cmd: expected array"),
        ("POST", "/containers/r/exec", b'{"Cmd":[1]}', 400, "Cmd[0]: expected str"),
        ("POST", "/containers/c/exec", b'{"Cmd":["a"]}', 409, "is not running"),
        ("POST", "/containers/p/exec", b'{"Cmd":["a"]}', 409, "is paused, unpause the container before exec"),
        ("POST", "/exec/{exec}/start", b'{"Detach":"no"}', 400, "Detach: expected bool"),
        ("POST", "/exec/{exec}/start", b'{"Tty":true,"ConsoleSize":[1]}', 400, "ConsoleSize"),
        ("POST", "/exec/{exec}/resize", b"", 400, "query parameter h"),
        ("POST", "/exec/{exec}/resize?h=1&w=x", b"", 400, "query parameter w"),
        ("POST", "/exec/{exec}/resize?h=1&w=1", b"", 404, "no such exec"),
        ("POST", "/containers/r/resize?h=-1&w=1", b"", 400, "query parameter h"),
        ("POST", "/containers/r/resize?w=1", b"", 400, "query parameter h"),
        ("POST", "/containers/c/resize?h=1&w=1", b"", 409, "is not running"),
        ("POST", "/containers/r/stop?t=soon", b"", 400, "query parameter t"),
        ("POST", "/containers/r/restart?t=1.5", b"", 400, "query parameter t"),
        ("POST", "/containers/r/start?checkpoint=x", b"", 501, "checkpoints"),
        ("POST", "/containers/c/kill", b"", 409, "cannot kill container: c: Container"),
        ("POST", "/containers/c/pause", b"", 409, "is not running"),
        ("POST", "/containers/p/pause", b"", 409, "is already paused"),
        ("POST", "/containers/r/unpause", b"", 409, "is not paused"),
        ("POST", "/containers/p/attach?stream=1", b"", 409, "unpause the container before attach"),
        ("POST", "/containers/r/rename", b"", 400, "Neither old nor new names may be empty"),
        ("POST", "/containers/r/wait?condition=never", b"", 400, 'invalid condition: "never"'),
        ("POST", "/containers/r/update", b'{"Memory":"x"}', 400, "Memory: expected int"),
        ("POST", "/containers/r/update", b'{"Memory":1}', 400, "Minimum memory limit allowed is 6MB"),
        ("POST", "/containers/r/update", b'{"RestartPolicy":{"Name":"x"}}', 400, "unknown policy 'x'"),
        ("POST", "/containers/r/update", b'{"DeviceRequests":[{}]}', 400, "not possible on Fargate"),
        ("POST", "/containers/prune?filters=%7B", b"", 400, "invalid filters"),
        ("DELETE", "/containers/r", b"", 409, "You cannot remove a running container"),
        ("DELETE", "/containers/r?link=1", b"", 501, "links"),
        ("GET", "/containers/r/logs", b"", 400, "Bad parameters: you must choose at least one stream"),
        ("GET", "/containers/r/logs?stdout=1&since=yesterday", b"", 400, "query parameter since"),
        ("GET", "/containers/c/top", b"", 409, "is not running"),
        ("GET", "/containers/r/top?ps_args=--nope", b"", 400, "ps: error"),
        ("GET", "/containers/r/archive", b"", 400, "bad parameter: path cannot be empty"),
        ("GET", "/containers/r/archive?path=/nope", b"", 404, "Could not find the file /nope in container r"),
        (
            "PUT",
            "/containers/r/archive?path=/nope",
            b"x",
            404,
            "Could not find the file /nope in container r",
        ),
        ("PUT", "/containers/r/archive?path=/etc/name", b"x", 400, "extraction point is not a directory"),
        ("PUT", "/containers/r/archive?path=/etc", b"x" * 2000, 400, "Error processing tar file"),
        ("PUT", "/containers/r/archive", b"x", 400, "bad parameter: path cannot be empty"),
        ("GET", "/containers/json?limit=x", b"", 400, "query parameter limit"),
        ("GET", "/containers/json?filters=%7B%22x%22:%5B%22y%22%5D%7D", b"", 400, "invalid filter 'x'"),
        ("GET", "/containers/r", b"", 404, "page not found"),
        ("GET", "/containers/r/nowhere", b"", 404, "page not found"),
        ("DELETE", "/containers/json", b"", 404, "No such container: json"),
    ],
)
async def test_nonsense_is_told_in_dockers_words(  # noqa: PLR0917 (a row of a table)
    engine: Served, method: str, target: str, body: bytes, status: int, said: str
) -> None:
    """`r` runs, `c` was created, `p` is paused."""
    for name in "rcp":
        await engine.backend.container(name)
    for name in "rp":
        await engine.backend.containers.start(name)
    await engine.backend.containers.pause("p")
    async with await engine.wire() as wire:
        made = await wire.ask("POST", "/containers/r/exec", {"Cmd": ["true"]})
        for _ in range(2):
            answer = await wire.ask(method, target.replace("{exec}", made.json["Id"]), body)
            assert answer.status == status
            assert said in answer.message
        assert (await wire.ask("GET", "/containers/r/json")).status == 200


def test_every_call_has_one_name() -> None:
    names = [route.operation for route in DOCKER]
    assert len(names) == len(set(names))
    assert len(list(chain(NAMED, WITH_BODY))) > 50
