"""The built whole: how it begins, and how it ends."""

from __future__ import annotations

import structlog
import trio

from sockerless_ecs import aws
from sockerless_ecs.engine.reconcile import Reconciler
from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.rooms.engine import build_engine
from sockerless_ecs.rooms.ground import Ground
from sockerless_ecs.rooms.services import build_services

_LOG = structlog.get_logger(__name__)
_CLOSE_SECONDS = 5.0


class Rooms:
    """Everything that is built once."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._services = services = build_services(ground)
        self.engine = build_engine(ground, services)
        self._reconciler = Reconciler(
            ledger=ground.ledger,
            launcher=services.launcher,
            supervisor=services.supervisor,
            remover=services.remover,
            janitor=services.janitor,
            restarts=services.restarts,
        )

    async def start(self) -> None:
        """Begin what runs for as long as the daemon does; none of it keeps the sockets waiting for AWS."""
        nursery, services = self._ground.services, self._services
        await nursery.start(services.watcher.run)
        await nursery.start(services.janitor.run)
        services.uploads.take_up()
        self._reconciler.begin()
        nursery.start_soon(self._reconciler.settle)
        nursery.start_soon(self.engine.containers.release_held)
        nursery.start_soon(services.publisher.warm)
        nursery.start_soon(self._check)

    def drain(self) -> None:
        """Start nothing new."""
        self._services.launcher.draining = True

    async def _check(self) -> None:
        """Say what is missing in AWS, with the fix."""
        ecs = self._ground.settings.ecs
        setup = aws.CloudSetup(
            cluster=ecs.cluster,
            subnets=ecs.subnets,
            security_groups=ecs.security_groups,
            agent_port=self._ground.settings.agent.port,
            log_group=ecs.log_group,
            log_retention_days=ecs.log_retention_days,
            efs_filesystem_id=ecs.efs_filesystem_id,
            tags=ecs.tags,
        )
        for problem in await aws.problems(self._ground.calls, setup):
            _LOG.warning("aws_setup", problem=problem)

    async def stop_containers(self) -> None:
        """`shutdown.containers: stop`: every container gets its stop signal, all at once."""
        async with trio.open_nursery() as nursery:
            for live in self._ground.ledger:
                if live.record.active:
                    nursery.start_soon(self._stop, live.id)

    async def _stop(self, container_id: str) -> None:
        try:
            await self.engine.containers.stop(container_id)
        except SockerlessError as error:
            _LOG.warning("stop_failed", container_id=container_id, error=str(error))

    async def hang_up(self) -> None:
        """Close the connections to the agents; the containers go on."""
        self._services.uploads.close()
        with trio.move_on_after(_CLOSE_SECONDS):
            for live in self._ground.ledger:
                if live.agent is not None:
                    await live.agent.aclose()
