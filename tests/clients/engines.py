"""The engines under test, each with the same image: our daemon, and a real dockerd to compare with."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sockerless_ecs.registry.digest import digest_of
from tests.dockerd import client, dockerd
from tests.images import PATH

IMAGE = "sockerless/program:1"
SHORT_IMAGE = "sockerless/program"
VERSION = "v1.41"
"""What Debian's dockerd and we both speak."""


@dataclass(frozen=True, slots=True)
class Target:
    """An engine's socket; `IMAGE` is loaded there, its command is /bin/program."""

    name: str
    socket: Path
    network: str
    """The mode that works there: the real dockerd of the tests has no bridge."""

    @property
    def is_ours(self) -> bool:
        """Whether it is our daemon."""
        return self.name == "ours"

    @property
    def host(self) -> str:
        """What DOCKER_HOST is for it."""
        return f"unix://{self.socket}"

    @property
    def environment(self) -> dict[str, str]:
        """Of a client's process: this engine, and nothing of the machine's own Docker configuration."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        return {**kept, "DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.socket.parent / "no-config")}


def load(socket: Path, archive: bytes) -> None:
    """`docker load`."""
    with client(socket) as http:
        answer = http.post(f"/{VERSION}/images/load", content=archive)
        assert answer.status_code == httpx.codes.OK, answer.text
        assert "errorDetail" not in answer.text, answer.text


@contextmanager
def real_dockerd(archive: bytes) -> Iterator[Target]:
    """A real one with the image; raises `NoDockerd` where there can be none."""
    with dockerd() as socket:
        load(socket, archive)
        yield Target("dockerd", socket, "none")


def docker_archive(
    files: Mapping[str, bytes], config: Mapping[str, Any] | None = None, *, names: tuple[str, ...] = (IMAGE,)
) -> bytes:
    """What `docker save` of an image with these programs writes; `config` has Docker's keys."""
    folders = sorted({str(parent) for name in files for parent in Path(name).parents} - {"."})
    layer = tar_of({**dict.fromkeys(folders, None), **files})
    document = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2020-01-01T00:00:00Z",
            "config": {"Env": [PATH], "Cmd": ["/bin/program", "print", "hello"], **(config or {})},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
            "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "program"}],
        }
    ).encode()
    name = digest_of(document).partition(":")[2]
    manifest = [{"Config": f"{name}.json", "RepoTags": list(names), "Layers": [f"{name}/layer.tar"]}]
    return tar_of(
        {
            name: None,
            f"{name}/layer.tar": layer,
            f"{name}.json": document,
            "manifest.json": json.dumps(manifest).encode(),
        }
    )


def tar_of(entries: Mapping[str, bytes | None]) -> bytes:
    """A tar of these files; None is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in entries.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755
            if data is None:
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
