"""Networks as Docker shows them and as they are asked for."""

# ruff: noqa: RUF012 (msgspec copies empty defaults)

from __future__ import annotations

from typing import Any

import msgspec

from sockerless_ecs.http.shapes.create import EndpointBody, StringMap
from sockerless_ecs.http.shapes.naming import Answer, Request


class NetworkCreateBody(Request, frozen=True, kw_only=True):
    """A network that is asked for."""

    name: str
    driver: str | None = None
    internal: bool | None = None
    attachable: bool | None = None
    ingress: bool | None = None
    enable_ipv6: bool | None = msgspec.field(default=None, name="EnableIPv6")
    ipam: dict[str, Any] | None = None
    options: StringMap = None
    labels: StringMap = None


class NetworkConnectBody(Request, frozen=True, kw_only=True):
    """A container that is to join."""

    container: str
    endpoint_config: EndpointBody | None = None


class NetworkDisconnectBody(Request, frozen=True, kw_only=True):
    """A container that is to leave."""

    container: str
    force: bool | None = None


class IPAMView(Answer, frozen=True, kw_only=True):
    """Who gives addresses: the VPC does."""

    driver: str = "default"
    config: list[str] = []
    options: dict[str, str] | None = None


class NetworkView(Answer, frozen=True, kw_only=True):
    """What inspect and list show."""

    name: str
    id: str
    created: str
    driver: str
    internal: bool
    attachable: bool
    options: dict[str, str]
    labels: dict[str, str]
    scope: str = "local"
    enable_ipv6: bool = msgspec.field(default=False, name="EnableIPv6")
    ipam: IPAMView = IPAMView()
    ingress: bool = False
    containers: dict[str, str] = {}


class NetworkCreatedView(Answer, frozen=True, kw_only=True):
    """The answer to a create."""

    id: str
    warning: str = ""


class PrunedNetworksView(Answer, frozen=True, kw_only=True):
    """What a prune took away."""

    networks_deleted: list[str]
