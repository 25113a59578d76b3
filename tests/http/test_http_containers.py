"""Containers over the wire, with a fake engine."""

from __future__ import annotations

import pytest
import trio

from sockerless_ecs.errors import (
    Conflict,
    InvalidParameter,
    Misconfigured,
    NotFound,
    NotModified,
    SockerlessError,
    StoreUnusable,
    Unauthorized,
    Unavailable,
    Unimplemented,
)
from sockerless_ecs.model.lifecycle import State
from tests.http.conftest import Served
from tests.http.fake_backend import FakeBackend
from tests.http.wire import Wire

V1 = "/internal/v1"


async def test_a_container_is_created_started_shown_stopped_and_removed(
    wire: Wire, backend: FakeBackend
) -> None:
    await backend.pulled()
    created = await wire.ask(
        "POST", f"{V1}/containers?name=web", {"Image": "alpine:3", "Cmd": ["sleep", "9"]}
    )
    assert (created.status, created.json["Warnings"]) == (201, [])
    container_id = created.json["Id"]
    shown = (await wire.ask("GET", f"{V1}/containers/{container_id[:12]}")).json
    assert shown["Name"] == "/web"
    assert shown["State"]["Status"] == "created"
    assert shown["State"]["StartedAt"] == "0001-01-01T00:00:00Z"
    assert "AgentAddress" not in shown
    started = await wire.ask("POST", f"{V1}/containers/web/start")
    assert (started.status, started.body) == (204, b"")
    assert "content-type" not in started.headers
    assert "content-length" not in started.headers
    shown = (await wire.ask("GET", f"{V1}/containers//web")).json
    assert shown["State"] | {"StartedAt": ""} == {
        "Status": "running",
        "Running": True,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 0,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "",
        "FinishedAt": "0001-01-01T00:00:00Z",
    }
    assert (shown["AgentAddress"], shown["AgentToken"]) == ("10.0.0.7:9111", "secret-token")
    assert shown["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == "10.0.0.7"
    assert (await wire.ask("POST", f"{V1}/containers/web/start")).status == 304
    assert (await wire.ask("DELETE", f"{V1}/containers/web")).status == 409
    assert (await wire.ask("POST", f"{V1}/containers/web/stop?t=3")).status == 204
    assert ("stop", "web", "3.0", "") in backend.containers.calls
    assert (await wire.ask("POST", f"{V1}/containers/web/stop")).status == 304
    assert (await wire.ask("DELETE", f"{V1}/containers/web?v=1")).status == 204
    assert ("remove", "web", "False", "True") in backend.containers.calls
    gone = await wire.ask("GET", f"{V1}/containers/web")
    assert (gone.status, gone.message) == (404, "No such container: web")


async def test_starting_is_shown_as_created(wire: Wire, backend: FakeBackend) -> None:
    container = backend.containers.find(await backend.container())
    backend.containers.change(container, state=State.STARTING)
    assert (await wire.ask("GET", f"{V1}/containers/c")).json["State"]["Status"] == "created"
    listed = (await wire.ask("GET", f"{V1}/containers?all=1")).json
    assert [(one["State"], one["Status"]) for one in listed] == [("created", "Created")]


async def test_lists_take_filters_in_both_forms(wire: Wire, backend: FakeBackend) -> None:
    await backend.container("a", labels={"k": "v"})
    await backend.container("b", labels={"k": "w"})
    for form in ('{"label":{"k=v":true}}', '{"label":["k=v"]}'):
        quoted = form.replace("{", "%7B").replace("}", "%7D").replace('"', "%22").replace("=", "%3D")
        listed = await wire.ask("GET", f"{V1}/containers?all=1&filters={quoted}")
        assert [one["Names"] for one in listed.json] == [["/a"]], form
    assert (await wire.ask("GET", f"{V1}/containers")).body == b"[]"
    assert len((await wire.ask("GET", f"{V1}/containers?limit=1")).json) == 1
    assert len((await wire.ask("GET", f"{V1}/containers?all=True&limit=-1")).json) == 2


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/containers?filters=%7B", "filters"),
        ("/containers?filters=[]", "filters"),
        ("/containers?filters=%7B%22a%22%3A1%7D", "filters"),
        ("/containers?filters=%7B%22nonsense%22%3A%5B%22x%22%5D%7D", "nonsense"),
        ("/containers?limit=many", "limit"),
        ("/containers/c/logs?stdout=1&since=yesterday", "since"),
        ("/containers/c/logs", "at least one stream"),
        ("/containers/c/logs?stdout=0&stderr=false", "at least one stream"),
        ("/events?until=x", "until"),
        ("/events?filters=%7B%22nonsense%22%3A%5B%22x%22%5D%7D", "nonsense"),
        ("/images/inspect", "name"),
    ],
)
async def test_a_bad_query_is_a_400_that_names_the_parameter(
    wire: Wire, backend: FakeBackend, target: str, said: str
) -> None:
    await backend.container()
    answer = await wire.ask("GET", V1 + target)
    assert answer.status == 400
    assert said in answer.message


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/containers/c/stop?t=soon", "t:"),
        ("/containers/c/restart?t=1.5", "t:"),
        ("/containers/c/wait?condition=never", "condition"),
        ("/containers/c/rename", "name"),
    ],
)
async def test_a_bad_query_of_a_post_is_a_400_too(
    wire: Wire, backend: FakeBackend, target: str, said: str
) -> None:
    await backend.container()
    answer = await wire.ask("POST", V1 + target)
    assert answer.status == 400
    assert said in answer.message


async def test_a_negative_timeout_waits_for_ever(wire: Wire, backend: FakeBackend) -> None:
    await backend.container()
    await wire.ask("POST", f"{V1}/containers/c/start")
    assert (await wire.ask("POST", f"{V1}/containers/c/stop?t=-1")).status == 204
    assert ("stop", "c", "-1.0", "") in backend.containers.calls
    await wire.ask("POST", f"{V1}/containers/c/restart")
    assert ("restart", "c", "None", "") in backend.containers.calls


async def test_kill_sends_sigkill_unless_told_otherwise(wire: Wire, backend: FakeBackend) -> None:
    await backend.container()
    assert (await wire.ask("POST", f"{V1}/containers/c/kill")).status == 409
    await wire.ask("POST", f"{V1}/containers/c/kill?signal=USR1")
    assert [call[2] for call in backend.containers.calls] == ["SIGKILL", "USR1"]


async def test_an_ambiguous_prefix_is_a_400_and_a_taken_name_a_409(wire: Wire, backend: FakeBackend) -> None:
    container_id = await backend.container("a")
    container = backend.containers.find(container_id)
    twin = container_id[:10] + "f" * 54
    backend.containers.by_id[twin] = container
    backend.containers.change(container, id=twin)
    backend.containers.by_id[container_id] = container
    assert (await wire.ask("GET", f"{V1}/containers/{container_id[:10]}")).status == 400
    taken = await wire.ask("POST", f"{V1}/containers?name=a", {"Image": "alpine:3"})
    assert taken.status == 409


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (NotFound("m"), 404),
        (Conflict("m"), 409),
        (InvalidParameter("m"), 400),
        (Unauthorized("m"), 401),
        (Unimplemented("m"), 501),
        (Unavailable("m", request_ids=("aws-1",)), 503),
        (Misconfigured("m"), 500),
        (StoreUnusable("m"), 500),
        (SockerlessError("m"), 500),
        (ExceptionGroup("nursery", [Conflict("m")]), 409),
    ],
)
async def test_every_failure_has_its_status(
    wire: Wire, backend: FakeBackend, failure: Exception, status: int
) -> None:
    backend.containers.failure = failure
    answer = await wire.ask("GET", f"{V1}/containers/c")
    assert (answer.status, answer.message) == (status, "m")
    assert (await wire.ask("GET", f"{V1}/info")).status == 200  # the same connection goes on


async def test_not_modified_has_no_body(wire: Wire, backend: FakeBackend) -> None:
    backend.containers.failure = NotModified("already so")
    answer = await wire.ask("POST", f"{V1}/containers/c/start")
    assert (answer.status, answer.body) == (304, b"")
    assert (await wire.ask("GET", f"{V1}/info")).status == 200


async def test_what_nobody_foresaw_is_a_500_that_names_the_request(wire: Wire, backend: FakeBackend) -> None:
    backend.containers.failure = ZeroDivisionError("secret detail")
    answer = await wire.ask("GET", f"{V1}/containers/c")
    assert answer.status == 500
    assert answer.headers["x-request-id"] in answer.message
    assert "secret detail" not in answer.message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "JSON"),
        (b'{"Image": 1}', "Image: expected str"),
        (b'{"Image":"a","HostConfig":{"Memory":"1g"}}', "HostConfig.Memory: expected int"),
        (b'{"Image":"a","Env":["A=1",2]}', "Env[1]"),
        (b'{"Image":"a","Labels":["x"]}', "Labels"),
        (b"[]", "expected object"),
        (b"{}", "config cannot be empty in order to create a container"),
        (b"", "config cannot be empty in order to create a container"),
        (b'{"Image":"a","HostConfig":{"Ulimits":[{}]}}', "Ulimits[0]: object missing required field Name"),
        (b"\xff\xfe", "JSON"),
    ],
)
async def test_a_bad_body_is_a_400_that_names_the_field(wire: Wire, body: bytes, said: str) -> None:
    answer = await wire.ask("POST", f"{V1}/containers", body)
    assert answer.status == 400
    assert said in answer.message


async def test_a_megabyte_of_environment_arrives(wire: Wire, backend: FakeBackend) -> None:
    await backend.pulled()
    env = [f"V{number}=" + "x" * 1000 for number in range(1000)]
    answer = await wire.ask("POST", f"{V1}/containers", {"Image": "alpine:3", "Env": env})
    assert answer.status == 201
    assert backend.containers.requests[0].config.env == tuple(env)


async def test_a_body_over_the_limit_is_refused_while_it_is_sent(served: Served) -> None:
    """The answer arrives although the rest of the body is never read."""
    for head in ("Content-Length: 40000000", "Transfer-Encoding: chunked"):
        async with await served.wire() as wire:
            await wire.send("POST", f"{V1}/containers", None, head)
            with trio.move_on_after(20):
                try:
                    for _ in range(40):
                        frame = b"%x\r\n" % 1_000_000 if "chunked" in head else b""
                        await wire.stream.send_all(frame + b" " * 1_000_000 + (b"\r\n" if frame else b""))
                except trio.BrokenResourceError:
                    pass
            answer = await wire.answer()
            assert answer.status == 400
            assert "16 MiB" in answer.message


async def test_json_needs_no_json_content_type(wire: Wire, backend: FakeBackend) -> None:
    await backend.pulled()
    body = b'{"Image":"alpine:3"}'
    await wire.send(
        "POST", f"{V1}/containers", None, "Content-Type: text/plain", f"Content-Length: {len(body)}"
    )
    await wire.stream.send_all(body)
    assert (await wire.answer()).status == 201


async def test_stop_and_restart_pass_the_signal_on(wire: Wire, backend: FakeBackend) -> None:
    await backend.running()
    assert (await wire.ask("POST", f"{V1}/containers/c/stop?signal=INT&t=1")).status == 204
    assert (await wire.ask("POST", f"{V1}/containers/c/restart?signal=INT")).status == 204
    assert backend.containers.calls == [("stop", "c", "1.0", "INT"), ("restart", "c", "None", "INT")]


async def test_what_is_not_built_says_which_operation(wire: Wire, backend: FakeBackend) -> None:
    await backend.running()
    for method, path, word in (
        ("DELETE", "/containers/c?link=1", "link"),
        ("POST", "/networks", "network"),
    ):
        answer = await wire.ask(method, V1 + path, {"Name": "n"} if method == "POST" else b"")
        assert answer.status == 501, path
        assert word in answer.message
