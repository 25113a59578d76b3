"""What every measurement works on: one sandbox, its daemon, the bench's image, perhaps a dockerd."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from sockerless_ecs import __version__
from sockerless_ecs.agent.build_hook import build_agent
from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.sandbox.launch import SandboxOptions
from tests import dockerd
from tests.bench.engine import Engine
from tests.bench.machine import Memory, memory
from tests.e2e.world import Api, Cloud, Daemon, eventually, running_cloud
from tests.images import go_program, image, push

_LOG_DELAY_SECONDS = 0.2
_IDLE_SECONDS = 2.0
_SETTLE_SECONDS = 60
_LOCAL_IMAGE = "bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured."""

    lives: int = 50
    memory_lives: int = 100
    exits: int = 30
    ticks: int = 500
    lines: int = 200_000
    line_runs: int = 5
    crowd: int = 200
    crowd_seconds: float = 10
    ready_runs: int = 3
    tasks: int = 20
    task_bursts: int = 3
    execs: int = 50
    docker_runs: int = 15
    bulk_bytes: int = 400 << 20
    bulk_runs: int = 3
    archive_bytes: int = 100 << 20
    request_seconds: float = 3
    started: int = 100
    idle_connections: int = 2000
    move_mebibytes: int = 1024
    move_runs: int = 3
    listings: int = 50


QUICK = Scale(
    lives=10, memory_lives=20, exits=10, ticks=100, line_runs=1, crowd=40, crowd_seconds=3, ready_runs=1,
    tasks=5, task_bursts=1, execs=10, docker_runs=3, bulk_runs=1, request_seconds=1, started=20,
    idle_connections=200, move_mebibytes=64, move_runs=1, listings=10,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All of it, running."""

    scale: Scale
    cloud: Cloud
    daemon: Daemon
    program: bytes
    image: str
    idle: Memory
    """The daemon's, before it was asked for anything."""
    ours: Engine
    """Our internal API."""
    docker: Engine
    """Our Docker API."""
    local: Engine | None
    """Docker's, if there is one."""

    async def pulled(self, repository: str) -> str:
        """Another image with the same program."""
        return await _pulled(self.cloud, self.daemon, self.program, repository)

    async def settled(self) -> None:
        """Return when no task of the daemon is left."""
        instance = self.daemon.instance
        await eventually(
            lambda: all(task["lastStatus"] == "STOPPED" for task in self.cloud.tasks(instance)),
            _SETTLE_SECONDS,
        )


@contextmanager
def foundations(*, with_dockerd: bool) -> Iterator[tuple[Cloud, Daemon, bytes, Path | None, str]]:
    """The processes: sandbox, daemon, dockerd's socket if there is one, and why there is none."""
    build_agent(__version__)  # that of the sources
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="sl-bench-")))
        program = go_program(Path(__file__).parent / "program", folder / "program")
        options = SandboxOptions(provision_seconds=0, stop_seconds=0, log_delay_seconds=_LOG_DELAY_SECONDS)
        cloud = stack.enter_context(running_cloud(options))
        daemon = Daemon(cloud, folder)
        daemon.start()
        assert daemon.socket.exists(), daemon.log.read_text()[-4000:]
        stack.callback(daemon.stop)
        socket, missing = None, ""
        if with_dockerd:
            try:
                socket = stack.enter_context(dockerd.dockerd())
                _import(socket, _tar(program))
            except dockerd.NoDockerd as reason:
                missing = str(reason)
        yield cloud, daemon, program, socket, missing


@asynccontextmanager
async def world(
    scale: Scale, cloud: Cloud, daemon: Daemon, program: bytes, docker_socket: Path | None
) -> AsyncIterator[World]:
    """The clients on it, the image pushed and pulled."""
    await trio.sleep(_IDLE_SECONDS)
    idle = memory(daemon.pid)
    reference = await _pulled(cloud, daemon, program, "bench")
    ours = Engine.ours(daemon.socket, reference)
    docker = Engine.docker(daemon.docker_socket, reference)
    local = Engine.docker(docker_socket, _LOCAL_IMAGE, "none") if docker_socket else None
    try:
        yield World(
            scale=scale,
            cloud=cloud,
            daemon=daemon,
            program=program,
            image=reference,
            idle=idle,
            ours=ours,
            docker=docker,
            local=local,
        )
    finally:
        for engine in (ours, docker, local):
            if engine is not None:
                await engine.http.aclose()


async def _pulled(cloud: Cloud, daemon: Daemon, program: bytes, repository: str) -> str:
    """An image of the program in the sandbox's registry, known to the daemon; each repository has its own."""
    repository = f"{cloud.info.registry}/{repository}"
    built = image({"program": program}, {"Entrypoint": ["/program"], "Labels": {"repository": repository}})
    async with RegistryClient({}, (), _no_login) as client:
        await push(client, f"{repository}:latest", built)
    api = Api(daemon.socket)
    await api.pull(repository)
    await api.http.aclose()
    return f"{repository}:latest"


async def _no_login(_registry: str, _refused: str) -> None:
    """The push brings its own."""


def _import(socket: Path, layer: bytes) -> None:
    query = {"fromSrc": "-", "repo": _LOCAL_IMAGE, "changes": 'ENTRYPOINT ["/program"]'}
    with dockerd.client(socket) as http:
        http.post("/images/create", params=query, content=layer).raise_for_status()


def _tar(program: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("program")
        entry.mode, entry.size = 0o755, len(program)
        tar.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()
