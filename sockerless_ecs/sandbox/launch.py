"""Starts the embedded AWS as a child process, for the command line and for tests."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.sandbox.options import SandboxInfo, SandboxOptions, decode_info, encode_options

__all__ = ["SandboxInfo", "SandboxOptions", "credentials", "daemon_settings", "embedded_aws"]

_READY_SECONDS = 30
_END_SECONDS = 10
_LONGEST_LINE = 1 << 20
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
LOG_GROUP = "/sockerless/containers"


@asynccontextmanager
async def embedded_aws(options: SandboxOptions) -> AsyncIterator[SandboxInfo]:
    """A sandbox that answers while the context lasts; it ends with us, even if we are killed.

    Raises:
        Unavailable: It cannot start here; the message says why.
    """
    # Its stdin is the leash: the kernel closes our end when we die.
    # (PDEATHSIG would follow the thread that forked, and trio forks in a worker thread.)
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "sockerless_ecs.sandbox", "--options-json", encode_options(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={
            # Somebody's real account must not shine through: botocore reads profiles in the sandbox too.
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "PYTHONPATH": os.pathsep.join((_PACKAGE_PARENT, os.environ.get("PYTHONPATH", ""))),
        },
    )
    try:
        yield await _ready(process)
    finally:
        with trio.CancelScope(shield=True):
            await _end(process)


def daemon_settings(info: SandboxInfo) -> dict[str, Any]:
    """The configuration of a daemon that works on this sandbox, as nested keys."""
    return {
        "ecs": {
            "region": info.region,
            "cluster": info.cluster,
            "subnets": list(info.subnets),
            "security_groups": list(info.security_groups),
            "execution_role_arn": info.execution_role_arn,
            "task_role_arn": info.task_role_arn,
            "efs_filesystem_id": info.efs_filesystem_id,
            "endpoint_url": info.endpoint_url,
            "log_group": LOG_GROUP,
            "architecture": "arm64" if platform.machine() == "aarch64" else "x86_64",
        },
        "images": {
            "mirrors": {"docker.io": f"http://{info.registry}"},
            "insecure_registries": [info.registry],
        },
    }


def credentials(info: SandboxInfo) -> dict[str, str]:
    """The environment with which any AWS tool speaks to this sandbox."""
    return {
        "AWS_ENDPOINT_URL": info.endpoint_url,
        "AWS_ACCESS_KEY_ID": "AKIASANDBOX000000000",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_REGION": info.region,
        "AWS_DEFAULT_REGION": info.region,
    }


async def _ready(process: trio.Process) -> SandboxInfo:
    line = b""
    with trio.move_on_after(_READY_SECONDS):
        assert process.stdout is not None
        async for chunk in process.stdout:
            line += chunk
            if line.endswith(b"\n") or len(line) > _LONGEST_LINE:
                break
    if not line.endswith(b"\n"):
        raise Unavailable("the sandbox did not start; its own messages are on stderr")
    try:
        return decode_info(line)
    except msgspec.ValidationError:
        reason = msgspec.json.decode(line, type=dict[str, str]).get("error", "for no reason it gave")
        raise Unavailable(f"the sandbox cannot start: {reason}") from None


async def _end(process: trio.Process) -> None:
    assert process.stdin is not None
    await process.stdin.aclose()
    with trio.move_on_after(_END_SECONDS) as patience:
        await process.wait()
    if patience.cancelled_caught:
        process.kill()
        await process.wait()
    if process.stdout is not None:
        await process.stdout.aclose()
