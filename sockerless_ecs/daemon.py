"""One process, one root nursery: start-up, signals and the drain."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import structlog
import trio

from sockerless_ecs import aws
from sockerless_ecs.config import Settings
from sockerless_ecs.config.schema import ListenSettings
from sockerless_ecs.errors import Misconfigured
from sockerless_ecs.http.activation import inherited_listener, inherited_sockets, is_beyond_this_machine
from sockerless_ecs.http.app import App
from sockerless_ecs.http.docker import docker_app
from sockerless_ecs.http.internal import internal_app
from sockerless_ecs.http.listeners import mutual_tls, tcp_listeners, unix_listener
from sockerless_ecs.http.server import LongLived
from sockerless_ecs.http.server import serve as drained_server
from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.rooms import Ground, Rooms
from sockerless_ecs.rooms.logins import known_logins
from sockerless_ecs.services.ledger import Ledger
from sockerless_ecs.store import Identity, Store, hold_identity, new_identity, open_store

_LOG = structlog.get_logger(__name__)

_Listener = trio.abc.Listener[Any]

OpenStore = Callable[[Path | Literal["memory"]], Any]
OpenEcs = Callable[[aws.Calls, str], aws.Ecs]


async def serve(
    settings: Settings,
    *,
    open_state: OpenStore = open_store,
    open_ecs: OpenEcs = aws.Ecs,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. A second signal ends the process at once.

    Raises `Misconfigured` for what keeps it from starting. `open_state` and `open_ecs` are the seams where
    a test can make the daemon die between two steps.
    """
    with _held_identity(settings) as identity:
        async with _stored(settings, open_state) as store:
            calls = await aws.connect(settings.ecs.region, settings.ecs.endpoint_url or None)
            ecr = aws.Ecr(calls)
            async with _registry(settings, ecr) as registry:
                ledger = Ledger(store, await store.load())

                def build(services: trio.Nursery, jobs: trio.Nursery) -> Rooms:
                    return Rooms(
                        Ground(
                            settings=settings,
                            identity=identity,
                            ledger=ledger,
                            calls=calls,
                            registry=registry,
                            ecr=ecr,
                            ecs=open_ecs(calls, settings.ecs.cluster),
                            services=services,
                            jobs=jobs,
                        )
                    )

                await _serve(settings, build, task_status)
            calls.close()


async def _serve(
    settings: Settings,
    build: Callable[[trio.Nursery, trio.Nursery], Rooms],
    task_status: trio.TaskStatus[None],
) -> None:
    stop = trio.Event()
    async with trio.open_nursery() as services:
        await services.start(_stop_on_signal, stop)
        async with trio.open_nursery() as jobs:
            rooms = build(services, jobs)
            await rooms.start()
            long_lived = LongLived()
            async with _listening(settings) as (internal, docker), trio.open_nursery() as http:
                for make, listeners in ((internal_app, internal), (docker_app, docker)):
                    app = make(rooms.engine, long_lived)
                    await http.start(_serve_http, app, listeners, stop, long_lived, settings)
                _LOG.info(
                    "serving",
                    socket=settings.listen.socket,
                    tcp=settings.listen.tcp,
                    docker_socket=settings.docker.socket,
                    docker_tcp=settings.docker.tcp,
                    pid=os.getpid(),
                )
                task_status.started()
            # No request is left: only what was begun remains.
            rooms.drain()
            jobs.cancel_scope.deadline = trio.current_time() + settings.shutdown.grace_seconds
            if settings.shutdown.containers == "stop":
                await rooms.stop_containers()
        services.cancel_scope.cancel()
    await rooms.hang_up()
    _LOG.info("stopped")


async def _serve_http(
    app: App,
    listeners: Sequence[trio.abc.Listener[Any]],
    stop: trio.Event,
    long_lived: LongLived,
    settings: Settings,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    await drained_server(
        app,
        listeners,
        shutdown=stop.wait,
        long_lived=long_lived,
        grace_seconds=settings.shutdown.grace_seconds,
        hot=app.hot,
        task_status=task_status,
    )


@asynccontextmanager
async def _listening(settings: Settings) -> AsyncIterator[tuple[Sequence[_Listener], Sequence[_Listener]]]:
    """Where the internal and the Docker API are served; nothing stays open or in the way of a failure."""
    inherited = inherited_sockets(os.environ, os.getpid())
    async with AsyncExitStack() as opened:
        for sock in (sock for sockets in inherited.values() for sock in sockets):
            opened.callback(sock.close)
        internal = await _listeners("listen", settings.listen, inherited["backend"], opened)
        docker = await _listeners("docker", settings.docker, inherited["docker"], opened)
        yield internal, docker


async def _listeners(
    section: str, listen: ListenSettings, inherited: Sequence[socket.socket], opened: AsyncExitStack
) -> Sequence[_Listener]:
    """An inherited socket stands in for the configured one of its kind."""
    tls = mutual_tls(*files) if (files := listen.mutual_tls) else None
    open_to_others = listen.open_to_others or (tls is None and any(map(is_beyond_this_machine, inherited)))
    if open_to_others and not listen.insecure:
        raise Misconfigured(
            f"the TCP socket that systemd passed can be reached from other machines: set "
            f"{section}.tls_certificate, {section}.tls_key and {section}.tls_client_ca, or {section}.insecure"
        )
    found = [inherited_listener(sock, tls) for sock in inherited]
    is_unix = [sock.family == socket.AF_UNIX for sock in inherited]
    if listen.tcp_address is not None and all(is_unix):
        host, port = listen.tcp_address
        found += await tcp_listeners(host, port, tls)
    for listener in found:
        opened.push_async_callback(trio.aclose_forcefully, listener)
    if listen.socket and not any(is_unix):  # last: what fails before it leaves no file
        found.append(_unix_listener(section, listen))
        opened.push_async_callback(found[-1].aclose)
    if open_to_others:
        _LOG.warning("insecure_tcp", tcp=listen.tcp, advice="anyone who reaches it can run containers")
    return found


def _unix_listener(section: str, listen: ListenSettings) -> _Listener:
    try:
        return unix_listener(listen.socket, mode=listen.mode_bits, group=listen.group or None)
    except Misconfigured as error:
        raise Misconfigured(f"{section}.socket: {error}") from error


@contextmanager
def _held_identity(settings: Settings) -> Iterator[Identity]:
    if settings.store.identity_path is None:
        yield new_identity()
        return
    with hold_identity(settings.store.identity_path) as held:
        yield held.identity


@asynccontextmanager
async def _stored(settings: Settings, open_state: OpenStore) -> AsyncIterator[Store]:
    store = await open_state(settings.store.where)
    try:
        yield store
    finally:
        with trio.CancelScope(shield=True):
            await store.aclose()


@asynccontextmanager
async def _registry(settings: Settings, ecr: aws.Ecr) -> AsyncIterator[RegistryClient]:
    images = settings.images
    async with RegistryClient(
        images.mirrors, images.insecure_registries, known_logins(images, ecr)
    ) as client:
        yield client


async def _stop_on_signal(
    stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            if stop.is_set():
                os._exit(1)  # "now": nothing that still waits can hold it
            _LOG.info("draining", signal=signal.Signals(number).name)
            stop.set()
