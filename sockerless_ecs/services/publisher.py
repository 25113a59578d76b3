"""Publishes the agent image to ECR, once for each version."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
import trio

from sockerless_ecs.agent import agent_image, publish
from sockerless_ecs.aws import Ecr
from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.model import reference as references
from sockerless_ecs.registry import RegistryClient

_LOG = structlog.get_logger(__name__)


class Publisher:
    """Makes sure that what every task needs is where Fargate can pull it."""

    def __init__(
        self, *, ecr: Ecr, registry: RegistryClient, repository: str, tags: Mapping[str, str]
    ) -> None:
        self._ecr = ecr
        self._registry = registry
        self._repository = repository
        self._tags = tags
        self._reference: str | None = None
        self._one_at_a_time = trio.Lock()

    async def warm(self) -> None:
        """Publish ahead of the first container; a failure is only logged: the first create tells it."""
        try:
            await self.reference()
        except SockerlessError as error:
            _LOG.warning("agent_not_published", error=str(error), aws_request_ids=error.request_ids)

    async def reference(self) -> str:
        """The agent image by digest, published if it was missing."""
        async with self._one_at_a_time:
            if self._reference is None:
                self._reference = await self._publish()
            return self._reference

    async def _publish(self) -> str:
        image = await trio.to_thread.run_sync(agent_image)
        uri = await self._ecr.ensure_repository(self._repository, self._tags)
        await publish(image, self._registry.repository(references.parse(uri)))
        _LOG.info("agent_published", repository=uri, digest=image.digest)
        return f"{uri}@{image.digest}"
