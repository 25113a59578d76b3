"""The engine, on its services."""

from __future__ import annotations

import socket

from sockerless_ecs import agent, aws
from sockerless_ecs.engine.attaching import Attaching
from sockerless_ecs.engine.backend import Engine
from sockerless_ecs.engine.committing import Committer
from sockerless_ecs.engine.containers import EngineContainers
from sockerless_ecs.engine.control import Control
from sockerless_ecs.engine.creating import Creator
from sockerless_ecs.engine.execs import EngineExecs
from sockerless_ecs.engine.files import Files
from sockerless_ecs.engine.image_files import ImageFiles
from sockerless_ecs.engine.image_names import ImageNames
from sockerless_ecs.engine.images import EngineImages
from sockerless_ecs.engine.listing import Listing
from sockerless_ecs.engine.logs import Logs
from sockerless_ecs.engine.processes import Watching
from sockerless_ecs.engine.registries import EngineRegistries
from sockerless_ecs.engine.system import EngineSystem
from sockerless_ecs.engine.updating import Updater
from sockerless_ecs.registry import ImageContents
from sockerless_ecs.rooms.ground import Ground
from sockerless_ecs.rooms.images import build_images, image_repository
from sockerless_ecs.rooms.services import Services
from sockerless_ecs.services.archive import Archive


def build_engine(ground: Ground, services: Services) -> Engine:
    """The contract, fulfilled."""
    settings, ledger, bus = ground.settings, ground.ledger, services.bus
    images = build_images(ground, services)
    return Engine(
        containers=_containers(ground, services, images),
        images=images,
        registries=EngineRegistries(ground.registry, ledger.image_file),
        execs=EngineExecs(ledger=ledger, bus=bus),
        ledger=ledger,
        system=EngineSystem(
            ledger=ledger,
            bus=bus,
            registry=ground.registry,
            instance_id=ground.identity.instance_id,
            name=socket.gethostname(),
            architecture=settings.ecs.architecture,
        ),
    )


def _containers(ground: Ground, services: Services, images: EngineImages) -> EngineContainers:
    ledger, bus, launcher = ground.ledger, services.bus, services.launcher
    archive = Archive(aws.Logs(ground.calls), ground.settings.ecs.log_group)
    logs = Logs(ledger=ledger, tails=services.tails, archive=archive)
    default_memory_mib = ground.settings.ecs.default_memory_mib
    files = Files(
        ledger=ledger,
        launcher=launcher,
        uploads=services.uploads,
        files=agent.files,
        contents=ImageContents(ground.registry),
        bus=bus,
        place=services.place,
    )
    control = Control(ledger=ledger, launcher=launcher, restarts=services.restarts, bus=bus, ecs=ground.ecs)
    return EngineContainers(
        ledger=ledger,
        launcher=launcher,
        remover=services.remover,
        creator=Creator(
            ledger=ledger,
            images=images,
            definitions=services.definitions,
            pull_secrets=services.pull_secrets,
            kept_logins=services.kept_logins,
            bus=bus,
            default_cpu_units=ground.default_cpu_units,
            default_memory_mib=default_memory_mib,
        ),
        updater=Updater(
            ledger=ledger,
            bus=bus,
            default_cpu_units=ground.default_cpu_units,
            default_memory_mib=default_memory_mib,
        ),
        listing=Listing(ledger),
        logs=logs,
        attaching=Attaching(ledger=ledger, logs=logs, bus=bus),
        watching=Watching(ledger=ledger, bus=bus),
        files=files,
        bus=bus,
        control=control,
        committer=Committer(
            names=ImageNames(ledger),
            image_files=ImageFiles(ledger=ledger, registry=ground.registry),
            registry=ground.registry,
            repository=image_repository(ground),
            files=files,
            control=control,
            bus=bus,
        ),
        nursery=ground.services,
    )
