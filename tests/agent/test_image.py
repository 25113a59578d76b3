"""The agent's image and its way into a registry."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from sockerless_ecs.agent import agent_image, publish
from sockerless_ecs.errors import Misconfigured


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class MemoryRegistry:
    """A repository that insists on what a registry insists on."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.pushes = 0

    async def has_manifest(self, ref: str) -> str | None:
        return digest_of(self.manifests[ref]) if ref in self.manifests else None

    async def push_blob(self, digest: str, data: bytes) -> None:
        assert digest == digest_of(data)
        self.blobs[digest] = data
        self.pushes += 1

    async def push_manifest(self, ref: str, media_type: str, data: bytes) -> None:
        manifest = json.loads(data)
        assert manifest["mediaType"] == media_type
        for layer in [*manifest.get("layers", []), *filter(None, [manifest.get("config")])]:
            assert len(self.blobs[layer["digest"]]) == layer["size"]
        for entry in manifest.get("manifests", []):
            assert len(self.manifests[entry["digest"]]) == entry["size"]
        self.manifests[ref] = data
        self.pushes += 1


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    for architecture in ("amd64", "arm64"):
        (tmp_path / f"sockerless-agent-linux-{architecture}").write_bytes(architecture.encode() * 1000)
    return tmp_path


async def test_published_tag_leads_to_each_architectures_binary(binaries: Path) -> None:
    registry = MemoryRegistry()
    image = agent_image(binaries, "1.2.3")
    assert await publish(image, registry) == image.digest == digest_of(registry.manifests["1.2.3"])
    for entry in json.loads(registry.manifests["1.2.3"])["manifests"]:
        manifest = json.loads(registry.manifests[entry["digest"]])
        config = json.loads(registry.blobs[manifest["config"]["digest"]])
        tar = registry.blobs[manifest["layers"][0]["digest"]]
        assert config["rootfs"]["diff_ids"] == [digest_of(tar)]
        assert config["architecture"] == entry["platform"]["architecture"]
        with tarfile.open(fileobj=io.BytesIO(tar)) as layer:
            (member,) = layer.getmembers()
            assert (f"/{member.name}", member.mode) == (config["config"]["Entrypoint"][0], 0o755)
            content = layer.extractfile(member)
            assert content is not None
            assert content.read() == entry["platform"]["architecture"].encode() * 1000


async def test_publishing_again_sends_nothing_and_another_build_replaces_the_tag(binaries: Path) -> None:
    registry = MemoryRegistry()
    first = await publish(agent_image(binaries), registry)
    pushes = registry.pushes
    assert await publish(agent_image(binaries), registry) == first
    assert registry.pushes == pushes
    (binaries / "sockerless-agent-linux-arm64").write_bytes(b"newer")
    assert await publish(agent_image(binaries), registry) != first


def test_missing_binary_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="install the package"):
        agent_image(tmp_path)
