"""What the Docker Engine API has and this engine has not: each call says why, and what to use instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from sockerless_ecs.errors import NotFound, Unimplemented
from sockerless_ecs.http.route import Call, Reply, Route, json_reply


@dataclass(frozen=True, slots=True)
class Unbuilt:
    """A call that is answered by a reason."""

    method: str
    path: str
    operation: str
    what: str
    why: str


_BUILD = "Fargate runs images and builds none: build elsewhere, push to a registry and pull"
_SWARM = "this engine is no swarm: run containers, or use Amazon ECS services"
_PLUGINS = "this engine has no plugins: its configuration says what it can do"
_NETWORKS = "networks are not built yet: every container is on the configured security groups"
_VOLUMES = "volumes are not built yet: keep data in a service outside the container"
_CHECKPOINTS = "Fargate cannot freeze a process into files: stop the container and start it again"

UNBUILT: tuple[Unbuilt, ...] = (
    Unbuilt("POST", "/build", "ImageBuild", "image build", _BUILD),
    Unbuilt("POST", "/build/cancel", "BuildCancel", "build cancel", _BUILD),
    Unbuilt("POST", "/session", "Session", "session", _BUILD),
    Unbuilt("POST", "/grpc", "Grpc", "grpc", _BUILD),
    Unbuilt("GET", "/networks", "NetworkList", "network list", _NETWORKS),
    Unbuilt("POST", "/networks/create", "NetworkCreate", "network create", _NETWORKS),
    Unbuilt("POST", "/networks/<ref:ref>/connect", "NetworkConnect", "network connect", _NETWORKS),
    Unbuilt("POST", "/networks/<ref:ref>/disconnect", "NetworkDisconnect", "network disconnect", _NETWORKS),
    Unbuilt("GET", "/volumes", "VolumeList", "volume list", _VOLUMES),
    Unbuilt("POST", "/volumes/create", "VolumeCreate", "volume create", _VOLUMES),
    Unbuilt("PUT", "/volumes/<ref:ref>", "VolumeUpdate", "volume update", _VOLUMES),
    Unbuilt("GET", "/containers/<ref:ref>/checkpoints", "CheckpointList", "checkpoint list", _CHECKPOINTS),
    Unbuilt(
        "POST", "/containers/<ref:ref>/checkpoints", "CheckpointCreate", "checkpoint create", _CHECKPOINTS
    ),
    Unbuilt(
        "DELETE",
        "/containers/<ref:ref>/checkpoints/<ref:checkpoint>",
        "CheckpointDelete",
        "checkpoint remove",
        _CHECKPOINTS,
    ),
    Unbuilt("GET", "/swarm", "SwarmInspect", "swarm inspect", _SWARM),
    Unbuilt("POST", "/swarm/init", "SwarmInit", "swarm init", _SWARM),
    Unbuilt("POST", "/swarm/join", "SwarmJoin", "swarm join", _SWARM),
    Unbuilt("POST", "/swarm/leave", "SwarmLeave", "swarm leave", _SWARM),
    Unbuilt("POST", "/swarm/update", "SwarmUpdate", "swarm update", _SWARM),
    Unbuilt("GET", "/swarm/unlockkey", "SwarmUnlockkey", "swarm unlock-key", _SWARM),
    Unbuilt("POST", "/swarm/unlock", "SwarmUnlock", "swarm unlock", _SWARM),
    Unbuilt("GET", "/nodes", "NodeList", "node list", _SWARM),
    Unbuilt("GET", "/nodes/<ref:ref>", "NodeInspect", "node inspect", _SWARM),
    Unbuilt("DELETE", "/nodes/<ref:ref>", "NodeDelete", "node remove", _SWARM),
    Unbuilt("POST", "/nodes/<ref:ref>/update", "NodeUpdate", "node update", _SWARM),
    Unbuilt("GET", "/services", "ServiceList", "service list", _SWARM),
    Unbuilt("POST", "/services/create", "ServiceCreate", "service create", _SWARM),
    Unbuilt("GET", "/services/<ref:ref>", "ServiceInspect", "service inspect", _SWARM),
    Unbuilt("DELETE", "/services/<ref:ref>", "ServiceDelete", "service remove", _SWARM),
    Unbuilt("POST", "/services/<ref:ref>/update", "ServiceUpdate", "service update", _SWARM),
    Unbuilt("GET", "/services/<ref:ref>/logs", "ServiceLogs", "service logs", _SWARM),
    Unbuilt("GET", "/tasks", "TaskList", "task list", _SWARM),
    Unbuilt("GET", "/tasks/<ref:ref>", "TaskInspect", "task inspect", _SWARM),
    Unbuilt("GET", "/tasks/<ref:ref>/logs", "TaskLogs", "task logs", _SWARM),
    Unbuilt("GET", "/secrets", "SecretList", "secret list", _SWARM),
    Unbuilt("POST", "/secrets/create", "SecretCreate", "secret create", _SWARM),
    Unbuilt("GET", "/secrets/<ref:ref>", "SecretInspect", "secret inspect", _SWARM),
    Unbuilt("DELETE", "/secrets/<ref:ref>", "SecretDelete", "secret remove", _SWARM),
    Unbuilt("POST", "/secrets/<ref:ref>/update", "SecretUpdate", "secret update", _SWARM),
    Unbuilt("GET", "/configs", "ConfigList", "config list", _SWARM),
    Unbuilt("POST", "/configs/create", "ConfigCreate", "config create", _SWARM),
    Unbuilt("GET", "/configs/<ref:ref>", "ConfigInspect", "config inspect", _SWARM),
    Unbuilt("DELETE", "/configs/<ref:ref>", "ConfigDelete", "config remove", _SWARM),
    Unbuilt("POST", "/configs/<ref:ref>/update", "ConfigUpdate", "config update", _SWARM),
    Unbuilt("GET", "/plugins", "PluginList", "plugin list", _PLUGINS),
    Unbuilt("GET", "/plugins/privileges", "GetPluginPrivileges", "plugin privileges", _PLUGINS),
    Unbuilt("POST", "/plugins/pull", "PluginPull", "plugin install", _PLUGINS),
    Unbuilt("POST", "/plugins/create", "PluginCreate", "plugin create", _PLUGINS),
    Unbuilt("DELETE", "/plugins/<refs:ref>", "PluginDelete", "plugin remove", _PLUGINS),
    Unbuilt("POST", "/plugins/<refs:ref>/enable", "PluginEnable", "plugin enable", _PLUGINS),
    Unbuilt("POST", "/plugins/<refs:ref>/disable", "PluginDisable", "plugin disable", _PLUGINS),
    Unbuilt("POST", "/plugins/<refs:ref>/upgrade", "PluginUpgrade", "plugin upgrade", _PLUGINS),
    Unbuilt("POST", "/plugins/<refs:ref>/push", "PluginPush", "plugin push", _PLUGINS),
    Unbuilt("POST", "/plugins/<refs:ref>/set", "PluginSet", "plugin set", _PLUGINS),
)


def _route(unbuilt: Unbuilt) -> Route:
    async def handle(_: Call) -> NoReturn:
        raise Unimplemented(f"{unbuilt.what} is not implemented by this backend: {unbuilt.why}")

    return Route(
        method=unbuilt.method,
        path=unbuilt.path,
        operation=unbuilt.operation,
        summary=f"Not implemented: {unbuilt.what}",
        handle=handle,
        status=501,
    )


async def _no_network(call: Call) -> Reply:
    raise NotFound(f"network {call.ref} not found")


async def _no_volume(call: Call) -> Reply:
    raise NotFound(f"get {call.ref}: no such volume")


async def _no_plugin(call: Call) -> Reply:
    raise NotFound(f'plugin "{call.ref}" not found')


async def _no_networks_pruned(_: Call) -> Reply:
    return json_reply({"NetworksDeleted": []})


async def _no_volumes_pruned(_: Call) -> Reply:
    return json_reply({"VolumesDeleted": [], "SpaceReclaimed": 0})


async def _no_build_cache_pruned(_: Call) -> Reply:
    return json_reply({"CachesDeleted": None, "SpaceReclaimed": 0})


# What nobody could make is not there: so clients that look a name up everywhere (docker inspect), and runners
# that clean up before they begin (docker system prune), are told the truth.
ABSENT: tuple[Route, ...] = tuple(
    Route(method=method, path=path, operation=operation, summary="None exist", handle=handle, status=status)
    for method, path, operation, handle, status in (
        ("GET", "/networks/<ref:ref>", "NetworkInspect", _no_network, 404),
        ("DELETE", "/networks/<ref:ref>", "NetworkDelete", _no_network, 404),
        ("POST", "/networks/prune", "NetworkPrune", _no_networks_pruned, 200),
        ("GET", "/volumes/<ref:ref>", "VolumeInspect", _no_volume, 404),
        ("DELETE", "/volumes/<ref:ref>", "VolumeDelete", _no_volume, 404),
        ("POST", "/volumes/prune", "VolumePrune", _no_volumes_pruned, 200),
        ("POST", "/build/prune", "BuildPrune", _no_build_cache_pruned, 200),
        ("GET", "/plugins/<refs:ref>/json", "PluginInspect", _no_plugin, 404),
    )
)

ROUTES: tuple[Route, ...] = (*ABSENT, *(_route(one) for one in UNBUILT))
