"""What a network is: a security group and names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network and the AWS objects behind it."""

    id: str
    name: str
    created_ns: int
    driver: str = "bridge"
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    internal: bool = False
    attachable: bool = False
    security_group_id: str = ""
    cloud_map_namespace_arn: str = ""
