"""What happened, as Docker tells it on its events stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEvent:
    """One event: `type` container, image, network or volume; `action` as Docker names it (`die`)."""

    type: str
    action: str
    actor_id: str
    time_ns: int
    attributes: Mapping[str, str] = field(default_factory=dict)
