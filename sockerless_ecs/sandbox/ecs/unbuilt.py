"""What ECS would do with a definition and the sandbox does not: said, never ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sockerless_ecs.sandbox.wire.call import AwsError

_OF_TASKS = ("pidMode", "proxyConfiguration", "inferenceAccelerators")
_OF_CONTAINERS = (
    "environmentFiles",
    "firelensConfiguration",
    "healthCheck",
    "interactive",
    "pseudoTerminal",
    "restartPolicy",
    "secrets",
    "systemControls",
    "volumesFrom",
)
_STATUS = 501


def refuse_unbuilt(request: Mapping[str, Any]) -> None:
    """Raises `UnsupportedOperation` naming what the sandbox cannot do of a valid definition."""
    found = [name for name in _OF_TASKS if request.get(name)]
    for container in request["containerDefinitions"]:
        found += [f"{container['name']}.{what}" for what in _of_container(container)]
    if found:
        raise AwsError(
            "UnsupportedOperation",
            f"The sandbox does not run definitions with {', '.join(found)}.",
            status=_STATUS,
        )


def _of_container(container: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in _OF_CONTAINERS if container.get(name))
    if (container.get("linuxParameters") or {}).get("tmpfs"):
        yield "linuxParameters.tmpfs"
    driver = (container.get("logConfiguration") or {}).get("logDriver", "awslogs")
    if driver != "awslogs":
        yield f"log driver {driver}"
    if any(dependency["condition"] == "HEALTHY" for dependency in container.get("dependsOn", ())):
        yield "dependsOn HEALTHY"
