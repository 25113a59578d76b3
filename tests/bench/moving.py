"""Images that move: loads and pushes beside skopeo, what they take of memory, and pulls of what is known."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import trio

from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry import manifest as media
from sockerless_ecs.sandbox.registry import Registry
from tests.bench.bundle import write_bundle
from tests.bench.figure import Figure
from tests.bench.world import World
from tests.peers import NoPeer, distribution, skopeo
from tests.registry.content import Content, sha256
from tests.registry.scripted_registry import Asked, Said, scripted_registry

_REPOSITORY = "moved/big"


async def moving(world: World) -> list[Figure]:
    """`docker load` and `docker push` of a large image; skopeo copies the same tar to the same registry."""
    docker = shutil.which("docker")
    if docker is None:
        raise FileNotFoundError("the docker command is not on PATH")
    ours: list[float] = []
    theirs: list[float] = []
    missing = ""
    registry = world.cloud.info.registry
    with TemporaryDirectory(prefix="sl-bench-") as name:
        tar = Path(name) / "image.tar"
        for number in range(world.scale.move_runs):
            target = f"{registry}/{_REPOSITORY}:{number}"
            await trio.to_thread.run_sync(write_bundle, tar, parse(target), world.scale.move_mebibytes)
            began = time.perf_counter()
            await _docker(world, docker, "load", "-q", "-i", str(tar))
            await _docker(world, docker, "push", "-q", target)
            ours.append(time.perf_counter() - began)
            try:
                theirs.append(await _skopeo(tar, f"{registry}/skopeo/big:{number}"))
            except NoPeer as reason:
                missing = str(reason)
    return [
        Figure(
            name=f"load + push of {world.scale.move_mebibytes} MiB, layers not compressed",
            unit="s",
            samples=tuple(ours),
            local=tuple(theirs),
            target="<= 1.3 x skopeo",
            note=missing or "in the other column: skopeo copy of the same tar to the same registry",
        )
    ]


async def memory_while_moving(world: World) -> list[Figure]:
    """The most that the daemon has above what it had, while an image is loaded and pushed elsewhere."""
    docker = shutil.which("docker")
    if docker is None:
        raise FileNotFoundError("the docker command is not on PATH")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="sl-bench-")))
        try:
            host, whose = stack.enter_context(distribution()).host, "Debian's registry"
        except NoPeer:
            other = Registry(folder / "registry")
            stack.callback(other.close)
            host, whose = f"127.0.0.1:{other.serve()}", "another registry of the sandbox's kind"
        target = f"{host}/{_REPOSITORY}:1"
        tar = folder / "image.tar"
        await trio.to_thread.run_sync(write_bundle, tar, parse(target), 2 * world.scale.move_mebibytes)
        before = _resident(world.daemon.pid, "VmRSS")
        _forget_peak(world.daemon.pid)
        await _docker(world, docker, "load", "-q", "-i", str(tar))
        loaded = _resident(world.daemon.pid, "VmHWM")
        await _docker(world, docker, "push", "-q", target)
        peak = _resident(world.daemon.pid, "VmHWM")
    return [
        Figure(
            name=f"  memory above idle, load + push of {2 * world.scale.move_mebibytes} MiB",
            unit="MB RSS",
            samples=(peak - before,),
            target="<= 60",
            note=f"load alone {loaded - before:.0f}; pushed to {whose}; {before:.0f} before",
        )
    ]


async def warm_pulls(world: World) -> list[Figure]:
    """Pulls of a tag that is known and has not changed."""
    content = Content()
    content.image(media_type=media.OCI_MANIFEST, tag="1")

    def answer(asked: Asked) -> Said:
        said = content(asked)
        if said.status != httpx.codes.OK or not isinstance(said.body, bytes):
            return said
        head = {**said.headers, "Docker-Content-Digest": sha256(said.body)}
        return Said(said.status, b"" if asked.method == "HEAD" else said.body, head)

    with scripted_registry(answer) as registry:
        query = {"fromImage": f"{registry.host}/known", "tag": "1"}
        await _pull(world, query)
        registry.asked.clear()
        samples = []
        for _ in range(world.scale.execs):
            began = time.perf_counter()
            await _pull(world, query)
            samples.append((time.perf_counter() - began) * 1000)
        requests = len(registry.asked) / world.scale.execs
    return [
        Figure(
            name="pull of what is known and unchanged",
            unit="ms",
            samples=tuple(samples),
            target="<= 50",
            note=f"{requests:g} request to the registry",
        )
    ]


async def _pull(world: World, query: dict[str, str]) -> None:
    answer = await world.docker.http.post("/images/create", params=query)
    assert "Status: " in answer.text, answer.text


async def _docker(world: World, docker: str, *words: str) -> None:
    environment = {**os.environ, "DOCKER_HOST": f"unix://{world.daemon.docker_socket}"}
    await _run([docker, *words], environment)


async def _skopeo(tar: Path, target: str) -> float:
    """Seconds; the layers as they are, as ours."""
    copy: Sequence[str] = ("copy", "-q", "--preserve-digests", "--dest-creds", "any:one")
    words = (*copy, "--dest-tls-verify=false", f"oci-archive:{tar}", f"docker://{target}")
    began = time.perf_counter()
    await trio.to_thread.run_sync(partial(skopeo, *words))
    return time.perf_counter() - began


async def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    done = await trio.run_process(command, env=environment, capture_stdout=True, capture_stderr=True)
    assert done.returncode == 0, done


def _forget_peak(pid: int) -> None:
    """`VmHWM` counts from here."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _resident(pid: int, what: str) -> float:
    """In MB: `VmRSS` now, `VmHWM` at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1000
    raise AssertionError(f"/proc has no {what}")
