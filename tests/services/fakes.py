"""Stand-ins for what is outside of the services: ECS, CloudWatch Logs and a store that refuses.

Each derives from the real thing, so that mypy holds its signatures to it; none calls its constructor.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import trio

from sockerless_ecs.aws import CloudEvent, Ecr, Ecs, LogPage, Logs, RegistryLogin, Secrets
from sockerless_ecs.errors import NotFound, StoreUnusable, Unavailable
from sockerless_ecs.model.container import TaskArn
from sockerless_ecs.model.image import Descriptor, Image, ImageFile
from sockerless_ecs.model.log import STDERR, LogLine
from sockerless_ecs.model.offers import FoundRepository, Offer
from sockerless_ecs.model.reference import Reference
from sockerless_ecs.model.task import ContainerSnapshot, TaskSnapshot
from sockerless_ecs.model.taskdef import LAUNCH_VARIABLE, MAIN_CONTAINER, RunTaskRequest, TaskDefinition
from sockerless_ecs.registry import Described, Login, Named, Platform, RegistryClient
from sockerless_ecs.registry.client import Kept
from sockerless_ecs.store.contract import Delete, Put
from sockerless_ecs.store.memory import MemoryStore
from tests.services.fake_agent import FakeAgent


class FakeEcs(Ecs):
    """One cluster in memory. A task has an address and an agent from its beginning unless told otherwise."""

    def __init__(self) -> None:
        self.tasks: dict[str, TaskSnapshot] = {}
        self.agents: dict[str, FakeAgent] = {}
        self.requests: list[RunTaskRequest] = []
        self.described: list[list[str]] = []
        self.stopped: list[str] = []
        self.registered: list[TaskDefinition] = []
        self.definitions: dict[str, str] = {}
        self.faults: dict[str, deque[Exception]] = defaultdict(deque)
        """What the next calls of an operation raise, in place of their work; `run_task answer`: after it."""
        self.hold: dict[str, trio.Event] = {}
        self.addressed = True
        self.make_agent: Callable[[], FakeAgent] = FakeAgent

    @property
    def agent(self) -> FakeAgent:
        """The newest task's."""
        return list(self.agents.values())[-1]

    @property
    def arn(self) -> str:
        """The newest task's."""
        return list(self.tasks)[-1]

    def change(self, arn: str, **changes: object) -> None:
        """A newer version of a task."""
        task = self.tasks[arn]
        self.tasks[arn] = replace(task, version=task.version + 1, **changes)  # type: ignore[arg-type]

    def stops(self, arn: str, *, code: int | None = None, reason: str = "", main: str = "") -> None:
        """The task ends, and its agent with it."""
        if arn in self.agents:
            self.agents[arn].reachable = False
            self.agents[arn].cut()
        container = ContainerSnapshot(name=MAIN_CONTAINER, last_status="STOPPED", exit_code=code, reason=main)
        self.change(
            arn,
            last_status="STOPPED",
            desired_status="STOPPED",
            stopped_reason=reason,
            containers=(container,),
        )

    async def run_task(self, request: RunTaskRequest) -> TaskSnapshot:
        await self._do("run_task")
        for task in self.tasks.values():
            if task.launch == request.environment[LAUNCH_VARIABLE]:
                return task
        self.requests.append(request)
        number = len(self.agents) + 1
        arn = f"arn:aws:ecs:eu-west-1:1:task/c/{number:032}"
        self.agents[arn] = self.make_agent()
        self.tasks[arn] = TaskSnapshot(
            arn=arn,
            version=1,
            last_status="PENDING",
            desired_status="RUNNING",
            address=f"127.0.0.{number}" if self.addressed else None,
            started_by=request.started_by,
            launch=request.environment[LAUNCH_VARIABLE],
        )
        with trio.CancelScope(shield=True):  # the thread that has asked is never abandoned
            await self._do("run_task answer")
        return self.tasks[arn]

    async def describe_tasks(self, arns: Sequence[str]) -> dict[TaskArn, TaskSnapshot]:
        self.described.append(list(arns))
        await self._do("describe_tasks")
        return {TaskArn(arn): self.tasks[arn] for arn in arns if arn in self.tasks}

    async def list_tasks(self, started_by: str, *, stopped: bool) -> list[TaskArn]:
        await self._do("list_tasks")
        wanted = "STOPPED" if stopped else "RUNNING"
        return [
            TaskArn(arn)
            for arn, task in self.tasks.items()
            if task.desired_status == wanted and task.started_by == started_by
        ]

    async def stop_task(self, arn: str, reason: str) -> None:
        await self._do("stop_task")
        self.stopped.append(arn)
        if arn in self.tasks and not self.tasks[arn].stopped:
            self.stops(arn, code=137, reason=reason)

    async def find_task_definition(self, family: str) -> str | None:
        await self._do("find_task_definition")
        return self.definitions.get(family)

    async def register_task_definition(self, definition: TaskDefinition, tags: Mapping[str, str]) -> str:
        await self._do("register_task_definition")
        self.registered.append(definition)
        arn = f"arn:aws:ecs:eu-west-1:1:task-definition/{definition.family}:{len(self.registered)}"
        self.definitions[definition.family] = arn
        return arn

    async def _do(self, operation: str) -> None:
        await trio.lowlevel.checkpoint()
        if operation in self.hold:
            await self.hold[operation].wait()
        self._fail(operation)

    def _fail(self, operation: str) -> None:
        if self.faults[operation]:
            raise self.faults[operation].popleft()


class FakeCloudLogs(Logs):
    """CloudWatch Logs in memory, one page of `page` events at a time."""

    def __init__(self) -> None:
        self.streams: dict[str, list[CloudEvent]] = {}
        self.page = 50
        self.reads = 0

    def write(self, stream: str, *messages: str) -> None:
        events = self.streams.setdefault(stream, [])
        events.extend(CloudEvent(0, message) for message in messages)

    def copy(
        self,
        stream: str,
        run: str,
        lines: Sequence[LogLine],
        *,
        dropped: Collection[int] = (),
        end: bool = True,
    ) -> None:
        """What the agent writes for the log driver."""
        self.write(stream, f"[sockerless] started run={run}")
        for line in lines:
            self.copy_line(stream, run, line, dropped=line.number in dropped)
        if end:
            self.end(stream, run, len(lines))

    def copy_line(self, stream: str, run: str, line: LogLine, *, dropped: bool = False) -> None:
        if dropped:
            note = f"[sockerless] lines {line.number} to {line.number} were dropped run={run}: slow"
            self.write(stream, note)
        else:
            mark = "[stderr] " if line.stream == STDERR else ""
            self.write(stream, mark + line.data.decode().removesuffix("\n"))

    def end(self, stream: str, run: str, lines: int) -> None:
        self.write(stream, f"[sockerless] exited run={run} code=0 oom=0 lines={lines}")

    async def events(
        self,
        group: str,
        stream: str,
        *,
        token: str | None = None,
        from_start: bool = True,
        since_ms: int | None = None,
        until_ms: int | None = None,
    ) -> LogPage:
        await trio.lowlevel.checkpoint()
        self.reads += 1
        if stream not in self.streams:
            raise NotFound("no such stream")
        start = int(token or 0)
        found = self.streams[stream][start : start + self.page]
        after = str(start + len(found))
        return LogPage(found, after, last=after == token)


class FakeEcr(Ecr):
    """A registry where every repository exists as soon as somebody asks for it."""

    def __init__(self, registry: str = "registry.example") -> None:
        self.registry = registry
        self.repositories: list[str] = []

    def serves(self, registry: str) -> bool:
        return registry == self.registry

    async def ensure_repository(
        self, name: str, tags: Mapping[str, str], *, scan_on_push: bool = False, expire_days: int = 0
    ) -> str:
        await trio.lowlevel.checkpoint()
        self.repositories.append(name)
        return f"{self.registry}/{name}"

    async def authorization(self, refused: str = "") -> RegistryLogin:
        await trio.lowlevel.checkpoint()
        return RegistryLogin("AWS", "token", f"https://{self.registry}", 0)


class FakeSecrets(Secrets):
    """Secrets Manager in memory. A secret that is made again has another ARN, as there."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.asked: list[str] = []
        """The operations, in order."""
        self.faults: dict[str, deque[Exception]] = defaultdict(deque)
        """What the next calls of an operation raise, in place of their work; `keep answer`: after it."""
        self.hold: dict[str, trio.Event] = {}
        self._arns: dict[str, str] = {}
        self._made = 0

    async def find(self, name: str) -> str | None:
        await self._do("find")
        return self._arns.get(name)

    async def keep(self, name: str, value: str, *, description: str, tags: Mapping[str, str]) -> str:
        await self._do("keep")
        if name not in self._arns:
            self._made += 1
            self._arns[name] = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-{self._made:06}"
        self.values[name] = value
        with trio.CancelScope(shield=True):  # the thread that has asked is never abandoned
            await self._do("keep answer")
        return self._arns[name]

    async def delete(self, name: str) -> None:
        await self._do("delete")
        self._arns.pop(name, None)
        self.values.pop(name, None)

    async def _do(self, operation: str) -> None:
        await trio.lowlevel.checkpoint()
        self.asked.append(operation)
        if operation in self.hold:
            await self.hold[operation].wait()
        if self.faults[operation]:
            raise self.faults[operation].popleft()


class FakeRegistry(RegistryClient):
    """Resolves every reference to one image; a private one wants a login, whichever."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.private = False
        self.says_digests = False
        self.asked: list[tuple[Reference, Platform, Login | None]] = []
        self.files: dict[str, bytes] = {}
        """Configuration files by their digests."""
        self.fetched: list[str] = []
        """Of which images they were asked for."""
        self.searched: list[tuple[str, str, int, Login | None]] = []
        self.found: list[FoundRepository] = []
        self.looked_at: list[tuple[Reference, Login | None]] = []

    async def resolve(
        self,
        reference: Reference,
        platform: Platform,
        login: Login | None = None,
        *,
        kept: Kept | None = None,
    ) -> Described:
        await trio.lowlevel.checkpoint()
        self.asked.append((reference, platform, login))
        if self.private and login is None:
            raise NotFound("pull access denied")
        taken = self._taken(login)
        return Described(image=self.image, file=ImageFile(id=self.image.id, text="{}"), login=taken)

    async def named(self, reference: Reference, login: Login | None = None) -> Named | None:
        await trio.lowlevel.checkpoint()
        if not self.says_digests or (self.private and login is None):
            return None
        return Named(digest=self.image.digest, login=self._taken(login))

    def _taken(self, login: Login | None) -> Login | None:
        return login if self.private else None

    async def config(self, reference: Reference, config: Descriptor, login: Login | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        self.fetched.append(reference.full)
        if config.digest not in self.files:
            raise Unavailable("the registry is silent")
        return self.files[config.digest]

    async def search(
        self, registry: str, term: str, limit: int, login: Login | None = None
    ) -> Sequence[FoundRepository]:
        await trio.lowlevel.checkpoint()
        self.searched.append((registry, term, limit, login))
        return self.found[:limit]

    async def offer(
        self, reference: Reference, login: Login | None = None, *, kept: Kept | None = None
    ) -> Offer:
        await trio.lowlevel.checkpoint()
        self.looked_at.append((reference, login))
        return Offer(descriptor=Descriptor(digest=self.image.digest, size=9))


class FlakyStore(MemoryStore):
    """A store that can refuse and can be slow; it counts what it was asked to commit."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0
        self.refuse: Callable[[tuple[Put | Delete, ...]], bool] = lambda _: False
        self.hold: trio.Event | None = None

    async def commit(self, *changes: Put | Delete) -> None:
        self.commits += 1
        if self.refuse(changes):
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise StoreUnusable("the disk is full")
        await super().commit(*changes)
        if self.hold is not None:
            with trio.CancelScope(shield=True):
                await self.hold.wait()
