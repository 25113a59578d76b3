"""What is left to do in AWS after an answer was given: persisted, retried until done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CleanupKind(StrEnum):
    """What a clean-up job does to its target."""

    STOP_TASK = "stop_task"
    """Target: a task ARN."""
    FIND_TASK = "find_task"
    """Target: the client token of a RunTask whose answer was never seen."""
    DELETE_SECRET = "delete_secret"  # noqa: S105 - what is done to one
    """Target: the name of a secret; it goes once no record refers to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupJob:
    """One AWS object that must go."""

    id: str
    kind: CleanupKind
    target: str
    created_ns: int
    reason: str = ""
    attempts: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDefinition:
    """A registered task definition, by the hash of its content."""

    hash: str
    arn: str
