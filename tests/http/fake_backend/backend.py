"""The whole contract."""

from __future__ import annotations

from collections.abc import Mapping

from sockerless_ecs.model.container import ContainerConfig, ContainerId, CreateRequest
from tests.http.fake_backend.containers import FakeContainers
from tests.http.fake_backend.execs import FakeExecs
from tests.http.fake_backend.images import FakeImages
from tests.http.fake_backend.networks import FakeNetworks, FakeVolumes
from tests.http.fake_backend.registries import FakeRegistries
from tests.http.fake_backend.system import FakeSystem


class FakeBackend:
    """The whole contract."""

    def __init__(self) -> None:
        self.revision = 0
        self.system = FakeSystem()
        self.images = FakeImages()
        self.registries = FakeRegistries()
        self.containers = FakeContainers(self.images, self.system.publish, self.changed)
        self.execs = FakeExecs(self.containers)
        self.networks = FakeNetworks()
        self.volumes = FakeVolumes()

    def changed(self) -> None:
        """What inspect or a list shows is not what it was."""
        self.revision += 1

    def capabilities(self) -> Mapping[str, object]:
        return {"backend": "ecs", "version": "0.1.0", "capabilities": {"logs": True, "agent_required": True}}

    async def pulled(self, reference: str = "alpine:3") -> None:
        async with self.images.pull(reference, None) as progress:
            async for _ in progress:
                pass

    async def container(self, name: str = "c", **config: object) -> ContainerId:
        """A created container of an image that is there."""
        await self.pulled()
        request = CreateRequest(name=name, config=ContainerConfig(image="alpine:3", **config))  # type: ignore[arg-type]
        return ContainerId((await self.containers.create(request)).id)

    async def running(self, name: str = "c", **config: object) -> ContainerId:
        """A container whose process runs."""
        container_id = await self.container(name, **config)
        await self.containers.start(container_id)
        return container_id
