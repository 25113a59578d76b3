"""Log groups, their streams and the events in them, in memory."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from sockerless_ecs.sandbox.wire.call import ACCOUNT, AwsError

USUAL_BYTES = 256 << 20
_BLOCK_BYTES = 128
_timestamp = attrgetter("timestamp")


class LogEvent(NamedTuple):
    """One line: times in milliseconds."""

    timestamp: int
    message: str
    ingested: int


@dataclass(frozen=True, slots=True)
class Block:
    """Events of one moment, as bytes: objects for each would take fifty times as much memory and time."""

    timestamp: int
    ingested: int
    data: bytes
    """Messages with a newline between two; one alone may contain any."""
    count: int = 1

    @property
    def size(self) -> int:
        """What it takes in memory."""
        return len(self.data) + _BLOCK_BYTES

    def events(self, low: int, high: int) -> list[LogEvent]:
        """Some of its events, by their number in it."""
        lines = [self.data] if self.count == 1 else self.data.split(b"\n")
        return [
            LogEvent(self.timestamp, line.decode(errors="replace"), self.ingested) for line in lines[low:high]
        ]


def block(event: LogEvent) -> Block:
    """A single event."""
    return Block(event.timestamp, event.ingested, event.message.encode(errors="replace"))


def notice(timestamp: int, text: str) -> Block:
    """What the sandbox itself says in a stream; the agent's reader knows it by its mark."""
    return Block(timestamp, now_ms(), f"[sockerless] the sandbox {text}".encode())


@dataclass(slots=True)
class Events:
    """Events in the order of their timestamps, each with a number that stays; the oldest may be gone."""

    most_bytes: int = USUAL_BYTES
    _blocks: list[Block] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    """The number of each block's first event."""
    _bytes: int = 0
    _dropped: int = 0
    _told: Block | None = None
    """What says so, at the place of the last event that is gone."""

    @property
    def first(self) -> int:
        """The number of the oldest event."""
        return self._starts[0] if self._starts else 0

    @property
    def end(self) -> int:
        """The number that the next event will get."""
        return self._starts[-1] + self._blocks[-1].count if self._starts else 0

    @property
    def edges(self) -> tuple[Block, Block] | None:
        """The oldest and the newest."""
        return (self._blocks[0], self._blocks[-1]) if self._blocks else None

    def append(self, new: Block) -> None:
        """Add a block; a late one finds its place."""
        if self._blocks and new.timestamp < self._blocks[-1].timestamp:
            place = bisect_right(self._blocks, new.timestamp, key=_timestamp)
            self._starts.insert(place, self._starts[place])
            self._blocks.insert(place, new)
            self._starts[place + 1 :] = [start + new.count for start in self._starts[place + 1 :]]
        else:
            self._starts.append(self.end)
            self._blocks.append(new)
        self._bytes += new.size
        if self._bytes > self.most_bytes:
            self._drop()

    def since(self, timestamp: int) -> int:
        """The number of the first event at or after a time."""
        place = bisect_left(self._blocks, timestamp, key=_timestamp)
        return self._starts[place] if place < len(self._starts) else self.end

    def copy(self) -> Events:
        """The same events, which no longer change."""
        return Events(self.most_bytes, self._blocks.copy(), self._starts.copy())

    def forward(self, low: int, high: int) -> Iterator[LogEvent]:
        """The events from a number up to another."""
        place = max(bisect_right(self._starts, low) - 1, 0)
        while place < len(self._blocks) and self._starts[place] < high:
            start = self._starts[place]
            yield from self._blocks[place].events(max(low - start, 0), high - start)
            place += 1

    def backward(self, low: int, high: int) -> Iterator[LogEvent]:
        """The same, the newest first."""
        place = bisect_left(self._starts, high) - 1
        while place >= 0 and self._starts[place] + self._blocks[place].count > low:
            start = self._starts[place]
            yield from reversed(self._blocks[place].events(max(low - start, 0), high - start))
            place -= 1

    def _drop(self) -> None:
        """Drop the oldest, an eighth more than must be: it is not done for every block. One stays."""
        count = 0
        while self._bytes > self.most_bytes // 8 * 7 and count < len(self._blocks) - 1:
            old = self._blocks[count]
            self._bytes -= old.size
            self._dropped += len(old.data) + old.count if old is not self._told else 0
            count += 1
        if not count:
            return
        last = self._blocks[count - 1]
        text = f"keeps {self.most_bytes} bytes of a stream: the {self._dropped} before this are gone"
        self._told = notice(last.timestamp, text)
        self._blocks[:count] = [self._told]
        self._starts[:count] = [self._starts[count] - 1]
        self._bytes += self._told.size


@dataclass(slots=True)
class Stream:
    """A log stream."""

    name: str
    arn: str
    created: int
    events: Events = field(default_factory=Events)
    catch_up: Callable[[int | None], None] = lambda _: None
    """Brings in what is due, at least up to the event of a number (None: all of it).

    Whoever reads the events calls it first, without the store's lock: it may take a while.
    """


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
    """Everything that CloudWatch Logs keeps, at most `most_bytes` of each stream. `lock` guards it all."""

    def __init__(self, region: str, most_bytes: int = USUAL_BYTES) -> None:
        self.lock = threading.RLock()
        self.groups: dict[str, Group] = {}
        self.most_bytes = most_bytes
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
            arn = f"{group.arn}:log-stream:{name}"
            stream = group.streams[name] = Stream(name, arn, now_ms(), Events(self.most_bytes))
            return stream

    def stream(self, group_name: str, name: str) -> Stream:
        """A stream of a group; raises ResourceNotFoundException."""
        with self.lock:
            stream = self.group(group_name).streams.get(name)
        if stream is None:
            raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
        return stream


def now_ms() -> int:
    """The time as CloudWatch Logs writes it."""
    return time.time_ns() // 1_000_000
