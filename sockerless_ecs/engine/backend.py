"""The engine as a whole: the contract, fulfilled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sockerless_ecs import capabilities
from sockerless_ecs.engine.containers import EngineContainers
from sockerless_ecs.engine.execs import EngineExecs
from sockerless_ecs.engine.images import EngineImages
from sockerless_ecs.engine.registries import EngineRegistries
from sockerless_ecs.engine.system import EngineSystem
from sockerless_ecs.engine.unbuilt import UnbuiltNetworks, UnbuiltVolumes
from sockerless_ecs.services.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One noun each; what is not built says so."""

    containers: EngineContainers
    images: EngineImages
    registries: EngineRegistries
    system: EngineSystem
    execs: EngineExecs
    ledger: Ledger
    networks: UnbuiltNetworks = field(default_factory=UnbuiltNetworks)
    volumes: UnbuiltVolumes = field(default_factory=UnbuiltVolumes)

    @property
    def revision(self) -> int:
        """Rises whenever what inspect or a list shows has changed."""
        return self.ledger.revision

    def capabilities(self) -> Mapping[str, object]:
        """What this backend can do."""
        return capabilities.capabilities()
