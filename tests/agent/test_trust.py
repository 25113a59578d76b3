"""Who may talk to an agent, and whom the client takes for its agent."""

from __future__ import annotations

import filecmp
import hashlib
import os
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sockerless_ecs.agent import (
    AgentClient,
    AgentLost,
    AgentUnreachable,
    StartRequest,
    WrongAgent,
)
from sockerless_ecs.store import new_identity
from tests.agent.conftest import TOKEN, StartAgent, new_keys


async def test_foreign_key_is_refused(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        stranger = AgentClient("127.0.0.1", task.port, TOKEN, new_keys().context)
        with pytest.raises(AgentUnreachable):
            await stranger.health()
        assert (await task.client.health()).status == "ok"


async def test_agent_without_the_tasks_token_is_told_nothing(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        client = AgentClient("127.0.0.1", task.port, bytes(32), task.client._context)
        with pytest.raises(WrongAgent):
            await client.start(StartRequest(run="r1", argv=("sleep", "1000")))
        assert (await task.client.health()).run == ""


async def test_nobody_there_is_unreachable(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        port = task.port
    with pytest.raises(AgentUnreachable):
        await AgentClient("127.0.0.1", port, TOKEN, task.client._context).connect()


async def test_health_says_who_and_what(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        health = await task.client.health()
        assert (health.status, health.container_health, health.protocol) == ("ok", "none", 1)
        await task.client.start(StartRequest(run="r1", argv=("sleep", "1000")))
        assert (await task.client.health()).run == "r1"


async def test_killed_agent_is_a_cut_not_an_end(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("sleep", "1000")))
        async with task.client.events(after=1) as events:
            task.process.kill()
            with pytest.raises(AgentLost):
                await anext(events)


async def test_process_cannot_read_the_agents_secrets(start_agent: StartAgent) -> None:
    """Whatever user it is, as long as it has no capability that Fargate does not give either."""
    async with start_agent() as task:
        beyond_fargate = ("SYS_PTRACE", "SYS_ADMIN", "PERFMON") if task.is_root else ()
        await task.run("sh", "-c", "cat /proc/$PPID/environ 2>&1 | tr -d '\\0'", cap_drop=beyond_fargate)
        output = await task.output()
        assert TOKEN.hex().encode() not in output
        assert b"denied" in output


async def test_unknown_routes_methods_and_fields_are_json_refusals(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        for method, path, body, status in (
            ("POST", "/nothing", None, 404),
            ("GET", "/start", None, 404),
            ("POST", "/start", {"run": "r1", "argv": ["true"], "wish": True}, 400),
            ("POST", "/exec", {"id": "e1", "run": "r1", "argv": ["true"]}, 426),
            ("POST", "/exec", {"id": "e/1", "run": "r1", "argv": ["true"]}, 400),
            ("POST", "/exec", {"id": "e1", "run": "r1", "argv": ["\0"]}, 400),
            ("POST", "/exec", {"id": "e1", "run": "r1", "argv": ["true"], "rows": -1}, 400),
            ("GET", "/exec/e1", None, 404),
            ("POST", "/attach?run=r1&after=0", None, 426),
            ("POST", "/attach?run=r1&after=then", None, 400),
            ("POST", "/attach?after=0", None, 400),
            ("POST", "/resize", {"run": "r1", "rows": 1 << 16, "columns": 1}, 400),
            ("POST", "/pause", {"run": "r1"}, 409),
            ("POST", "/start", "text", 400),
            ("GET", "/logs?run=r1&tail=some", None, 400),
            ("GET", "/events?after=x", None, 400),
            ("GET", "/events", None, 426),
            ("POST", "/ack?seq=-1", None, 400),
        ):
            answer = await task.client._ask(method, path, body)
            assert (path, answer.status) == (path, status)
            assert b'"message"' in answer.body


async def test_spare_connection_that_died_is_replaced(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        spare = task.client._spare
        assert spare is not None
        spare._sock.shutdown(trio.socket.SHUT_RDWR)
        assert (await task.client.health()).status == "ok"


async def test_nursery_makes_the_next_connection_ready(start_agent: StartAgent) -> None:
    async with start_agent() as task, trio.open_nursery() as nursery:
        client = AgentClient("127.0.0.1", task.port, TOKEN, task.client._context, nursery)
        async with client.events():
            with trio.fail_after(5):
                while client._spare is None:
                    await trio.testing.wait_all_tasks_blocked()
        await client.aclose()


def test_pin_is_the_digest_of_the_public_key() -> None:
    identity = new_identity()
    public = x509.load_pem_x509_certificate(identity.certificate_pem).public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert identity.public_key_sha256 == hashlib.sha256(spki).hexdigest()
    assert b"PRIVATE KEY" in identity.key_pem


async def test_install_copies_the_binary_whole(agent_binary: Path, tmp_path: Path) -> None:
    target = tmp_path / "volume" / "agent"
    for _ in range(2):  # over an old one too
        await trio.run_process([agent_binary, "install", str(target)])
    assert filecmp.cmp(target, agent_binary, shallow=False)
    assert os.access(target, os.X_OK)
    assert os.listdir(target.parent) == ["agent"]  # noqa: PTH208
    said = await trio.run_process([target, "version"], capture_stdout=True)
    assert said.stdout.startswith(b"sockerless-agent ")
    failed = await trio.run_process([target, "what"], check=False, capture_stderr=True)
    assert failed.returncode == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOCKERLESS_AGENT_TOKEN", "short"),
        ("SOCKERLESS_CLIENT_KEY_SHA256", ""),
        ("SOCKERLESS_SPOOL_BYTES", "1"),
        ("SOCKERLESS_START_TIMEOUT_SECONDS", "soon"),
    ],
)
async def test_bad_setting_is_named(start_agent: StartAgent, name: str, value: str) -> None:
    async with start_agent(ready=False, **{name: value}) as task:
        with trio.fail_after(5):
            assert await task.process.wait() == 125
        assert name.encode() in task.log()[0]
