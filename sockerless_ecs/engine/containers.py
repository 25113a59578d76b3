"""Containers: what each verb means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

import trio
from trio_util import AsyncValue

from sockerless_ecs.engine.attaching import Attaching
from sockerless_ecs.engine.committing import Committer
from sockerless_ecs.engine.contract import Archive, Filters, Streams, Waiting
from sockerless_ecs.engine.control import Control, told
from sockerless_ecs.engine.creating import Creator
from sockerless_ecs.engine.files import Files
from sockerless_ecs.engine.listing import Listing
from sockerless_ecs.engine.logs import Logs
from sockerless_ecs.engine.processes import Watching
from sockerless_ecs.engine.updating import Updater
from sockerless_ecs.engine.values import AttachOptions, CommitRequest, Created, TerminalSize
from sockerless_ecs.errors import Conflict, InvalidParameter, NotModified
from sockerless_ecs.model import agentless, signals
from sockerless_ecs.model.container import Container, ContainerUpdate, CreateRequest, ExitStatus
from sockerless_ecs.model.files import Change, PathStat
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import LogLine, LogOptions
from sockerless_ecs.model.usage import ProcessTable, Usage
from sockerless_ecs.services.errands import see_through
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.launcher import Launcher
from sockerless_ecs.services.ledger import Ledger, Live, Moment
from sockerless_ecs.services.remover import Remover

_CONDITIONS = ("not-running", "next-exit", "removed")


@dataclass(frozen=True, slots=True)
class _Wait:
    """A wait on a level: `reached` is true of every moment from the awaited one on."""

    moment: AsyncValue[Moment]
    reached: Callable[[Moment], bool]
    tells_error: bool = True

    @property
    def settled(self) -> bool:
        """Whether `outcome` answers at once."""
        return self.reached(self.moment.value)

    async def outcome(self) -> ExitStatus:
        """The exit that was waited for."""
        moment: Moment = await self.moment.wait_value(self.reached)
        return moment.status if self.tells_error else replace(moment.status, error=None)


class EngineContainers:
    """Decides; the services act."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        launcher: Launcher,
        remover: Remover,
        creator: Creator,
        updater: Updater,
        listing: Listing,
        logs: Logs,
        files: Files,
        attaching: Attaching,
        watching: Watching,
        bus: EventBus,
        control: Control,
        committer: Committer,
        nursery: trio.Nursery,
    ) -> None:
        self._ledger = ledger
        self._launcher = launcher
        self._remover = remover
        self._creator = creator
        self._updater = updater
        self._listing = listing
        self._logs = logs
        self._files = files
        self._attaching = attaching
        self._watching = watching
        self._bus = bus
        self._control = control
        self._committer = committer
        self._nursery = nursery

    async def create(self, request: CreateRequest) -> Created:
        """Conflict when the name is in use; NotFound when the image was not pulled."""
        record = await self._creator.create(request)
        return Created(id=record.id, warnings=(*request.warnings, *agentless.notes(record)))

    async def start(self, ref: str) -> None:
        """Returns once the process runs; NotModified if it does. Cancelling leaves the start going on."""
        live = self._ledger.find(ref)
        await told(live)
        if live.record.state is State.PAUSED:
            raise Conflict("cannot start a paused container, try unpause instead")
        if live.record.state.active:
            raise NotModified(f"container {ref} is already running")
        await self._launcher.begin(live).outcome()

    async def inspect(self, ref: str) -> Container:
        """The container's record."""
        return self._ledger.find(ref).record

    async def list(
        self, filters: Filters, *, include_stopped: bool, limit: int | None = None
    ) -> Sequence[Container]:
        """Newest first; InvalidParameter for an unknown filter."""
        return self._listing.containers(filters, include_stopped=include_stopped, limit=limit)

    def logs(
        self, ref: str, options: LogOptions
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[LogLine]]]:
        """Batches of lines; entering raises what is wrong with the request."""
        return self._logs.read(ref, options)

    async def stop(self, ref: str, grace_seconds: float | None = None, signal: str = "") -> None:
        """The stop signal, then SIGKILL. Cancelling stops the waiting, not the stop."""
        if signal:
            signals.parse(signal)
        live = await self._settled(ref)
        if not live.record.active:
            raise NotModified(f"container {ref} is not running")
        await self._see_through(live, "stop", lambda: self._control.stop(live, grace_seconds, signal))

    async def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        """Any signal, by name or number; Conflict when not running."""
        wanted = signals.parse(signal)
        live = await self._settled(ref)
        if not live.record.active:
            raise Conflict(f"container {live.id} is not running")
        if wanted.name == "SIGKILL":
            await self._see_through(live, "kill", lambda: self._control.kill(live))
        else:
            await self._control.send(live, wanted)

    async def restart(self, ref: str, grace_seconds: float | None = None, signal: str = "") -> None:
        """Stop if running, then start. Cancelling stops the waiting, not the restart."""
        if signal:
            signals.parse(signal)
        live = await self._settled(ref)
        await self._see_through(live, "restart", lambda: self._restart(live, grace_seconds, signal))

    async def _restart(self, live: Live, grace_seconds: float | None, signal: str) -> None:
        live.kept = True
        try:
            if live.record.active:
                await self._control.stop(live, grace_seconds, signal)
            launch = self._launcher.begin(live)
        finally:
            live.kept = False
        await launch.outcome()
        self._control.tell(live, "restart")

    async def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Conflict when it runs and `force` is not given. What is left in AWS becomes clean-up jobs."""
        live = self._ledger.find(ref)
        record = live.record
        if not force and (record.active or record.state is State.STARTING):
            name, status = f'"/{record.name}"', "starting" if not record.active else record.status
            if status == "paused":
                raise Conflict(
                    f"cannot remove container {name}: container is paused and must be unpaused first"
                )
            raise Conflict(
                f"cannot remove container {name}: container is {status}: "
                "stop the container before removing or force remove"
            )
        await self._see_through(live, "remove", lambda: self._remove(live))

    async def _remove(self, live: Live) -> None:
        await self._launcher.abort(live)
        if live.record.active:
            await self._control.force_down(live)
        await self._remover.remove(live)

    async def wait(self, ref: str, condition: str = "not-running") -> Waiting:
        """`not-running`, `next-exit` or `removed`; registered before this returns."""
        if condition not in _CONDITIONS:
            raise InvalidParameter(f'invalid condition: "{condition}"')
        live = self._ledger.find(ref)
        exits = live.moment.value.exits
        if condition == "removed":
            # What it would tell is why the removal failed, never why the start did.
            return _Wait(live.moment, lambda moment: moment.removed, tells_error=False)
        goes_on = live.record.active or live.record.state is State.STARTING or live.exit_pending
        if condition == "not-running" and not goes_on:
            return _Wait(live.moment, lambda _: True)
        return _Wait(live.moment, lambda moment: moment.exits > exits or moment.removed)

    async def rename(self, ref: str, name: str) -> None:
        """Conflict when the name is in use."""
        await self._creator.rename(self._ledger.find(ref), name)

    async def pause(self, ref: str) -> None:
        """Freeze the processes; Conflict when it does not run, restarts or is paused."""
        await self._control.pause(await self._settled(ref))

    async def unpause(self, ref: str) -> None:
        """Let them go on."""
        await self._control.unpause(await self._settled(ref))

    async def update(self, ref: str, wanted: ContainerUpdate) -> Sequence[str]:
        """Change what can be; the warnings. Conflict for what a running task cannot change."""
        return await self._updater.update(self._ledger.find(ref), wanted)

    async def changes(self, ref: str) -> Sequence[Change]:
        """What differs from the image, by path."""
        return await self._files.changes(self._with_agent(ref, "diff"))

    def export(self, ref: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Its whole file system as a tar, volumes and kernel file systems left out."""
        return self._files.export(self._with_agent(ref, "cp"))

    async def stat_path(self, ref: str, path: str) -> PathStat:
        """NotFound when there is no such path."""
        return await self._files.stat_path(self._with_agent(ref, "cp"), path)

    def read_archive(self, ref: str, path: str) -> AbstractAsyncContextManager[Archive]:
        """A tar of a path, named by its base name; entering raises NotFound."""
        return self._files.read_archive(self._with_agent(ref, "cp"), path)

    async def write_archive(
        self,
        ref: str,
        path: str,
        body: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
    ) -> None:
        """Unpack a tar (plain, gzip, bzip2, xz or zstd) below a directory."""
        await self._files.write_archive(
            self._with_agent(ref, "cp"),
            path,
            body,
            no_overwrite_dir_non_dir=no_overwrite_dir_non_dir,
            copy_uid_gid=copy_uid_gid,
        )

    async def commit(self, ref: str, wanted: CommitRequest) -> str:
        """An image of its files and its configuration; the image's id."""
        return await self._committer.commit(self._ledger.find(self._with_agent(ref, "commit")), wanted)

    async def prune(self, filters: Filters) -> Sequence[str]:
        """Remove what is stopped; the ids that went."""
        pruned = []
        for live in self._listing.prunable(filters):
            if live.record.active or live.record.state is State.STARTING:
                continue  # started since
            await self._remover.remove(live)
            pruned.append(live.id)
        self._bus.emit("container", "prune", "", {"reclaimed": "0"})
        return pruned

    def attach(self, ref: str, options: AttachOptions) -> AbstractAsyncContextManager[Streams]:
        """The main process's streams, of the next run if it has not started."""
        return self._attaching.attach(self._with_agent(ref, "attach"), options)

    async def resize(self, ref: str, size: TerminalSize) -> None:
        """The terminal's size; Conflict when it does not run."""
        await self._attaching.resize(self._with_agent(ref, "resize"), size)

    async def top(self, ref: str, ps_args: str = "") -> ProcessTable:
        """Its processes; Conflict when not running, InvalidParameter for arguments that are not known."""
        return await self._watching.top(self._with_agent(ref, "top"), ps_args)

    async def usage(self, ref: str) -> Usage | None:
        """One sample; None when it does not run."""
        return await self._watching.usage(self._with_agent(ref, "stats"))

    def _with_agent(self, ref: str, what: str) -> str:
        """The same reference; Unimplemented, which names the label, for a container without an agent."""
        agentless.refuse(self._ledger.find(ref).record, what)
        return ref

    async def _settled(self, ref: str) -> Live:
        """The container, after the start that may be under way."""
        live = self._ledger.find(ref)
        await self._control.settled(live)
        return live

    async def release_held(self) -> None:
        """Let containers go on that a daemon before us has stopped for a commit."""
        async with trio.open_nursery() as nursery:
            for live in self._ledger:
                if live.record.held:
                    nursery.start_soon(self._control.release, live)

    async def _see_through(self, live: Live, verb: str, work: Callable[[], Awaitable[None]]) -> None:
        await see_through(self._nursery, work, f"{verb} {live.id[:12]}")
