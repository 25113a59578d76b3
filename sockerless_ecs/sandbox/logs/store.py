"""Log groups, their streams and the events in them, in memory."""

from __future__ import annotations

import threading
import time
from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from sockerless_ecs.sandbox.wire.call import ACCOUNT, AwsError


class LogEvent(NamedTuple):
    """One line: times in milliseconds."""

    timestamp: int
    message: str
    ingested: int


@dataclass(slots=True)
class Stream:
    """A log stream; its events are in the order of their timestamps."""

    name: str
    arn: str
    created: int
    events: list[LogEvent] = field(default_factory=list)
    catch_up: Callable[[], None] = lambda: None
    """Brings in what is due: whoever reads the events calls it first."""

    def append(self, events: Iterable[LogEvent]) -> None:
        """Add events; late ones find their place."""
        for event in events:
            if self.events and event.timestamp < self.events[-1].timestamp:
                insort(self.events, event, key=itemgetter(0))
            else:
                self.events.append(event)


@dataclass(slots=True)
class Group:
    """A log group."""

    name: str
    arn: str
    created: int
    tags: dict[str, str] = field(default_factory=dict)
    retention_days: int | None = None
    streams: dict[str, Stream] = field(default_factory=dict)


class LogStore:
    """Everything that CloudWatch Logs keeps. `lock` guards it all."""

    def __init__(self, region: str) -> None:
        self.lock = threading.RLock()
        self.groups: dict[str, Group] = {}
        self._region = region

    def create_group(self, name: str, tags: dict[str, str]) -> Group:
        """A new group; raises ResourceAlreadyExistsException."""
        with self.lock:
            if name in self.groups:
                raise AwsError("ResourceAlreadyExistsException", "The specified log group already exists")
            arn = f"arn:aws:logs:{self._region}:{ACCOUNT}:log-group:{name}"
            group = self.groups[name] = Group(name, arn, now_ms(), tags)
            return group

    def group(self, reference: str) -> Group:
        """A group by name or ARN; raises ResourceNotFoundException."""
        name = (
            reference.partition(":log-group:")[2].removesuffix(":*")
            if reference.startswith("arn:")
            else reference
        )
        group = self.groups.get(name)
        if group is None:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        return group

    def create_stream(self, group_name: str, name: str) -> Stream:
        """A new stream; raises when its group is missing or it is there already."""
        with self.lock:
            group = self.group(group_name)
            if name in group.streams:
                raise AwsError("ResourceAlreadyExistsException", "The specified log stream already exists")
            stream = group.streams[name] = Stream(name, f"{group.arn}:log-stream:{name}", now_ms())
            return stream

    def stream(self, group_name: str, name: str) -> Stream:
        """A stream of a group; raises ResourceNotFoundException."""
        stream = self.group(group_name).streams.get(name)
        if stream is None:
            raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
        return stream


def now_ms() -> int:
    """The time as CloudWatch Logs writes it."""
    return time.time_ns() // 1_000_000
