"""CloudWatch Logs: the log group, and the events of one stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.faults import code_of
from sockerless_ecs.aws.operations import (
    CREATE_LOG_GROUP,
    DESCRIBE_LOG_GROUPS,
    GET_LOG_EVENTS,
    PUT_RETENTION_POLICY,
)
from sockerless_ecs.aws.tags import acceptable
from sockerless_ecs.errors import Conflict


class CloudEvent(NamedTuple):
    """One event: a line as awslogs wrote it, without its newline."""

    time_ms: int
    message: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of events, in the order of the stream; it may be empty and yet not be the last."""

    events: list[CloudEvent]
    next_token: str
    last: bool
    """Nothing is further on *now*: the token sent came back. The same token finds what comes later."""


class Logs:
    """CloudWatch Logs of one region."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def ensure_log_group(self, name: str, retention_days: int, tags: Mapping[str, str]) -> bool:
        """Make the group if it is missing, and say whether it was; 0 days keeps events for ever.

        The retention of a group that exists is its owner's business.
        """
        answer = await self._calls.call(DESCRIBE_LOG_GROUPS, logGroupNamePrefix=name)
        # Names come in order, so the group itself is on the first page if it exists at all.
        if any(group["logGroupName"] == name for group in answer.get("logGroups", ())):
            return False
        params: dict[str, Any] = {"logGroupName": name}
        if fit := acceptable(tags):
            params["tags"] = fit
        try:
            await self._calls.call(CREATE_LOG_GROUP, **params)
            created = True
        except Conflict as conflict:
            if code_of(conflict) != "ResourceAlreadyExistsException":
                raise
            created = False  # by another daemon, or by a try of ours whose answer was lost
        if retention_days:
            await self._calls.call(PUT_RETENTION_POLICY, logGroupName=name, retentionInDays=retention_days)
        return created

    async def events(
        self,
        group: str,
        stream: str,
        *,
        token: str | None = None,
        from_start: bool = True,
        since_ms: int | None = None,
        until_ms: int | None = None,
    ) -> LogPage:
        """One page of at most 10,000 events or 1 MB; raises `NotFound` while the stream does not exist.

        Pages run forward from the oldest event, or (`from_start=False`) backward from the newest;
        a token is only good for the direction it came from. `since_ms` is inclusive, `until_ms` is not.
        """
        params: dict[str, Any] = {
            "logGroupName": group,
            "logStreamName": stream,
            "startFromHead": from_start,
        }
        if token is not None:
            params["nextToken"] = token
        if since_ms is not None:
            params["startTime"] = since_ms
        if until_ms is not None:
            params["endTime"] = until_ms
        answer = await self._calls.call(GET_LOG_EVENTS, **params)
        next_token = answer["nextForwardToken" if from_start else "nextBackwardToken"]
        events = [CloudEvent(event["timestamp"], event["message"]) for event in answer.get("events", ())]
        return LogPage(events, next_token, last=next_token == token)
