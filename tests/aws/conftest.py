"""Dummy credentials, an AWS that follows a script, and moto on the wire."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from moto.server import ThreadedMotoServer

from sockerless_ecs.aws.calls import Calls, Patience, connect
from tests.aws.scripted_aws import ScriptedAws, scripted_aws

QUICK = Patience(
    connect_seconds=2,
    read_seconds=5,
    tries_when_throttled=4,
    tries_when_unreachable=3,
    backoff_seconds=0.001,
)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    for name in (
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def aws() -> Iterator[ScriptedAws]:
    with scripted_aws() as aws:
        yield aws


@pytest.fixture
async def calls(aws: ScriptedAws) -> AsyncIterator[Calls]:
    """Calls to the scripted AWS."""
    calls = await connect("us-east-1", aws.url, patience=QUICK)
    yield calls
    aws.release()
    calls.close()


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
async def moto(moto_url: str) -> AsyncIterator[Calls]:
    """Calls to moto."""
    calls = await connect("us-east-1", moto_url, patience=QUICK)
    yield calls
    calls.close()
