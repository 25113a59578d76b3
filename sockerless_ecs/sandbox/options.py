"""What a sandbox is asked for, and what it says once it is ready."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

CLUSTER = "sandbox"
REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """How the embedded AWS behaves. Seconds of 0 are as fast as it goes."""

    provision_seconds: float = 2.0
    """From RunTask to RUNNING."""
    stop_seconds: float = 2.0
    """From the end of a task's processes to STOPPED."""
    log_delay_seconds: float = 1.0
    """From a line written to the line being there in CloudWatch Logs."""
    log_bytes: int = 256 << 20
    """How much of a container's output is kept unread on disk, and of a log stream in memory."""
    stopped_task_seconds: float = 3600
    """How long a stopped task can be described."""
    describe_lag_seconds: float = 0
    """How far DescribeTasks lags behind what happens."""
    rate_limits: bool = True
    """Whether calls beyond AWS's rates are throttled."""
    state_dir: Path | None = None
    """Where everything is kept; None is a temporary folder that goes with the sandbox."""
    mode: str | None = None
    """`full`, `rootless` or `bare`; None is the best that works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxInfo:
    """A sandbox that is ready: where it is and what exists in it."""

    endpoint_url: str
    region: str
    cluster: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    execution_role_arn: str
    task_role_arn: str
    efs_filesystem_id: str
    registry: str
    """host:port of the registry that plays ECR and docker.io."""
    mode: str
    limits: tuple[str, ...]
    """What this mode cannot do, one sentence each."""
    pid: int
    state_dir: Path


def encode_options(options: SandboxOptions) -> str:
    """As one line of JSON."""
    return msgspec.json.encode(options, enc_hook=str).decode()


def decode_options(text: str) -> SandboxOptions:
    """What `encode_options` wrote; raises `msgspec.ValidationError`."""
    return msgspec.json.decode(text, type=SandboxOptions, dec_hook=_path)


def encode_info(info: SandboxInfo) -> bytes:
    """As one line of JSON."""
    return msgspec.json.encode(info, enc_hook=str) + b"\n"


def decode_info(line: bytes) -> SandboxInfo:
    """What `encode_info` wrote; raises `msgspec.ValidationError`."""
    return msgspec.json.decode(line, type=SandboxInfo, dec_hook=_path)


def _path(kind: type, value: str) -> object:
    return kind(value)
