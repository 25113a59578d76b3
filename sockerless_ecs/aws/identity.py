"""STS: whose credentials the daemon has."""

from __future__ import annotations

from dataclasses import dataclass

from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.operations import GET_CALLER_IDENTITY


@dataclass(frozen=True, slots=True)
class Caller:
    """Who AWS takes the daemon for."""

    account: str
    arn: str


class Identity:
    """The one question that needs credentials and no permission."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def caller(self) -> Caller:
        """The account and principal; raises `Misconfigured` when the credentials are missing or invalid."""
        answer = await self._calls.call(GET_CALLER_IDENTITY)
        return Caller(answer["Account"], answer["Arn"])
