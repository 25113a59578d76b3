"""Images go to and come from registries and engines of others, whole and under the same ids."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.cli import DockerCli
from tests.clients.engines import IMAGE, Target, docker_archive
from tests.conftest import not_run_here
from tests.peers import PASSWORD, USER, NoPeer, Peer, distribution, program, skopeo

_BIG = {"bin/big": os.urandom(6_000_000), "etc/hostname": b"x\n"}


@pytest.fixture(scope="session")
def _open_registry() -> Iterator[Peer | str]:
    try:
        with distribution() as peer:
            yield peer
    except NoPeer as reason:
        yield str(reason)


@pytest.fixture(scope="session")
def _closed_registry() -> Iterator[Peer | str]:
    try:
        with distribution(login=True) as peer:
            yield peer
    except NoPeer as reason:
        yield str(reason)


def _peer(found: Peer | str) -> Peer:
    if isinstance(found, str):
        not_run_here(found)
    return found


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Peer:
    """A registry that lets everybody in."""
    return _peer(request.getfixturevalue("_open_registry"))


@pytest.fixture
def closed(request: pytest.FixtureRequest) -> Peer:
    """A registry that wants a login."""
    return _peer(request.getfixturevalue("_closed_registry"))


@pytest.fixture(autouse=True)
def _with_skopeo() -> None:
    try:
        program("skopeo", "skopeo")
    except NoPeer as reason:
        not_run_here(str(reason))


@pytest.fixture
def docker(ours: Target, docker_cli: str) -> DockerCli:
    return DockerCli(docker_cli, ours)


@pytest.fixture
def theirs(real: Target, docker_cli: str) -> DockerCli:
    return DockerCli(docker_cli, real)


def inspected(where: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(skopeo("inspect", "--tls-verify=false", where).stdout)
    return found


def image_id(docker: DockerCli, name: str) -> str:
    return docker.inspect("{{.Id}}", name)


def test_what_we_push_skopeo_finds_whole(docker: DockerCli, peer: Peer, tmp_path: Path) -> None:
    name = f"{peer.host}/pushed:1"
    docker("tag", IMAGE, name)
    shown = docker("push", name).text
    assert "1: digest: sha256:" in shown
    digest = docker.inspect("{{index .RepoDigests 0}}", name).partition("@")[2]
    assert inspected(f"docker://{name}")["Digest"] == digest
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path}/copy")
    config = json.loads((tmp_path / "copy" / "manifest.json").read_text())["config"]["digest"]
    assert config == image_id(docker, name)
    docker("rmi", name)


@pytest.mark.parametrize(("form", "compression"), [("v2s2", "gzip"), ("oci", "gzip"), ("oci", "zstd")])
def test_what_skopeo_pushes_is_pulled_saved_and_pushed_on(
    docker: DockerCli, peer: Peer, tmp_path: Path, form: str, compression: str
) -> None:
    """As it is, whichever way its layers are compressed."""
    (tmp_path / "in.tar").write_bytes(docker_archive(_BIG, names=("x/in:1",)))
    name, copy = f"{peer.host}/from/skopeo:{compression}", f"{peer.host}/onwards:{compression}"
    skopeo(
        "copy", "--dest-tls-verify=false", "--format", form, "--dest-compress-format", compression,
        f"docker-archive:{tmp_path}/in.tar", f"docker://{name}",
    )  # fmt: skip
    layers = inspected(f"docker://{name}")["Layers"]
    pulled = docker("pull", name).text
    assert f"Status: Downloaded newer image for {name}" in pulled
    assert "up to date" in docker("pull", name).text
    docker("tag", name, copy)
    docker("push", copy)
    assert inspected(f"docker://{copy}")["Layers"] == layers
    saved = tmp_path / "out.tar"
    docker("save", "-o", str(saved), name)
    layout = tmp_path / "layout"
    with tarfile.open(saved) as tar:
        tar.extractall(layout, filter="data")
    [listed] = json.loads((layout / "manifest.json").read_text())
    assert [f"sha256:{path.rpartition('/')[2]}" for path in listed["Layers"]] == layers
    if form == "oci":
        assert inspected(f"oci:{layout}:{compression}")["Layers"] == layers
    docker("rmi", copy, name)


def test_every_tag_of_a_repository_is_pulled(docker: DockerCli, peer: Peer, tmp_path: Path) -> None:
    repository = f"{peer.host}/many"
    for tag in ("a", "b", "c"):
        (tmp_path / f"{tag}.tar").write_bytes(docker_archive({"x": tag.encode()}, names=("x/in:1",)))
        skopeo(
            "copy", "--dest-tls-verify=false", f"docker-archive:{tmp_path}/{tag}.tar",
            f"docker://{repository}:{tag}",
        )  # fmt: skip
    shown = docker("pull", "-a", repository).text
    assert f"Status: Downloaded newer image for {repository}" in shown
    listed = docker("images", repository, "--format", "{{.Tag}}").text.split()
    assert sorted(listed) == ["a", "b", "c"]
    docker("rmi", *(f"{repository}:{tag}" for tag in listed))
    refused = docker("pull", "-a", f"{peer.host}/nosuch", code=1).err.decode()
    assert f"repository {peer.host}/nosuch not found: name unknown" in refused


def test_a_login_lets_in_and_its_lack_does_not(ours: Target, docker_cli: str, closed: Peer) -> None:
    name = f"{closed.host}/mine:1"
    folder = ours.socket.parent / "with-login"
    folder.mkdir(exist_ok=True)
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {closed.host: {"auth": pair}}}))

    def docker(*words: str, config: str) -> subprocess.CompletedProcess[str]:
        environment = {**ours.environment, "DOCKER_CONFIG": config}
        return subprocess.run(
            [docker_cli, *words], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    nobody = str(ours.socket.parent / "no-config")
    assert docker("tag", IMAGE, name, config=nobody).returncode == 0
    refused = docker("push", name, config=nobody)
    assert (refused.returncode, "authentication required" in refused.stderr) == (1, True)
    assert docker("push", name, config=str(folder)).returncode == 0
    assert docker("rmi", name, config=nobody).returncode == 0
    refused = docker("pull", name, config=nobody)
    assert (refused.returncode, "authentication required" in refused.stderr) == (1, True)
    assert docker("pull", name, config=str(folder)).returncode == 0
    # What was pulled with a login can be read with it: as on a Docker host, whose layers are simply there.
    saved = docker("save", "-o", str(folder / "saved.tar"), name, config=nobody)
    assert (saved.returncode, saved.stderr) == (0, "")
    wrong = docker("login", "-u", USER, "-p", "wrong", closed.host, config=nobody)
    assert wrong.returncode == 1
    right = docker("login", "-u", USER, "-p", PASSWORD, closed.host, config=str(folder / "made"))
    assert "Login Succeeded" in right.stdout
    assert docker("rmi", name, config=nobody).returncode == 0


def test_what_we_save_dockerd_loads_and_the_other_way(
    docker: DockerCli, theirs: DockerCli, tmp_path: Path
) -> None:
    """An image that has been to the other side and back is the same image."""
    saved = docker("save", IMAGE).out
    (tmp_path / "ours.tar").write_bytes(saved)
    theirs("load", "-i", str(tmp_path / "ours.tar"))
    assert image_id(theirs, IMAGE) == image_id(docker, IMAGE)
    theirs("tag", IMAGE, "sockerless/back:1")
    back = theirs("save", "sockerless/back:1").out
    assert docker("load", stdin=back).text == "Loaded image: sockerless/back:1"
    assert image_id(docker, "sockerless/back:1") == image_id(docker, IMAGE)
    assert docker("run", "--rm", "sockerless/back:1").text == "hello"
    docker("rmi", "sockerless/back:1")
    theirs("rmi", "sockerless/back:1")


def test_compressed_layers_that_we_save_dockerd_loads(
    docker: DockerCli, theirs: DockerCli, peer: Peer, tmp_path: Path
) -> None:
    (tmp_path / "in.tar").write_bytes(docker_archive(_BIG, names=("x/in:1",)))
    name = f"{peer.host}/squeezed:1"
    skopeo("copy", "--dest-tls-verify=false", f"docker-archive:{tmp_path}/in.tar", f"docker://{name}")
    docker("pull", name)
    docker("save", "-o", str(tmp_path / "out.tar"), name)
    theirs("load", "-i", str(tmp_path / "out.tar"))
    assert image_id(theirs, name) == image_id(docker, name)
    docker("rmi", name)
    theirs("rmi", name)
