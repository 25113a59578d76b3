"""Builds every room, in the order in which they depend on each other."""

from __future__ import annotations

import socket

import structlog
import trio

from sockerless_ecs import agent, aws
from sockerless_ecs.config import Settings
from sockerless_ecs.engine.attaching import Attaching
from sockerless_ecs.engine.backend import Engine
from sockerless_ecs.engine.containers import EngineContainers
from sockerless_ecs.engine.control import Control
from sockerless_ecs.engine.creating import Creator
from sockerless_ecs.engine.execs import EngineExecs
from sockerless_ecs.engine.files import Files
from sockerless_ecs.engine.images import EngineImages
from sockerless_ecs.engine.listing import Listing
from sockerless_ecs.engine.loading import Loader
from sockerless_ecs.engine.logs import Logs
from sockerless_ecs.engine.processes import Watching
from sockerless_ecs.engine.reconcile import Reconciler
from sockerless_ecs.engine.system import EngineSystem
from sockerless_ecs.engine.updating import Updater
from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.model.container import Task
from sockerless_ecs.registry import ImageContents, RegistryClient
from sockerless_ecs.services.archive import Archive
from sockerless_ecs.services.definitions import Definitions, Template
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.janitor import Janitor
from sockerless_ecs.services.launcher import Launcher
from sockerless_ecs.services.ledger import Ledger
from sockerless_ecs.services.meeting import Meeting
from sockerless_ecs.services.placing import Placing
from sockerless_ecs.services.plain import Plain
from sockerless_ecs.services.preparing import Preparer
from sockerless_ecs.services.publisher import Publisher
from sockerless_ecs.services.remover import Remover
from sockerless_ecs.services.requests import Place
from sockerless_ecs.services.restarts import Restarts
from sockerless_ecs.services.supervisor import Supervisor
from sockerless_ecs.services.tails import Tails
from sockerless_ecs.services.uploads import Uploads
from sockerless_ecs.services.watcher import TaskWatcher
from sockerless_ecs.store import Identity

_LOG = structlog.get_logger(__name__)
_CLOSE_SECONDS = 5.0


class Rooms:
    """Everything that is built once."""

    def __init__(
        self,
        *,
        settings: Settings,
        identity: Identity,
        ledger: Ledger,
        calls: aws.Calls,
        registry: RegistryClient,
        ecr: aws.Ecr,
        ecs: aws.Ecs,
        services: trio.Nursery,
        jobs: trio.Nursery,
    ) -> None:
        self._settings = settings
        self._calls = calls
        self._ledger = ledger
        started_by = f"sockerless-{identity.instance_id[:24]}"
        context = agent.client_context(identity.certificate_pem, identity.key_pem)

        def connect(task: Task) -> agent.AgentClient:
            assert task.agent_address is not None
            return agent.AgentClient(
                task.agent_address, settings.agent.port, bytes.fromhex(task.agent_token), context, services
            )

        bus = EventBus()
        self.watcher = TaskWatcher(ecs.describe_tasks)
        tails = Tails(services, settings.logs.tail_bytes)
        self.janitor = Janitor(ledger=ledger, ecs=ecs, started_by=started_by)
        self.uploads = Uploads(ledger=ledger, files=agent.files, folder=settings.store.uploads_path)
        remover = Remover(ledger=ledger, janitor=self.janitor, bus=bus, tails=tails, uploads=self.uploads)
        restarts = Restarts(
            nursery=services,
            ledger=ledger,
            begin=lambda live: self.launcher.begin(live, by_policy=True),
        )
        supervisor = Supervisor(
            nursery=services,
            ledger=ledger,
            watcher=self.watcher,
            bus=bus,
            tails=tails,
            remover=remover,
            restarts=restarts,
            connect=connect,
        )
        self.publisher = Publisher(
            ecr=ecr,
            registry=registry,
            repository=settings.agent.repository,
            tags=settings.ecs.tags,
        )
        place = _place(settings, started_by)
        definitions = Definitions(
            ledger=ledger,
            ecs=ecs,
            template=_template(settings, identity),
            agent_image=self.publisher.reference,
        )
        placing = Placing(
            ledger=ledger,
            ecs=ecs,
            supervisor=supervisor,
            janitor=self.janitor,
            definitions=definitions,
            meeting=Meeting(watcher=self.watcher, connect=connect, place=place),
            place=place,
        )
        self.launcher = Launcher(
            jobs=jobs,
            ledger=ledger,
            supervisor=supervisor,
            janitor=self.janitor,
            placing=placing,
            preparer=Preparer(
                jobs=jobs, ledger=ledger, placing=placing, janitor=self.janitor, uploads=self.uploads
            ),
            uploads=self.uploads,
            place=place,
            restarts=restarts,
            plain=Plain(ledger=ledger, watcher=self.watcher, supervisor=supervisor, placing=placing),
        )
        self.reconciler = Reconciler(
            ledger=ledger,
            launcher=self.launcher,
            supervisor=supervisor,
            remover=remover,
            janitor=self.janitor,
            restarts=restarts,
        )
        images = EngineImages(
            ledger=ledger,
            registry=registry,
            bus=bus,
            architecture=settings.ecs.architecture,
            loader=Loader(
                ecr=ecr,
                registry=registry,
                repository=settings.images.repository,
                tags=settings.ecs.tags,
            ),
        )
        logs = Logs(ledger=ledger, tails=tails, archive=Archive(aws.Logs(calls), settings.ecs.log_group))
        self.engine = Engine(
            containers=EngineContainers(
                ledger=ledger,
                launcher=self.launcher,
                remover=remover,
                creator=Creator(
                    ledger=ledger,
                    images=images,
                    definitions=definitions,
                    bus=bus,
                    default_cpu_units=_cpu_units(settings),
                    default_memory_mib=settings.ecs.default_memory_mib,
                ),
                updater=Updater(
                    ledger=ledger,
                    bus=bus,
                    default_cpu_units=_cpu_units(settings),
                    default_memory_mib=settings.ecs.default_memory_mib,
                ),
                listing=Listing(ledger),
                logs=logs,
                attaching=Attaching(ledger=ledger, logs=logs, bus=bus),
                watching=Watching(ledger=ledger, bus=bus),
                files=Files(
                    ledger=ledger,
                    launcher=self.launcher,
                    uploads=self.uploads,
                    files=agent.files,
                    contents=ImageContents(registry),
                    bus=bus,
                    place=place,
                ),
                bus=bus,
                control=Control(ledger=ledger, launcher=self.launcher, restarts=restarts, bus=bus, ecs=ecs),
                nursery=services,
            ),
            images=images,
            execs=EngineExecs(ledger=ledger, bus=bus),
            ledger=ledger,
            system=EngineSystem(
                ledger=ledger,
                bus=bus,
                registry=registry,
                instance_id=identity.instance_id,
                name=socket.gethostname(),
                architecture=settings.ecs.architecture,
            ),
        )

    async def start(self, services: trio.Nursery) -> None:
        """Begin what runs for as long as the daemon does; none of it keeps the sockets waiting for AWS."""
        await services.start(self.watcher.run)
        await services.start(self.janitor.run)
        self.uploads.take_up()
        self.reconciler.begin()
        services.start_soon(self.reconciler.settle)
        services.start_soon(self.publisher.warm)
        services.start_soon(self._check)

    async def _check(self) -> None:
        """Say what is missing in AWS, with the fix."""
        ecs = self._settings.ecs
        setup = aws.CloudSetup(
            cluster=ecs.cluster,
            subnets=ecs.subnets,
            security_groups=ecs.security_groups,
            agent_port=self._settings.agent.port,
            log_group=ecs.log_group,
            log_retention_days=ecs.log_retention_days,
            efs_filesystem_id=ecs.efs_filesystem_id,
            tags=ecs.tags,
        )
        for problem in await aws.problems(self._calls, setup):
            _LOG.warning("aws_setup", problem=problem)

    async def stop_containers(self) -> None:
        """`shutdown.containers: stop`: every container gets its stop signal, all at once."""
        async with trio.open_nursery() as nursery:
            for live in self._ledger:
                if live.record.active:
                    nursery.start_soon(self._stop, live.id)

    async def _stop(self, container_id: str) -> None:
        try:
            await self.engine.containers.stop(container_id)
        except SockerlessError as error:
            _LOG.warning("stop_failed", container_id=container_id, error=str(error))

    async def hang_up(self) -> None:
        """Close the connections to the agents; the containers go on."""
        self.uploads.close()
        with trio.move_on_after(_CLOSE_SECONDS):
            for live in self._ledger:
                if live.agent is not None:
                    await live.agent.aclose()


def _cpu_units(settings: Settings) -> int:
    return int(settings.ecs.default_cpu * 1024)


def _template(settings: Settings, identity: Identity) -> Template:
    return Template(
        execution_role_arn=settings.ecs.execution_role_arn,
        task_role_arn=settings.ecs.task_role_arn,
        log_group=settings.ecs.log_group,
        log_mode=settings.ecs.log_mode,
        region=settings.ecs.region,
        client_key_sha256=identity.public_key_sha256,
        agent_port=settings.agent.port,
        start_timeout_seconds=settings.agent.start_timeout_seconds,
        tags=settings.ecs.tags,
    )


def _place(settings: Settings, started_by: str) -> Place:
    return Place(
        cluster=settings.ecs.cluster,
        subnets=settings.ecs.subnets,
        security_groups=settings.ecs.security_groups,
        assign_public_ip=settings.ecs.assign_public_ip,
        capacity_provider=settings.ecs.capacity_provider,
        platform_version=settings.ecs.platform_version,
        started_by=started_by,
        tags=settings.ecs.tags,
        default_cpu_units=_cpu_units(settings),
        default_memory_mib=settings.ecs.default_memory_mib,
        agent_port=settings.agent.port,
        linger_seconds=settings.agent.linger_seconds,
        reach_seconds=settings.agent.reach_timeout_seconds,
    )
