"""The engine stands on the same fakes as the services."""

from __future__ import annotations

from tests.services.conftest import outside, world

__all__ = ["outside", "world"]
