"""Where registries are."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping

from sockerless_ecs.model.reference import DOCKER_HUB

_HUB_URL = "https://registry-1.docker.io"
_HUB_INDEX_URL = "https://index.docker.io"


class Addresses:
    """Where registries are: mirrors stand in for theirs, loopback and insecure ones speak plain HTTP."""

    def __init__(self, mirrors: Mapping[str, str], insecure: Collection[str]) -> None:
        self._mirrors = {name: url.rstrip("/") for name, url in mirrors.items()}
        self._insecure = frozenset(insecure)

    def base_url(self, registry: str) -> str:
        """Scheme and host, without a slash at the end."""
        if mirror := self._mirrors.get(registry):
            return mirror
        if registry == DOCKER_HUB:
            return _HUB_URL
        plain = registry in self._insecure or _is_loopback(registry)
        return f"{'http' if plain else 'https'}://{registry}"

    def index_url(self, registry: str) -> str:
        """The same of what answers searches: Docker Hub has a host of its own for them."""
        if registry == DOCKER_HUB and registry not in self._mirrors:
            return _HUB_INDEX_URL
        return self.base_url(registry)


def _is_loopback(registry: str) -> bool:
    host = registry.rsplit(":", 1)[0] if not registry.endswith("]") else registry
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
