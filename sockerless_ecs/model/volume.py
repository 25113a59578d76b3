"""What a volume is: an EFS access point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A named volume and the AWS object behind it."""

    name: str
    created_ns: int
    driver: str = "local"
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    efs_access_point_id: str = ""
