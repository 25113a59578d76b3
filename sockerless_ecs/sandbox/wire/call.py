"""One AWS call as every part of the sandbox sees it, and the error that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "123456789012"
"""The account that everything in the sandbox belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request: which operation of which service, and its parameters by their names in the model."""

    service: str
    operation: str
    region: str
    request_id: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`ecs:RunTask`."""
        return f"{self.service}:{self.operation}"


class AwsError(Exception):
    """What AWS refuses, in its own words: code, message and the members the code carries."""

    def __init__(self, code: str, message: str, *, status: int = 400, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


class LostAnswer(Exception):
    """The connection ends without an answer (a fault that somebody asked for)."""
