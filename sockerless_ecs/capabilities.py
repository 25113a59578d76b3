"""What this backend can do: one table, false until the thing works."""

from __future__ import annotations

from collections.abc import Mapping

from sockerless_ecs import __version__

_CAPABILITIES: Mapping[str, bool | int] = {
    "exec": True,
    "attach": True,
    "logs": True,
    "logs_follow": True,
    "volumes": False,
    "networks": False,
    "health_checks": True,
    "image_pull": True,
    "image_load": True,
    "max_timeout_seconds": 0,
    "agent_required": True,
}


def capabilities() -> dict[str, object]:
    """The capabilities document; 0 seconds = no limit on how long a container may run."""
    return {"backend": "ecs", "version": __version__, "capabilities": dict(_CAPABILITIES)}
