"""Task definitions, found or registered once for each content."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import trio

from sockerless_ecs.aws import Ecs
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.cleanup import KnownDefinition
from sockerless_ecs.model.taskdef import Program, TaskDefinition
from sockerless_ecs.services.ledger import Ledger
from sockerless_ecs.store.contract import Delete, Put

_ECS_ARCHITECTURES = {"amd64": "X86_64", "arm64": "ARM64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What every definition of this daemon has in common."""

    execution_role_arn: str
    task_role_arn: str
    log_group: str
    log_mode: str
    region: str
    client_key_sha256: str
    agent_port: int
    start_timeout_seconds: int
    tags: Mapping[str, str]


class Definitions:
    """Registers a definition when it is first needed; callers that need the same one share the call."""

    def __init__(
        self, *, ledger: Ledger, ecs: Ecs, template: Template, agent_image: Callable[[], Awaitable[str]]
    ) -> None:
        self._ledger = ledger
        self._ecs = ecs
        self._template = template
        self._agent_image = agent_image
        self._locks: dict[str, trio.Lock] = {}

    async def renew(self, arn: str) -> None:
        """Forget a definition that ECS no longer has."""
        for key in [key for key, known in self._ledger.definitions.items() if known == arn]:
            await self._ledger.save(Delete(KnownDefinition, key))
            self._ledger.definitions.pop(key, None)

    async def ensure(
        self,
        image: str,
        architecture: str,
        *,
        repository_credentials: str = "",
        readonly_root: bool = False,
        program: Program | None = None,
    ) -> str:
        """The ARN of the definition that runs `image` (a reference by digest), by our agent or `program`."""
        if architecture not in _ECS_ARCHITECTURES:
            raise InvalidParameter(f"Fargate runs linux/amd64 and linux/arm64 images, not {architecture}")
        template = self._template
        definition = TaskDefinition(
            image=image,
            agent_image="" if program else await self._agent_image(),
            architecture=_ECS_ARCHITECTURES[architecture],
            execution_role_arn=template.execution_role_arn,
            task_role_arn=template.task_role_arn,
            log_group=template.log_group,
            log_mode=template.log_mode,
            region=template.region,
            client_key_sha256=template.client_key_sha256,
            agent_port=template.agent_port,
            start_timeout_seconds=template.start_timeout_seconds,
            readonly_root=readonly_root,
            repository_credentials=repository_credentials,
            program=program,
        )
        async with self._locks.setdefault(definition.hash, trio.Lock()):
            if known := self._ledger.definitions.get(definition.hash):
                return known
            # The family is named by the content: a lost database finds it again.
            arn = await self._ecs.find_task_definition(definition.family)
            if arn is None:
                arn = await self._ecs.register_task_definition(definition, template.tags)
            with trio.CancelScope(shield=True):
                await self._ledger.save(Put(KnownDefinition(hash=definition.hash, arn=arn)))
            self._ledger.definitions[definition.hash] = arn
            return arn
