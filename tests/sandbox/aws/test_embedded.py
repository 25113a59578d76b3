"""The sandbox as a process: ready, private, and gone without a trace."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trio

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.sandbox.launch import SandboxOptions, credentials, daemon_settings, embedded_aws
from sockerless_ecs.sandbox.options import decode_info
from tests.e2e.world import Cloud, running_cloud
from tests.sandbox.aws.account import FOREVER, Account, eventually

_OWNER = """
import sys, trio
from sockerless_ecs.sandbox.launch import SandboxOptions, embedded_aws

async def main():
    async with embedded_aws(SandboxOptions(provision_seconds=0, stop_seconds=0)) as info:
        print(info.pid, info.state_dir, info.endpoint_url, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


async def test_it_leaves_nothing_behind() -> None:
    async with embedded_aws(SandboxOptions(provision_seconds=0, stop_seconds=0)) as info:
        account = Account(Cloud(info))
        arn = await trio.to_thread.run_sync(account.start, FOREVER)
        await trio.to_thread.run_sync(account.until, arn, "RUNNING")
        account.http.close()
    assert not info.state_dir.exists()
    assert not _alive(info.pid)


def test_it_ends_when_its_owner_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert owner.stdout is not None
    pid, folder, url = owner.stdout.readline().split()
    assert httpx.get(f"{url}/_sandbox/state").status_code == 200
    try:
        supervisors = _children(int(pid))
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    assert supervisors
    eventually(lambda: not _alive(int(pid)))
    eventually(lambda: not any(_alive(child) for child in supervisors))
    assert not Path(folder).exists()


async def test_a_killed_sandbox_is_swept_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    async with embedded_aws(SandboxOptions()) as killed:
        os.kill(killed.pid, signal.SIGKILL)
    assert killed.state_dir.is_relative_to(tmp_path)
    assert killed.state_dir.exists()
    async with embedded_aws(SandboxOptions()):
        assert not killed.state_dir.exists()


async def test_a_state_folder_of_ones_own_is_kept_and_locked(tmp_path: Path) -> None:
    options = SandboxOptions(state_dir=tmp_path / "state")
    async with embedded_aws(options) as info:
        assert info.state_dir == tmp_path / "state"
        with pytest.raises(Unavailable, match="another sandbox uses"):
            async with embedded_aws(options):
                pytest.fail("two sandboxes in one folder")
    assert (tmp_path / "state").is_dir()


async def test_a_mode_that_does_not_exist_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unavailable, match="mode 'splendid'"):
        async with embedded_aws(SandboxOptions(mode="splendid")):
            pytest.fail("no such mode")


def test_what_the_daemon_and_commands_are_told(aws: Account) -> None:
    settings = daemon_settings(aws.info)
    assert settings["ecs"]["endpoint_url"] == aws.info.endpoint_url
    assert settings["ecs"]["cluster"] == aws.info.cluster
    assert settings["images"]["mirrors"] == {"docker.io": f"http://{aws.info.registry}"}
    assert credentials(aws.info)["AWS_ENDPOINT_URL"] == aws.info.endpoint_url


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _children(pid: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def test_asked_to_end_it_ends_well() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    sandbox = subprocess.Popen(
        [sys.executable, "-m", "sockerless_ecs.sandbox"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert sandbox.stdout is not None
    info = decode_info(sandbox.stdout.readline())
    sandbox.terminate()
    sandbox.communicate()
    assert sandbox.returncode == 0
    assert not info.state_dir.exists()


def test_tasks_end_with_the_runner() -> None:
    """What a broken machine looks like from outside."""
    with running_cloud(SandboxOptions(provision_seconds=0, stop_seconds=0)) as cloud:
        account = Account(cloud)
        arn = account.start(FOREVER)
        account.until(arn, "RUNNING")
        for child in _children(cloud.info.pid):
            os.kill(child, signal.SIGKILL)
        assert account.until(arn, "STOPPED")["stopCode"] == "InfrastructureHealth"
        later = account.until(account.start("exit 0"), "STOPPED")
        assert later["stopCode"] == "TaskFailedToStart"
        assert "ResourceInitializationError" in later["stoppedReason"]
