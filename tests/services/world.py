"""The services and the engine as the daemon wires them, over fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
import trio.testing

from sockerless_ecs.agent import AgentClient
from sockerless_ecs.aws import Ecr, Secrets
from sockerless_ecs.engine.attaching import Attaching
from sockerless_ecs.engine.committing import Committer
from sockerless_ecs.engine.containers import EngineContainers
from sockerless_ecs.engine.control import Control
from sockerless_ecs.engine.creating import Creator
from sockerless_ecs.engine.execs import EngineExecs
from sockerless_ecs.engine.files import Files
from sockerless_ecs.engine.image_files import ImageFiles
from sockerless_ecs.engine.image_names import ImageNames
from sockerless_ecs.engine.image_pruning import Pruner
from sockerless_ecs.engine.image_pulling import Puller
from sockerless_ecs.engine.image_pushing import Pusher
from sockerless_ecs.engine.image_repository import ImageRepository
from sockerless_ecs.engine.image_saving import Saver
from sockerless_ecs.engine.images import EngineImages
from sockerless_ecs.engine.importing import Importer
from sockerless_ecs.engine.listing import Listing
from sockerless_ecs.engine.loading import Loader
from sockerless_ecs.engine.logs import Logs
from sockerless_ecs.engine.processes import Watching
from sockerless_ecs.engine.reconcile import Reconciler
from sockerless_ecs.engine.system import EngineSystem
from sockerless_ecs.engine.updating import Updater
from sockerless_ecs.model.cleanup import CleanupJob
from sockerless_ecs.model.container import Container, ContainerConfig, CreateRequest, HostConfig, Task
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.image import Image, ImageConfig, ImageRef
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.sources import Sources
from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.services.archive import Archive
from sockerless_ecs.services.definitions import Definitions, Template
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.janitor import Janitor
from sockerless_ecs.services.kept_logins import KeptLogins
from sockerless_ecs.services.launcher import Launcher
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.services.meeting import Meeting
from sockerless_ecs.services.placing import Placing
from sockerless_ecs.services.plain import Plain
from sockerless_ecs.services.preparing import Preparer
from sockerless_ecs.services.pull_secrets import PullSecrets
from sockerless_ecs.services.remover import Remover
from sockerless_ecs.services.requests import Place
from sockerless_ecs.services.restarts import Restarts
from sockerless_ecs.services.supervisor import Supervisor
from sockerless_ecs.services.tails import Tails
from sockerless_ecs.services.uploads import Uploads
from sockerless_ecs.services.watcher import TaskWatcher
from sockerless_ecs.store.contract import Put
from tests.services.fake_agent import FakeAgent, FakeClient
from tests.services.fake_files import FakeContents, FakeFiles
from tests.services.fakes import FakeCloudLogs, FakeEcr, FakeEcs, FakeRegistry, FakeSecrets, FlakyStore

STARTED_BY = "sockerless-test"
IMAGE = Image(
    ref=ImageRef("docker.io/library/alpine:latest"),
    id="sha256:" + "1" * 64,
    digest="sha256:" + "2" * 64,
    manifest_digest="sha256:" + "3" * 64,
    config=ImageConfig(env=("PATH=/bin",), cmd=("sh",)),
    architecture="amd64",
)
PLACE = Place(
    cluster="c",
    subnets=("subnet-1",),
    security_groups=("sg-1",),
    assign_public_ip=False,
    capacity_provider="FARGATE",
    platform_version="LATEST",
    started_by=STARTED_BY,
    tags={"team": "x"},
    default_cpu_units=256,
    default_memory_mib=512,
    agent_port=9111,
    linger_seconds=30,
    reach_seconds=60,
)
TEMPLATE = Template(
    execution_role_arn="role",
    task_role_arn="",
    log_group="/g",
    log_mode="blocking",
    region="eu-west-1",
    client_key_sha256="ab",
    agent_port=9111,
    start_timeout_seconds=60,
    tags={},
)


def engine_images(
    ledger: Ledger,
    registry: RegistryClient,
    bus: EventBus,
    ecr: Ecr,
    *,
    kept_logins: KeptLogins | None = None,
    **pulling: Any,
) -> EngineImages:
    """Images over a registry and ECR; no login is kept unless something keeps them."""
    names, files = ImageNames(ledger), ImageFiles(ledger=ledger, registry=registry)
    sources = Sources(pulling.pop("sources", {}))
    pulling["kept_logins"] = kept_logins or keep_logins(ledger, PullSecrets({}, is_ecr=ecr.serves))
    repository = ImageRepository(ecr=ecr, registry=registry, name="loaded", tags={})
    return EngineImages(
        ledger=ledger,
        names=names,
        bus=bus,
        architecture="x86_64",
        puller=Puller(ledger=ledger, names=names, registry=registry, bus=bus, sources=sources, **pulling),
        loader=Loader(repository),
        pusher=Pusher(ledger=ledger, names=names, files=files, registry=registry, bus=bus),
        saver=Saver(ledger=ledger, names=names, files=files, registry=registry, bus=bus),
        files=files,
        pruner=Pruner(ledger=ledger, names=names, bus=bus),
        importer=Importer(repository=repository, names=names, bus=bus),
    )


def keep_logins(
    ledger: Ledger,
    rules: PullSecrets,
    secrets: Secrets | None = None,
    add_job: Callable[[CleanupJob], None] = lambda _: None,
) -> KeptLogins:
    """The logins that Secrets Manager keeps."""
    return KeptLogins(
        ledger=ledger,
        secrets=secrets or FakeSecrets(),
        rules=rules,
        instance_id="i",
        tags={"team": "x"},
        add_job=add_job,
    )


async def agent_image() -> str:
    await trio.lowlevel.checkpoint()
    return "agent@sha256:1"


@dataclass
class Outside:
    """What outlives a daemon."""

    store: FlakyStore = field(default_factory=FlakyStore)
    ecs: FakeEcs = field(default_factory=FakeEcs)
    tail_bytes: int = 1 << 20
    cloud: FakeCloudLogs = field(default_factory=FakeCloudLogs)
    registry: FakeRegistry = field(default_factory=lambda: FakeRegistry(IMAGE))
    secrets: FakeSecrets = field(default_factory=FakeSecrets)
    keeps_logins: bool = False
    named_secrets: Mapping[str, str] = field(default_factory=dict)
    """Of the configuration."""
    files: FakeFiles = field(default_factory=FakeFiles)
    contents: FakeContents = field(default_factory=FakeContents)
    uploads: Path | None = None
    """Where uploads are kept from one daemon to the next."""
    pulling: dict[str, Any] = field(default_factory=dict)
    uploads_bytes: int = 1 << 20


class World:
    """One daemon's life. Cancelling `jobs` is its drain."""

    def __init__(self, outside: Outside, services: trio.Nursery, jobs: trio.Nursery, ledger: Ledger) -> None:
        store, ecs = outside.store, outside.ecs
        self.store, self.ecs, self.cloud, self.ledger = store, ecs, outside.cloud, ledger
        self.jobs = jobs
        self.clients: list[FakeClient] = []
        self.bus = EventBus()
        self.watcher = TaskWatcher(ecs.describe_tasks)
        self.tails = Tails(services, outside.tail_bytes)
        ecr = FakeEcr()
        self.pull_secrets = PullSecrets(
            outside.named_secrets, keeps_logins=outside.keeps_logins, is_ecr=ecr.serves
        )
        self.kept_logins = keep_logins(
            ledger,
            self.pull_secrets,
            outside.secrets,
            lambda job: self.janitor.add(job),  # noqa: PLW0108 - there is no janitor yet
        )
        self.janitor = Janitor(
            ledger=ledger, ecs=ecs, started_by=STARTED_BY, drop_secret=self.kept_logins.drop
        )
        self.files, self.contents = outside.files, outside.contents
        self.uploads = Uploads(
            ledger=ledger, files=self.files, folder=outside.uploads, limit_bytes=outside.uploads_bytes
        )
        self.remover = Remover(
            ledger=ledger, janitor=self.janitor, bus=self.bus, tails=self.tails, uploads=self.uploads
        )
        self.restarts = Restarts(
            nursery=services,
            ledger=ledger,
            begin=lambda live: self.launcher.begin(live, by_policy=True),
        )
        self.supervisor = Supervisor(
            nursery=services,
            ledger=ledger,
            watcher=self.watcher,
            bus=self.bus,
            tails=self.tails,
            remover=self.remover,
            restarts=self.restarts,
            connect=self.connect,
        )
        self.definitions = Definitions(ledger=ledger, ecs=ecs, template=TEMPLATE, agent_image=agent_image)
        self.placing = Placing(
            ledger=ledger,
            ecs=ecs,
            supervisor=self.supervisor,
            janitor=self.janitor,
            definitions=self.definitions,
            meeting=Meeting(
                watcher=self.watcher, connect=self.connect, place=PLACE, pull_secrets=self.pull_secrets
            ),
            place=PLACE,
        )
        self.launcher = Launcher(
            jobs=jobs,
            ledger=ledger,
            supervisor=self.supervisor,
            janitor=self.janitor,
            placing=self.placing,
            preparer=Preparer(
                jobs=jobs,
                ledger=ledger,
                placing=self.placing,
                janitor=self.janitor,
                uploads=self.uploads,
            ),
            uploads=self.uploads,
            place=PLACE,
            restarts=self.restarts,
            plain=Plain(
                ledger=ledger,
                watcher=self.watcher,
                supervisor=self.supervisor,
                placing=self.placing,
                pull_secrets=self.pull_secrets,
            ),
        )
        self.reconciler = Reconciler(
            ledger=ledger,
            launcher=self.launcher,
            supervisor=self.supervisor,
            remover=self.remover,
            janitor=self.janitor,
            restarts=self.restarts,
        )
        self.images = engine_images(
            ledger, outside.registry, self.bus, ecr, kept_logins=self.kept_logins, **outside.pulling
        )
        self.creator = Creator(
            ledger=ledger,
            images=self.images,
            definitions=self.definitions,
            pull_secrets=self.pull_secrets,
            kept_logins=self.kept_logins,
            bus=self.bus,
            default_cpu_units=256,
            default_memory_mib=512,
        )
        self.logs = Logs(ledger=ledger, tails=self.tails, archive=Archive(outside.cloud, "/g"))
        self.container_files = Files(
            ledger=ledger,
            launcher=self.launcher,
            uploads=self.uploads,
            files=self.files,
            contents=outside.contents,
            bus=self.bus,
            place=PLACE,
        )
        self.control = Control(
            ledger=ledger, launcher=self.launcher, restarts=self.restarts, bus=self.bus, ecs=ecs
        )
        self.containers = EngineContainers(
            ledger=ledger,
            launcher=self.launcher,
            remover=self.remover,
            creator=self.creator,
            updater=Updater(ledger=ledger, bus=self.bus, default_cpu_units=256, default_memory_mib=512),
            listing=Listing(ledger),
            logs=self.logs,
            attaching=Attaching(ledger=ledger, logs=self.logs, bus=self.bus),
            watching=Watching(ledger=ledger, bus=self.bus),
            files=self.container_files,
            bus=self.bus,
            control=self.control,
            committer=self.committer(outside.registry, FakeEcr()),
            nursery=services,
        )
        self.execs = EngineExecs(ledger=ledger, bus=self.bus)
        self.system = EngineSystem(
            ledger=ledger,
            bus=self.bus,
            registry=outside.registry,
            instance_id="i",
            name="n",
            architecture="arm64",
        )

    def committer(self, registry: RegistryClient, ecr: Ecr) -> Committer:
        """Commits through a registry into ECR."""
        return Committer(
            names=ImageNames(self.ledger),
            image_files=ImageFiles(ledger=self.ledger, registry=registry),
            registry=registry,
            repository=ImageRepository(ecr=ecr, registry=registry, name="loaded", tags={}),
            files=self.container_files,
            control=self.control,
            bus=self.bus,
        )

    def connect(self, task: Task) -> AgentClient:
        assert task.arn is not None
        client = FakeClient(self.ecs.agents[task.arn])
        self.clients.append(client)
        return client

    @property
    def agent(self) -> FakeAgent:
        """The newest task's."""
        return self.ecs.agent

    async def create(self, *cmd: str, name: str | None = None, **host: Any) -> Live:
        labels, more = host.pop("labels", {}), host.pop("config", {})
        config = ContainerConfig(image="alpine", cmd=cmd or ("sleep", "60"), labels=labels, **more)
        created = await self.containers.create(
            CreateRequest(name=name, config=config, host=HostConfig(**host))
        )
        return self.ledger.find(created.id)

    async def run(self, *cmd: str, **more: Any) -> Live:
        live = await self.create(*cmd, **more)
        await self.containers.start(live.id)
        return live

    async def until(self, live: Live, state: State) -> None:
        """Wait for a state; transitions are told through the container's moment."""
        await live.moment.wait_value(lambda _: live.record.state is state)

    async def drained(self, live: Live) -> None:
        run_id = live.record.run_id
        await live.moment.wait_value(lambda moment: moment.drained == run_id or moment.removed)

    async def ended(self, live: Live) -> None:
        """Until the end of its output was kept and acknowledged."""
        await self.drained(live)
        await self.idle()

    async def idle(self) -> None:
        """Until nothing moves any more without time passing."""
        await trio.testing.wait_all_tasks_blocked()

    async def stored(self, live: Live) -> Container | None:
        return await self.store.get(Container, live.id)

    def told(self, kind: str = "container") -> list[EngineEvent]:
        return [event for event in self.bus._history if event.type == kind]

    def actions(self) -> list[str]:
        return [event.action for event in self.told()]


@asynccontextmanager
async def daemon(outside: Outside, *, janitor: bool = True) -> AsyncIterator[World]:
    """A daemon over what is outside; leaving it is a crash: nothing is finished."""
    async with trio.open_nursery() as services:
        services.start_soon(_watchdog)
        jobs = await services.start(_jobs)
        world = World(outside, services, jobs, Ledger(outside.store, await outside.store.load()))
        world.uploads.take_up()
        await services.start(world.watcher.run)
        if janitor:
            await services.start(world.janitor.run)
        if IMAGE.ref not in world.ledger.images:
            await world.ledger.save(Put(IMAGE))
            world.ledger.images[IMAGE.ref] = IMAGE
        yield world
        world.uploads.close()
        services.cancel_scope.cancel()


async def _jobs(*, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    async with trio.open_nursery() as jobs:
        task_status.started(jobs)
        await trio.sleep_forever()


async def _watchdog() -> None:
    """On a clock that jumps, what never happens would be waited for without an end."""
    await trio.sleep(1800)
    raise AssertionError("nothing happens any more")
