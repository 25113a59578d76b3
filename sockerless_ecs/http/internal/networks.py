"""Networks on the internal API."""

from __future__ import annotations

from sockerless_ecs.errors import InvalidParameter, Unimplemented
from sockerless_ecs.http.route import EMPTY, NO_CONTENT, Call, Reply, Route, SocketRoute, json_reply
from sockerless_ecs.http.shapes.create import EndpointBody
from sockerless_ecs.http.shapes.network import (
    NetworkConnectBody,
    NetworkCreateBody,
    NetworkCreatedView,
    NetworkDisconnectBody,
    NetworkView,
    PrunedNetworksView,
)
from sockerless_ecs.http.views.network import network_view
from sockerless_ecs.model.network import Network


async def create(call: Call) -> Reply:
    """Make a network."""
    body = await call.body(NetworkCreateBody)
    if not body.name:
        raise InvalidParameter("Name: a network needs one")
    network = Network(
        id="",
        name=body.name,
        created_ns=0,
        driver=body.driver or "bridge",
        labels={key: value or "" for key, value in (body.labels or {}).items()},
        options={key: value or "" for key, value in (body.options or {}).items()},
        internal=bool(body.internal),
        attachable=bool(body.attachable),
    )
    return json_reply(NetworkCreatedView(id=await call.backend.networks.create(network)), 201)


async def list_(call: Call) -> Reply:
    """List networks."""
    found = await call.backend.networks.list(call.query.filters())
    return json_reply([network_view(network) for network in found])


async def inspect(call: Call) -> Reply:
    """Show a network."""
    return json_reply(network_view(await call.backend.networks.inspect(call.ref)))


async def connect(call: Call) -> Reply:
    """Put a container on a network."""
    body = await call.body(NetworkConnectBody)
    if body.endpoint_config not in (None, EndpointBody()):
        raise Unimplemented("network connect: EndpointConfig is not implemented yet")
    await call.backend.networks.connect(call.ref, body.container)
    return EMPTY


async def disconnect(call: Call) -> Reply:
    """Take a container off a network."""
    body = await call.body(NetworkDisconnectBody)
    await call.backend.networks.disconnect(call.ref, body.container, force=bool(body.force))
    return EMPTY


async def remove(call: Call) -> Reply:
    """Remove a network."""
    await call.backend.networks.remove(call.ref)
    return NO_CONTENT


async def prune(call: Call) -> Reply:
    """Remove networks that nobody uses."""
    gone = await call.backend.networks.prune(call.query.filters())
    return json_reply(PrunedNetworksView(networks_deleted=list(gone)))


_ONE = "/networks/<ref:ref>"

ROUTES: tuple[Route | SocketRoute, ...] = (
    Route(
        method="POST",
        path="/networks",
        operation="NetworkCreate",
        summary="Create a network",
        handle=create,
        body=NetworkCreateBody,
        answer=NetworkCreatedView,
        status=201,
    ),
    Route(
        method="GET",
        path="/networks",
        operation="NetworkList",
        summary="List networks",
        handle=list_,
        query=("filters",),
        answer=list[NetworkView],
    ),
    Route(
        method="POST",
        path="/networks/prune",
        operation="NetworkPrune",
        summary="Remove unused networks",
        handle=prune,
        query=("filters",),
        answer=PrunedNetworksView,
    ),
    Route(
        method="GET",
        path=_ONE,
        operation="NetworkInspect",
        summary="Inspect a network",
        handle=inspect,
        answer=NetworkView,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        operation="NetworkDelete",
        summary="Remove a network",
        handle=remove,
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/connect",
        operation="NetworkConnect",
        summary="Put a container on a network",
        handle=connect,
        body=NetworkConnectBody,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/disconnect",
        operation="NetworkDisconnect",
        summary="Take a container off a network",
        handle=disconnect,
        body=NetworkDisconnectBody,
    ),
)
