"""Log lines: their shape, their context, and what they never hold."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
import trio

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.store import new_identity
from sockerless_ecs.telemetry import bound, configure, get_logger, masked, new_request_id
from tests.store.records import CONTAINER, TASK


@dataclass(frozen=True, kw_only=True)
class _Choice:
    level: str = "info"
    format: str = "json"


class _Log:
    """A configured log that can be read back."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def configure(self, **choice: str) -> None:
        configure(_Choice(**choice), self.stream)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[_Log]:
    root = logging.getLogger()
    before = root.level, list(root.handlers), structlog.get_config()
    made = _Log()
    made.configure()
    yield made
    root.setLevel(before[0])
    root.handlers = before[1]
    structlog.configure(**before[2])
    structlog.contextvars.clear_contextvars()


def test_line_is_one_json_object_with_level_time_and_logger(log: _Log) -> None:
    get_logger("room").info("container started", container_id="a" * 64, seconds=0.25)
    (line,) = log.lines()
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "container started",
        "container_id": "a" * 64,
        "seconds": 0.25,
        "level": "info",
        "logger": "room",
    }


@pytest.mark.parametrize(("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_level_is_the_least_that_is_logged(log: _Log, level: str, seen: int) -> None:
    log.configure(level=level)
    logger = get_logger("room")
    for method in (logger.debug, logger.info, logger.warning, logger.error):
        method("something")
    assert len(log.lines()) == seen


def test_console_is_for_people(log: _Log) -> None:
    log.configure(format="console")
    try:
        raise Unavailable("no capacity")
    except Unavailable:
        get_logger("room").exception("start failed", container_id="abc", agent_token="t0k3n-secret")
    text = log.stream.getvalue()
    assert "start failed" in text
    assert "container_id=abc" in text
    assert "Unavailable: no capacity" in text
    assert "t0k3n-secret" not in text
    assert "\x1b" not in text


def test_second_configuration_replaces_the_first(log: _Log) -> None:
    log.configure()
    log.configure()
    get_logger("room").info("once")
    assert len(log.lines()) == 1


def test_loggers_made_before_the_configuration_follow_it(log: _Log) -> None:
    early = structlog.get_logger("early")
    log.configure(level="error")
    early.warning("not seen")
    early.error("seen")
    assert [line["event"] for line in log.lines()] == ["seen"]


async def test_context_is_on_every_line_of_the_request_and_its_jobs(log: _Log) -> None:
    logger = get_logger("room")

    async def job() -> None:
        with bound(container_id="c"):
            await trio.lowlevel.checkpoint()
            logger.info("in the job")

    async with trio.open_nursery() as nursery:
        with bound(request_id="r"):
            nursery.start_soon(job)
            logger.info("in the request")
        logger.info("after")
    contexts = {line["event"]: (line.get("request_id"), line.get("container_id")) for line in log.lines()}
    assert contexts == {"in the request": ("r", None), "in the job": ("r", "c"), "after": (None, None)}


def test_request_ids_are_unlike() -> None:
    assert len({new_request_id() for _ in range(1000)}) == 1000


def test_lines_of_libraries_come_out_in_the_same_shape(log: _Log) -> None:
    with bound(request_id="r"):
        logging.getLogger("hypercorn.error").warning("cannot bind %s", "x")
    (line,) = log.lines()
    assert (line["event"], line["level"], line["logger"], line["request_id"]) == (
        "cannot bind x",
        "warning",
        "hypercorn.error",
        "r",
    )


def test_libraries_that_log_requests_whole_stay_quiet_even_when_debugging(log: _Log) -> None:
    log.configure(level="debug")
    logging.getLogger("botocore.endpoint").debug("Authorization: AWS4-HMAC-SHA256 …")
    logging.getLogger("httpx").info("request")
    get_logger("room").debug("ours")
    assert [line["event"] for line in log.lines()] == ["ours"]


def test_exception_is_told_whole_with_the_request_ids_of_the_cloud(log: _Log) -> None:
    logger = get_logger("room")
    try:
        raise ExceptionGroup("all", [Unavailable("throttled", request_ids=("id-1", "id-2")), ValueError("x")])
    except ExceptionGroup:
        logger.exception("job failed")
    logger.warning("retrying", exc_info=Unavailable("busy", request_ids=("id-3",)))
    first, second = log.lines()
    assert first["aws_request_ids"] == ["id-1", "id-2"]
    assert "throttled" in first["exception"]
    assert "ValueError: x" in first["exception"]
    assert second["aws_request_ids"] == ["id-3"]


@dataclass(frozen=True)
class _Login:
    user: str
    password: str
    note: str = field(default="hunter2", repr=False)


_SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "keys",
    [
        {"token": _SECRET},
        {"agent_token": _SECRET},
        {"AgentToken": _SECRET},
        {"X-Registry-Auth": _SECRET},
        {"authorization": _SECRET},
        {"password": _SECRET.encode()},
        {"key_pem": _SECRET},
        {"aws_secret_access_key": _SECRET},
        {"env": [f"DB={_SECRET}"]},
        {"environment": {"DB": _SECRET}},
        {"config": {"Env": [f"DB={_SECRET}"], "Image": "alpine"}},
        {"requests": [{"overrides": ({"environment": _SECRET},)}]},
        {"login": _Login("me", _SECRET)},
        {"login": [_Login("me", _SECRET)]},
        {"url": f"https://me:{_SECRET}@registry.example/v2/"},
        {"header": f"Bearer {_SECRET}"},
        {"said": f"bad header Basic {_SECRET}"},
        {"detail": f"Login(user='me', password='{_SECRET}')"},
        {"detail": f'{{"identitytoken": "{_SECRET}"}}'},
        {"reason": ValueError(f"secret='{_SECRET}'")},
        {"thing": type("Thing", (), {"__repr__": lambda _: f"<token={_SECRET!r}>"})()},
    ],
)
@pytest.mark.parametrize("shape", ["json", "console"])
def test_secret_never_shows(log: _Log, keys: dict[str, object], shape: str) -> None:
    log.configure(format=shape)
    get_logger("room").info("something", **keys)
    assert _SECRET not in log.stream.getvalue()
    assert "***" in log.stream.getvalue()


def test_secret_in_a_traceback_never_shows(log: _Log) -> None:
    def fail() -> None:
        raise RuntimeError(f"cannot reach https://me:{_SECRET}@mirror, token='{_SECRET}'")

    try:
        fail()
    except RuntimeError:
        get_logger("room").exception("failed")
    assert _SECRET not in log.stream.getvalue()
    assert "cannot reach https://***@mirror" in log.stream.getvalue()


def test_whole_records_and_keys_lose_their_secrets(log: _Log) -> None:
    identity = new_identity()
    get_logger("room").info("all", container=CONTAINER, identity=identity, text=identity.key_pem.decode())
    text = log.stream.getvalue()
    assert TASK.agent_token not in text
    assert "exit 7" in text
    assert "PRIVATE KEY" not in text
    assert identity.instance_id in text


def test_what_is_no_secret_stays_as_it_is() -> None:
    event = {
        "event": "container started",
        "author": "me",
        "method": "POST",
        "path": "/internal/v1/auth",
        "url": "https://registry.example:5000/v2/",
        "count": 3,
        "ratio": 0.5,
        "done": True,
        "nothing": None,
        "token": "",
        "names": ["a", "b"],
    }
    assert masked(None, "info", dict(event)) == event


def test_what_json_cannot_hold_is_still_logged(log: _Log) -> None:
    nested: list[object] = []
    nested.append(nested)
    get_logger("room").info("odd", path=object, text="\udcff", nested=nested, data=b"\xff", many={1, 2})
    (line,) = log.lines()
    assert line["text"] == "\udcff"
    assert line["many"] == [1, 2]


def test_level_check_costs_nothing_much(log: _Log) -> None:
    """A value that cannot be shown is not touched by a line that is not logged."""
    touched: list[str] = []

    class Thing:
        def __repr__(self) -> str:
            touched.append("x")
            return "x"

    get_logger("room").debug("unseen", thing=Thing())
    assert touched == []
