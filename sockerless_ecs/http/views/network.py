"""Networks as inspect and list show them."""

from __future__ import annotations

from sockerless_ecs.http.shapes.network import NetworkView
from sockerless_ecs.http.times import rfc3339
from sockerless_ecs.model.network import Network


def network_view(network: Network) -> NetworkView:
    """What inspect and list show."""
    return NetworkView(
        name=network.name,
        id=network.id,
        created=rfc3339(network.created_ns),
        driver=network.driver,
        internal=network.internal,
        attachable=network.attachable,
        options=dict(network.options),
        labels=dict(network.labels),
    )
