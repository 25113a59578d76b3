"""What is shown of containers, and the document that describes the API."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate

from sockerless_ecs.http.frames import Unframer, encoder
from sockerless_ecs.http.internal import ROUTES
from sockerless_ecs.http.times import human_duration, rfc3339
from sockerless_ecs.http.views.container import container_summary, container_view, status_text
from sockerless_ecs.model.container import Container, ContainerConfig, ContainerId, HostConfig
from sockerless_ecs.model.health import Health, HealthStatus, Probe
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import LogLine
from tests.http.fake_backend import TASK
from tests.http.wire import Wire

SECOND = 10**9
NOW = 1_700_000_000 * SECOND


def container(**changes: Any) -> Container:
    """A container with few surprises."""
    given: dict[str, Any] = {
        "id": ContainerId("a" * 64),
        "name": "c",
        "created_ns": NOW,
        "config": ContainerConfig(image="alpine:3", cmd=("sh", "-c", "echo a b"), exposed_ports=("80/tcp",)),
        "host": HostConfig(),
        "image_id": "sha256:" + "1" * 64,
        "image_digest": "sha256:" + "2" * 64,
        "image_pull": "alpine@sha256:" + "2" * 64,
        "architecture": "X86_64",
        "task_definition_arn": "arn:d",
    }
    return Container(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "Created"),
        ({"state": State.STARTING, "finished_ns": NOW}, "Created"),
        ({"state": State.RUNNING, "started_ns": NOW - 3 * SECOND}, "Up 3 seconds"),
        ({"state": State.PAUSED, "started_ns": NOW - 60 * SECOND}, "Up About a minute (Paused)"),
        (
            {"state": State.EXITED, "exit_code": 7, "finished_ns": NOW - 120 * SECOND},
            "Exited (7) 2 minutes ago",
        ),
        (
            {"state": State.RUNNING, "started_ns": NOW - 3 * SECOND, "health": Health()},
            "Up 3 seconds (health: starting)",
        ),
        (
            {
                "state": State.RUNNING,
                "started_ns": NOW - 3 * SECOND,
                "health": Health(status=HealthStatus.HEALTHY),
            },
            "Up 3 seconds (healthy)",
        ),
        (
            {
                "state": State.RUNNING,
                "started_ns": NOW - 3 * SECOND,
                "health": Health(status=HealthStatus.UNHEALTHY),
            },
            "Up 3 seconds (unhealthy)",
        ),
        (
            {"state": State.RESTARTING, "exit_code": 1, "finished_ns": NOW - 5 * SECOND},
            "Restarting (1) 5 seconds ago",
        ),
        ({"state": State.DEAD}, "Dead"),
    ],
)
def test_status_is_told_as_docker_tells_it(changes: dict[str, Any], text: str) -> None:
    assert status_text(container(**changes), NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "Less than a second"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (119, "About a minute"),
        (59 * 60, "59 minutes"),
        (89 * 60, "About an hour"),
        (90 * 60, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_durations_are_dockers(seconds: float, text: str) -> None:
    assert human_duration(int(seconds * SECOND)) == text


def test_times_have_as_many_digits_as_they_need() -> None:
    assert rfc3339(NOW) == "2023-11-14T22:13:20Z"
    assert rfc3339(NOW + 120_000_000) == "2023-11-14T22:13:20.12Z"
    assert rfc3339(0) == "0001-01-01T00:00:00Z"


def test_the_agent_is_told_only_where_it_is_meant_to_be() -> None:
    running = container(state=State.RUNNING, task=TASK, started_ns=NOW)
    told = msgspec.to_builtins(container_view(running, with_agent=True))
    assert (told["AgentAddress"], told["AgentToken"]) == ("10.0.0.7:9111", "secret-token")
    assert b"gent" not in msgspec.json.encode(container_view(running, with_agent=False))
    assert told["NetworkSettings"]["Ports"] == {"80/tcp": None}
    exited = msgspec.to_builtins(container_view(container(state=State.EXITED, task=TASK), with_agent=True))
    assert exited["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == ""


def test_health_and_execs_are_shown() -> None:
    probe = Probe(start_ns=NOW, end_ns=NOW + SECOND, exit_code=1, output="no")
    health = Health(status=HealthStatus.UNHEALTHY, failing_streak=3, log=(probe,))
    running = container(state=State.RUNNING, health=health, exec_ids=("e",), restart_count=2)
    told = msgspec.to_builtins(container_view(running, with_agent=False))
    assert told["State"]["Health"] == {
        "Status": "unhealthy",
        "FailingStreak": 3,
        "Log": [
            {
                "Start": "2023-11-14T22:13:20Z",
                "End": "2023-11-14T22:13:21Z",
                "ExitCode": 1,
                "Output": "no",
            }
        ],
    }
    assert (told["ExecIDs"], told["RestartCount"]) == (["e"], 2)
    assert "Health" not in msgspec.to_builtins(container_view(container(), with_agent=False))["State"]


def test_what_is_to_be_restarted_runs_as_docker_sees_it() -> None:
    told = msgspec.to_builtins(container_view(container(state=State.RESTARTING), with_agent=False))["State"]
    assert (told["Status"], told["Running"], told["Restarting"]) == ("restarting", True, True)


def test_a_summary_has_every_field_of_the_contract() -> None:
    shown = msgspec.to_builtins(container_summary(container(state=State.RUNNING, started_ns=NOW), NOW))
    assert shown["Command"] == "sh -c 'echo a b'"
    assert shown["Ports"] == [{"PrivatePort": 80, "Type": "tcp"}]
    assert set(shown) >= {
        *("Id", "Names", "Image", "ImageID", "Command", "Created", "State", "Status", "Ports"),
        *("Labels", "NetworkSettings", "Mounts"),
    }


async def test_the_document_is_valid_and_lists_every_route(wire: Wire) -> None:
    document = (await wire.ask("GET", "/internal/v1/openapi.json")).json
    validate(document)
    listed = {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    }
    assert listed == {route.operation for route in ROUTES} | {"OpenAPI"}
    created = document["components"]["schemas"]["CreateBody"]["properties"]
    assert {"Image", "HostConfig", "NetworkingConfig"} <= set(created)


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8),
    st.lists(st.integers(0, 12), max_size=60),
)
def test_frames_come_apart_wherever_they_were_cut(said: list[tuple[int, bytes]], cuts: list[int]) -> None:
    raw = b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in said)
    unframer, found = Unframer(tty=False), {1: b"", 2: b""}
    for size in [*cuts, len(raw)]:
        piece, raw = raw[:size], raw[size:]
        for stream, data in unframer.pieces(piece):
            found[stream] += data
    for stream in (1, 2):
        assert found[stream] == b"".join(data for kind, data in said if kind == stream)


def test_a_terminals_bytes_are_no_frames() -> None:
    assert list(Unframer(tty=True).pieces(b"\1\0")) == [(1, b"\1\0")]


def test_every_line_is_a_frame_of_its_own() -> None:
    lines = [LogLine(1, NOW, 1, b"a\n"), LogLine(2, NOW, 2, b"bc")]
    framed = encoder(tty=False, timestamps=False, details=None)
    assert framed(lines) == b"\x01\0\0\0\0\0\0\x02a\n\x02\0\0\0\0\0\0\x02bc"
    raw = encoder(tty=True, timestamps=True, details=None)
    assert raw(lines[:1]) == b"2023-11-14T22:13:20.000000000Z a\n"
