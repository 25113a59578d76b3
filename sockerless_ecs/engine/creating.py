"""Creating a container: everything is checked before anything is kept."""

from __future__ import annotations

from dataclasses import replace

import trio

from sockerless_ecs.engine import naming
from sockerless_ecs.engine.images import EngineImages
from sockerless_ecs.engine.merging import merged
from sockerless_ecs.errors import Conflict, InvalidParameter
from sockerless_ecs.model import agentless, restart, signals, sizing
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.container import Container, CreateRequest, is_agentless, new_container_id
from sockerless_ecs.model.healthcheck import check_health
from sockerless_ecs.services.definitions import Definitions
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.kept_logins import KeptLogins
from sockerless_ecs.services.ledger import Ledger, Live, now_ns
from sockerless_ecs.services.pull_secrets import PullSecrets
from sockerless_ecs.services.supervisor import attributes
from sockerless_ecs.store.contract import Put


class Creator:
    """Makes records; no task yet."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        images: EngineImages,
        definitions: Definitions,
        pull_secrets: PullSecrets,
        kept_logins: KeptLogins,
        bus: EventBus,
        default_cpu_units: int,
        default_memory_mib: int,
    ) -> None:
        self._ledger = ledger
        self._images = images
        self._definitions = definitions
        self._pull_secrets = pull_secrets
        self._kept_logins = kept_logins
        self._bus = bus
        self._default_cpu_units = default_cpu_units
        self._default_memory_mib = default_memory_mib

    async def create(self, request: CreateRequest) -> Container:
        """A new container, persisted. Cancelled or failed, it leaves neither a record nor a taken name."""
        container_id = new_container_id()
        name = naming.checked(request.name) if request.name else naming.invented()
        image = self._images.find(request.config.image)
        self._images.check_platform(image, request.config.image, request.platform)
        config = merged(request.config, image.config, container_id)
        if config.stop_signal:
            signals.parse(config.stop_signal)
        check_health(config.healthcheck)
        restart.check_policy(request.host.restart_policy)
        if request.host.auto_remove and request.host.restart_policy.name not in ("", "no"):
            raise InvalidParameter("can't create 'AutoRemove' container with restart policy")
        if is_agentless(config.labels):
            agentless.check(request, image.config.stop_signal)
            config = replace(config, healthcheck=None)  # nobody would probe
        sizing.size(
            request.host.nano_cpus,
            request.host.memory_bytes,
            default_cpu_units=self._default_cpu_units,
            default_memory_mib=self._default_memory_mib,
            labels=config.labels,
        )
        record = Container(
            id=container_id,
            name=name,
            created_ns=now_ns(),
            config=config,
            host=request.host,
            image_id=image.id,
            image_digest=image.manifest_digest,
            image_pull=references.source_of(image).full,
            architecture=image.architecture,
            task_definition_arn="",
            credentials_arn=self._pull_secrets.of(image),
        )
        with self._kept_logins.claimed(record.credentials_arn):
            record = await self._keep(record)
        self._bus.emit("container", "create", record.id, attributes(record))
        return record

    async def _keep(self, record: Container) -> Container:
        """Take the container's name, find its definition, and show it once it is stored."""
        self._ledger.reserve(record.name, record.id, record.image_id)
        try:
            arn = await self._definitions.ensure(
                record.image_pull,
                record.architecture,
                repository_credentials=record.credentials_arn,
                readonly_root=record.host.readonly_rootfs,
                program=agentless.program_of(record.config, record.host) if record.agentless else None,
            )
            record = replace(record, task_definition_arn=arn)
            with trio.CancelScope(shield=True):  # what the store has, memory has
                await self._ledger.save(Put(record))
        except BaseException:
            self._ledger.release(record.name, record.id)
            raise
        self._ledger.add(record)
        return record

    async def rename(self, live: Live, name: str) -> None:
        """Give a container another name; Conflict when it is taken."""
        if not name:
            raise InvalidParameter("Neither old nor new names may be empty")
        if live.leaving:
            raise Conflict("container is marked for removal and cannot be renamed")
        try:
            wanted, old = naming.checked(f"/{name.removeprefix('/')}"), live.record.name
        except InvalidParameter as error:
            raise InvalidParameter(f"Error when allocating new name: {error.message}") from None
        if wanted == old:
            raise InvalidParameter("Renaming a container with the same name as its current name")
        self._ledger.reserve(wanted, live.id)
        try:
            with trio.CancelScope(shield=True):  # in memory first: what else is saved meanwhile has it too
                await self._ledger.save(Put(live.become(name=wanted)))
        except BaseException:
            live.become(name=old)
            self._ledger.release(wanted, live.id)
            raise
        self._ledger.release(old, live.id)
        self._bus.emit("container", "rename", live.id, {**attributes(live.record), "oldName": f"/{old}"})
