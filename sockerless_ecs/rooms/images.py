"""Images, on their services."""

from __future__ import annotations

import math

from sockerless_ecs.config.schema import ImagesSettings
from sockerless_ecs.engine.image_files import ImageFiles
from sockerless_ecs.engine.image_names import ImageNames
from sockerless_ecs.engine.image_pruning import Pruner
from sockerless_ecs.engine.image_pulling import Puller
from sockerless_ecs.engine.image_pushing import Pusher
from sockerless_ecs.engine.image_repository import ImageRepository
from sockerless_ecs.engine.image_saving import Saver
from sockerless_ecs.engine.images import EngineImages
from sockerless_ecs.engine.importing import Importer
from sockerless_ecs.engine.loading import Loader
from sockerless_ecs.model.sources import Sources
from sockerless_ecs.rooms.ground import Ground
from sockerless_ecs.rooms.services import Services


def build_images(ground: Ground, services: Services) -> EngineImages:
    """Where they come from, and where they are kept."""
    settings, ledger, registry, bus = ground.settings.images, ground.ledger, ground.registry, services.bus
    names, files = ImageNames(ledger), ImageFiles(ledger=ledger, registry=registry)
    repository = image_repository(ground)
    return EngineImages(
        ledger=ledger,
        names=names,
        bus=bus,
        architecture=ground.settings.ecs.architecture,
        puller=Puller(
            ledger=ledger,
            names=names,
            registry=registry,
            bus=bus,
            sources=Sources(settings.sources),
            kept_logins=services.kept_logins,
            fresh_seconds=_fresh_seconds(settings),
        ),
        loader=Loader(repository),
        importer=Importer(repository=repository, names=names, bus=bus),
        pusher=Pusher(ledger=ledger, names=names, files=files, registry=registry, bus=bus),
        saver=Saver(ledger=ledger, names=names, files=files, registry=registry, bus=bus),
        files=files,
        pruner=Pruner(ledger=ledger, names=names, bus=bus),
    )


def image_repository(ground: Ground) -> ImageRepository:
    """Where images are kept that exist nowhere else."""
    settings = ground.settings.images
    return ImageRepository(
        ecr=ground.ecr,
        registry=ground.registry,
        name=settings.repository,
        tags=ground.settings.ecs.tags,
        scan_on_push=settings.scan_on_push,
        expire_days=settings.expire_days,
    )


def _fresh_seconds(settings: ImagesSettings) -> float:
    match settings.resolve:
        case "always":
            return 0.0
        case "missing":
            return math.inf
        case "ttl":
            return settings.resolve_ttl_seconds
