"""One full record of every kind: no field at its default, so that none can be lost unnoticed."""

from __future__ import annotations

from sockerless_ecs.model.cleanup import CleanupJob, CleanupKind, KnownDefinition
from sockerless_ecs.model.container import (
    Container,
    ContainerConfig,
    ContainerId,
    Healthcheck,
    HostConfig,
    RestartPolicy,
    Run,
    RunId,
    Task,
    TaskArn,
    Ulimit,
)
from sockerless_ecs.model.exec import Exec
from sockerless_ecs.model.image import Descriptor, Image, ImageConfig, ImageFile, ImageRef
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.network import Network
from sockerless_ecs.model.taskdef import RunTaskRequest
from sockerless_ecs.model.volume import Volume
from sockerless_ecs.store import Record, Snapshot
from sockerless_ecs.store.contract import KINDS

HEALTHCHECK = Healthcheck(
    test=("CMD", "true"), interval_ns=1, timeout_ns=2, start_period_ns=3, start_interval_ns=4, retries=5
)
TASK = Task(
    request=RunTaskRequest(
        cluster="sockerless",
        definition_arn="arn:aws:ecs:eu-central-1:123456789012:task-definition/sockerless-1:1",
        client_token="c" * 32,
        started_by="i" * 32,
        subnets=("subnet-1", "subnet-2"),
        security_groups=("sg-1",),
        assign_public_ip=True,
        capacity_provider="FARGATE",
        platform_version="LATEST",
        cpu_units=256,
        memory_mib=512,
        storage_gib=21,
        environment={"SOCKERLESS_TOKEN": "t" * 64},
        tags={"owner": "Ünï"},
    ),
    agent_token="t" * 64,
    requested_ns=1_700_000_000_000_000_000,
    arn=TaskArn("arn:aws:ecs:eu-central-1:123456789012:task/sockerless/0123"),
    agent_address="10.0.0.7",
    event_seq=12,
    run_sent=True,
)
CONTAINER = Container(
    id=ContainerId("a" * 64),
    name="web",
    created_ns=1_700_000_000_000_000_001,
    config=ContainerConfig(
        image="alpine",
        hostname="h",
        domainname="d",
        user="1000:1000",
        attach_stdin=True,
        attach_stdout=True,
        attach_stderr=True,
        tty=True,
        open_stdin=True,
        stdin_once=True,
        env=("A=1", "B=\u2028 \N{GRINNING FACE} \udcff".encode("utf-8", "replace").decode()),
        cmd=("sh", "-c", "exit 7"),
        entrypoint=(),
        working_dir="/w",
        labels={"com.example/x": "1"},
        exposed_ports=("80/tcp",),
        volumes=("/data",),
        healthcheck=HEALTHCHECK,
        stop_signal="SIGINT",
        stop_timeout=0,
    ),
    host=HostConfig(
        network_mode="bridge",
        auto_remove=True,
        memory_bytes=1 << 40,
        nano_cpus=500_000_000,
        cap_drop=("ALL",),
        group_add=("7",),
        ulimits=(Ulimit(name="nofile", soft=1, hard=2),),
        security_opt=("no-new-privileges",),
        extra_hosts=("db:10.0.0.1",),
        readonly_rootfs=True,
        init=True,
        restart_policy=RestartPolicy(name="on-failure", maximum_retry_count=3),
    ),
    image_id="sha256:1",
    image_digest="sha256:2",
    image_pull="docker.io/library/alpine@sha256:2",
    architecture="x86_64",
    task_definition_arn="arn:aws:ecs:eu-central-1:123456789012:task-definition/sockerless-1:1",
    credentials_arn="arn:secret",
    state=State.RUNNING,
    task=TASK,
    run_id=RunId("b" * 32),
    error="none",
    exit_code=137,
    oom_killed=True,
    started_ns=1_700_000_000_000_000_002,
    finished_ns=1_700_000_000_000_000_003,
    restart_count=2,
    stopped_by_user=True,
    held=True,
)
RUN = Run(
    id=RunId("b" * 32),
    container_id=CONTAINER.id,
    number=2,
    task_arn=TaskArn("arn:aws:ecs:eu-central-1:123456789012:task/sockerless/0123"),
    log_stream="sockerless/main/0123",
    started_ns=1,
    finished_ns=2,
    exit_code=0,
    lines=9,
)
IMAGE = Image(
    ref=ImageRef("docker.io/library/alpine:3"),
    id="sha256:1",
    digest="sha256:3",
    manifest_digest="sha256:2",
    config=ImageConfig(
        user="nobody",
        env=("PATH=/bin",),
        cmd=("sh",),
        entrypoint=("/e",),
        working_dir="/w",
        labels={"a": "b"},
        exposed_ports=("1/udp",),
        volumes=("/v",),
        stop_signal="SIGQUIT",
        healthcheck=HEALTHCHECK,
    ),
    architecture="arm64",
    os="linux",
    variant="v8",
    created="2024-01-01T00:00:00Z",
    author="me",
    comment="why",
    docker_version="20.10",
    size_bytes=1 << 33,
    layers=("sha256:4",),
    blobs=(Descriptor(digest="sha256:5", size=1 << 33, media_type="tar"),),
    pulled_ns=5,
    repository="ecr.example/a",
    credentials_arn="arn:secret",
)
IMAGE_FILE = ImageFile(id=IMAGE.id, text='{"architecture": "arm64"}')
NETWORK = Network(
    id="c" * 64,
    name="net",
    created_ns=6,
    driver="bridge",
    labels={"l": "1"},
    options={"o": "2"},
    internal=True,
    attachable=True,
    security_group_id="sg-9",
    cloud_map_namespace_arn="arn:aws:servicediscovery:eu-central-1:123456789012:namespace/ns-1",
)
VOLUME = Volume(
    name="data", created_ns=7, labels={"l": "1"}, options={"o": "2"}, efs_access_point_id="fsap-1"
)
EXEC = Exec(
    id="d" * 64,
    container_id=CONTAINER.id,
    argv=("ls",),
    created_ns=8,
    env=("A=1",),
    user="root",
    working_dir="/",
    tty=True,
    attach_stdin=True,
    attach_stdout=True,
    attach_stderr=True,
    privileged=True,
    pid=3,
    exit_code=1,
)
JOB = CleanupJob(
    id="e" * 32,
    kind=CleanupKind.STOP_TASK,
    target="arn:task",
    created_ns=9,
    reason="removed",
    attempts=2,
    last_error="throttled",
)
DEFINITION = KnownDefinition(hash="f" * 32, arn="arn:aws:ecs:eu-central-1:123456789012:task-definition/s:1")


def in_snapshot(snapshot: Snapshot) -> list[object]:
    """What a snapshot has of every kind that is part of it."""
    return [getattr(snapshot, table) for table, _, record in EVERY_KIND if KINDS[type(record)].resident]


def filled() -> list[object]:
    """That of a store with one record of every kind."""
    return [{key: record} for _, key, record in EVERY_KIND if KINDS[type(record)].resident]


EVERY_KIND: tuple[tuple[str, str, Record], ...] = (
    ("containers", CONTAINER.id, CONTAINER),
    ("runs", RUN.id, RUN),
    ("images", IMAGE.ref, IMAGE),
    ("image_files", IMAGE_FILE.id, IMAGE_FILE),
    ("networks", NETWORK.id, NETWORK),
    ("volumes", VOLUME.name, VOLUME),
    ("execs", EXEC.id, EXEC),
    ("cleanup_jobs", JOB.id, JOB),
    ("definitions", DEFINITION.hash, DEFINITION),
)
