"""Images of private registries: pulled through Docker's socket, run by an ECS that has to log in itself."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from sockerless_ecs.registry import Login, RegistryClient
from sockerless_ecs.sandbox.registry.host import HOST_LABEL
from sockerless_ecs.sandbox.registry.private import LOGIN
from tests.e2e.world import Cloud, Daemon, eventually
from tests.images import image, push
from tests.registry.conftest import no_login

TOOL = "private/tool"
EXITS_WITH_7 = image({}, {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["exit 7"], "Labels": {HOST_LABEL: "true"}})
"""On the file system of the machine, which the label stands for."""


async def push_tool(cloud: Cloud) -> None:
    """Somebody with the right login publishes it."""
    async with RegistryClient({"docker.io": f"http://{cloud.info.registry}"}, (), no_login) as client:
        await push(client, TOOL, EXITS_WITH_7, LOGIN)


@pytest.fixture
def secrets(cloud: Cloud) -> Any:
    """Secrets Manager, as an operator has it."""
    return boto3.client(
        "secretsmanager",
        endpoint_url=cloud.info.endpoint_url,
        region_name=cloud.info.region,
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )


class Docker:
    """Docker's API, as a client that has a login uses it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def pull(self, name: str = TOOL, login: Login = LOGIN) -> httpx.Response:
        given = json.dumps({"username": login.username, "password": login.password})
        headers = {"X-Registry-Auth": base64.urlsafe_b64encode(given.encode()).decode()}
        query = {"fromImage": name, "tag": "latest"}
        return await self.http.post("/images/create", params=query, headers=headers)

    async def create(self, name: str = TOOL) -> str:
        answer = await self.http.post("/containers/create", json={"Image": name})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["Id"])

    async def start(self, container: str) -> httpx.Response:
        return await self.http.post(f"/containers/{container}/start")

    async def run(self, name: str = TOOL) -> tuple[str, int]:
        container = await self.create(name)
        started = await self.start(container)
        assert started.status_code == 204, started.text
        ended = await self.http.post(f"/containers/{container}/wait")
        return container, int(ended.json()["StatusCode"])

    async def remove(self, *paths: str) -> None:
        for path in paths:
            answer = await self.http.delete(path)
            assert answer.status_code < 300, answer.text


@asynccontextmanager
async def docker(socket: Path) -> AsyncIterator[Docker]:
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://docker/v1.44", timeout=60) as http:
        yield Docker(http)


def kept(secrets: Any, daemon: Daemon) -> list[dict[str, Any]]:
    """The secrets of one daemon."""
    identity = json.loads((daemon.folder / "identity.json").read_text())
    mine = f"sockerless/{identity['instance_id']}/"
    found: list[dict[str, Any]] = secrets.list_secrets()["SecretList"]
    return [one for one in found if one["Name"].startswith(mine)]


async def test_login_of_a_pull_is_kept_until_image_and_container_are_gone(
    new_daemon: Any, secrets: Any, cloud: Cloud
) -> None:
    """Also over the death of the daemon; nothing of it is shown or logged."""
    tags = {"team": "x"}
    await push_tool(cloud)
    daemon: Daemon = new_daemon(images={"keep_credentials": True}, ecs={"tags": tags}, log={"level": "debug"})
    daemon.start()
    elsewhere = f"localhost:{cloud.info.registry.rpartition(':')[2]}/{TOOL}"
    async with docker(daemon.docker_socket) as client:
        refused = await client.pull(login=Login(username="user", password="wrong"))
        assert refused.status_code != 200
        assert kept(secrets, daemon) == []
        for name in (TOOL, elsewhere):
            pulled = await client.pull(name)
            assert "Status: Downloaded newer image" in pulled.text
            assert "error" not in pulled.text
        hub, other = sorted(kept(secrets, daemon), key=lambda one: str(one["Name"]))
        assert "/docker.io/" in hub["Name"]
        assert "/localhost_" in other["Name"]
        assert hub["Tags"] == [{"Key": "team", "Value": "x"}]
        value = secrets.get_secret_value(SecretId=hub["ARN"])["SecretString"]
        assert json.loads(value) == {"username": "user", "password": "secret"}
        container, code = await client.run()
        assert code == 7
        _, code = await client.run(elsewhere)
        assert code == 7
        shown = (await client.http.get(f"/containers/{container}/json")).text
        shown += (await client.http.get(f"/images/{TOOL}/json")).text
    daemon.kill()
    daemon.start()
    async with docker(daemon.docker_socket) as client:
        await client.remove(f"/containers/{container}")
        assert len(kept(secrets, daemon)) == 2
        await client.remove(f"/images/{TOOL}")
        await eventually(lambda: [one["Name"] for one in kept(secrets, daemon)] == [other["Name"]])
        await client.remove(f"/images/{elsewhere}?force=1")
        await client.http.post("/containers/prune")
        await eventually(lambda: kept(secrets, daemon) == [])
    assert daemon.stop() == 0
    logged = daemon.log.read_text()
    assert "registry_login_kept" in logged
    for text in (shown, logged):
        assert LOGIN.basic.removeprefix("Basic ") not in text
        assert '"password"' not in text
    assert hub["ARN"] not in shown


async def test_start_without_a_secret_says_what_to_do_and_a_configured_one_is_it(
    new_daemon: Any, secrets: Any, cloud: Cloud
) -> None:
    await push_tool(cloud)
    daemon: Daemon = new_daemon()
    daemon.start()
    async with docker(daemon.docker_socket) as client:
        assert (await client.pull()).status_code == 200
        container = await client.create()
        failed = await client.start(container)
        assert failed.status_code == 503
        message = failed.json()["message"]
        assert "CannotPullContainerError" in message
        assert (
            "If docker.io wants a login for this image: name a secret that has one in images.secre" in message
        )
        assert "or set images.keep_credentials and pull it with that login" in message
        assert (await client.http.get(f"/containers/{container}/json")).json()["State"]["Error"] == message
        await client.remove(f"/containers/{container}")
    assert daemon.stop() == 0
    value = json.dumps({"username": "user", "password": "secret"})
    arn = secrets.create_secret(Name="of-an-operator", SecretString=value)["ARN"]
    daemon = new_daemon(images={"secrets": {"docker.io/private": arn}, "keep_credentials": True})
    daemon.start()
    async with docker(daemon.docker_socket) as client:
        container, code = await client.run()
        assert code == 7
        secrets.put_secret_value(SecretId=arn, SecretString='{"username": "user", "password": "wrong"}')
        other = await client.create()
        failed = await client.start(other)
        assert f"Check that the secret {arn} has a username and password that docker.io takes" in failed.text
        await client.remove(f"/containers/{container}", f"/containers/{other}", f"/images/{TOOL}")
    assert kept(secrets, daemon) == []
    assert daemon.stop() == 0
    assert secrets.describe_secret(SecretId=arn)["ARN"] == arn


async def test_pull_fails_when_its_login_cannot_be_kept_and_waits_when_aws_is_slow(
    new_daemon: Any, secrets: Any, cloud: Cloud
) -> None:
    await push_tool(cloud)
    daemon: Daemon = new_daemon(images={"keep_credentials": True})
    daemon.start()
    async with docker(daemon.docker_socket) as client:
        cloud.fault(operation="CreateSecret", kind="error", code="AccessDeniedException", message="not you")
        failed = await client.pull()
        assert failed.status_code == 500
        message = failed.json()["message"]
        assert message.startswith("the login at docker.io could not be kept for Fargate (images.keep_cred")
        assert "secretsmanager: CreateSecret: AccessDeniedException: not you" in message
        assert (await client.http.get(f"/images/{TOOL}/json")).status_code == 404
        for kind in ("throttle", "lost_answer"):
            cloud.fault(operation="CreateSecret", kind=kind, count=1)
        assert (await client.pull()).status_code == 200
        assert len(kept(secrets, daemon)) == 1
        cloud.fault(operation="DeleteSecret", kind="error", code="InternalServiceError", status=500, count=4)
        await client.remove(f"/images/{TOOL}")
        await eventually(lambda: kept(secrets, daemon) == [])
    assert daemon.stop() == 0
