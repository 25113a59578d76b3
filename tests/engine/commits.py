"""Containers that become images, of an image that a real registry has."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from sockerless_ecs.agent.files import ChangedPath
from sockerless_ecs.engine.committing import Committer
from sockerless_ecs.engine.values import CommitRequest
from sockerless_ecs.model.container import ContainerConfig, CreateRequest, HostConfig
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.services.ledger import Live
from tests.engine.bundles import layer, parts
from tests.engine.loads import Loads
from tests.services.fake_files import Disk

BASE = parts(
    [layer({"etc/passwd": b"root\n"}), layer({"bin/sh": b"x" * 5000})],
    config={"Cmd": ["/bin/sh"], "Labels": {"of": "base"}, "ExposedPorts": {"80/tcp": {}}},
    history=[{"created": "2026-01-01T00:00:00Z", "created_by": "one"}, {"created_by": "two"}],
)
PACKED = layer({"etc/new": b"added\n"})
NEW = ChangedPath("/etc/new", directory=False, entries=())


class Meanwhile:
    """What happens while an agent packs."""

    def __init__(self, do: Callable[[], Awaitable[None]]) -> None:
        self._do = do

    async def wait(self) -> None:
        await self._do()


class Commits:
    """Containers of an image that a real registry has."""

    def __init__(self, loads: Loads, committer: Committer) -> None:
        self.loads, self.world, self.committer = loads, loads.world, committer

    async def create(
        self, image: str = "base:1", *, host: HostConfig | None = None, **config: object
    ) -> Live:
        wanted = ContainerConfig(image=image, cmd=("sleep", "60"), **config)  # type: ignore[arg-type]
        created = await self.world.containers.create(
            CreateRequest(name=None, config=wanted, host=host or HostConfig())
        )
        return self.world.ledger.find(created.id)

    async def run(self, **config: object) -> Live:
        """A container that has added /etc/new."""
        live = await self.create(**config)  # type: ignore[arg-type]
        await self.world.containers.start(live.id)
        self.disk(live).changed, self.disk(live).tars["layer"] = [NEW], [PACKED]
        return live

    def disk(self, live: Live) -> Disk:
        assert live.agent is not None
        return self.world.files.disk(live.agent)

    async def commit(self, live: Live, **wanted: object) -> Image:
        request = CommitRequest(**{"repository": "made", "tag": "1", **wanted})  # type: ignore[arg-type]
        return self.loads.images.find(await self.committer.commit(live, request))

    async def document(self, image: Image) -> dict[str, object]:
        text = await self.world.ledger.image_file(image.id)
        assert text is not None
        found: dict[str, object] = json.loads(text)
        return found

    def told(self) -> list[str]:
        """What happened to containers since they run."""
        return [action for action in self.world.actions() if action not in ("create", "start")]

    def goes_on(self, live: Live) -> bool:
        """It runs as before, and nobody was told of an image."""
        running = live.record.state is State.RUNNING and not self.world.agent.paused
        return running and self.nothing_made() and "commit" not in self.world.actions()

    def nothing_made(self) -> bool:
        names = {image.ref for image in self.world.ledger.images.values()}
        return names == {"docker.io/library/alpine:latest", "docker.io/library/base:1"}
