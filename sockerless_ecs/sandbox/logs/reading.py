"""GetLogEvents and FilterLogEvents: pages of events, by AWS's rules for where a page ends."""

from __future__ import annotations

import re
import shlex
from bisect import bisect_left
from collections.abc import Callable, Mapping
from heapq import merge
from operator import itemgetter
from typing import Any

from sockerless_ecs.sandbox.logs.store import LogEvent, LogStore, Stream
from sockerless_ecs.sandbox.wire.call import AwsError

_MOST_EVENTS = 10_000
_MOST_BYTES = 1 << 20
_EVENT_OVERHEAD = 26
_TOKEN = re.compile(r"([fb])/(\d{56})/s")


class LogReading:
    """Reads what the store has."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def get_events(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """GetLogEvents. It is finished only when the forward token comes back as it was sent."""
        limit = params.get("limit", _MOST_EVENTS)
        with self._store.lock:
            stream = self._store.stream(_group_name(params), params["logStreamName"])
            stream.catch_up()
            events = stream.events
            low, high = _window(events, params)
            token = params.get("nextToken")
            if token:
                forward, position = _parsed(token)
                low, high = (max(low, position), high) if forward else (low, min(high, position))
            else:
                forward = bool(params.get("startFromHead"))
            start, end = (
                _forward(events, low, high, limit) if forward else _backward(events, low, high, limit)
            )
            page = events[start:end]
        return {
            "events": [_shown(event) for event in page],
            "nextForwardToken": f"f/{end:056d}/s",
            "nextBackwardToken": f"b/{start:056d}/s",
        }

    def filter_events(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """FilterLogEvents over the streams of a group, by time."""
        matches = _matcher(params.get("filterPattern") or "")
        limit = params.get("limit", _MOST_EVENTS)
        skip = _number(params.get("nextToken"))
        with self._store.lock:
            streams = self._streams(params)
            for stream in streams:
                stream.catch_up()
            rows = merge(*(_rows(stream, params) for stream in streams), key=lambda row: row[1].timestamp)
            found: list[dict[str, Any]] = []
            size = 0
            more = False
            for number, (name, index, event) in enumerate((n, i, e) for n, e, i in rows):
                if number < skip:
                    continue
                size += len(event.message) + _EVENT_OVERHEAD
                if len(found) >= limit or size > _MOST_BYTES:
                    more, skip = True, number
                    break
                if matches(event.message):
                    shown = _shown(event) | {
                        "logStreamName": name,
                        "eventId": f"{event.timestamp:036d}{index:020d}",
                    }
                    found.append(shown)
        answer: dict[str, Any] = {"events": found, "searchedLogStreams": []}
        return answer | {"nextToken": f"n/{skip}"} if more else answer

    def _streams(self, params: Mapping[str, Any]) -> list[Stream]:
        group = self._store.group(_group_name(params))
        names, prefix = params.get("logStreamNames"), params.get("logStreamNamePrefix")
        if names and prefix:
            raise AwsError(
                "InvalidParameterException", "logStreamNames and logStreamNamePrefix exclude each other."
            )
        if names:
            return [self._store.stream(group.name, name) for name in names]
        return [stream for name, stream in group.streams.items() if name.startswith(prefix or "")]


def _group_name(params: Mapping[str, Any]) -> str:
    name = params.get("logGroupName") or params.get("logGroupIdentifier")
    if not name:
        raise AwsError(
            "InvalidParameterException", "Either logGroupName or logGroupIdentifier must be given."
        )
    return str(name)


def _window(events: list[LogEvent], params: Mapping[str, Any]) -> tuple[int, int]:
    """The events from startTime (included) to endTime (excluded)."""
    start, end = params.get("startTime"), params.get("endTime")
    low = 0 if start is None else bisect_left(events, start, key=itemgetter(0))
    high = len(events) if end is None else bisect_left(events, end, key=itemgetter(0))
    return low, high


def _forward(events: list[LogEvent], low: int, high: int, limit: int) -> tuple[int, int]:
    size, end = 0, low
    while end < high and end - low < limit:
        size += len(events[end].message.encode()) + _EVENT_OVERHEAD
        if size > _MOST_BYTES and end > low:
            break
        end += 1
    return low, end


def _backward(events: list[LogEvent], low: int, high: int, limit: int) -> tuple[int, int]:
    size, start = 0, high
    while start > low and high - start < limit:
        size += len(events[start - 1].message.encode()) + _EVENT_OVERHEAD
        if size > _MOST_BYTES and start < high:
            break
        start -= 1
    return start, max(start, high)


def _parsed(token: str) -> tuple[bool, int]:
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise AwsError("InvalidParameterException", "The specified nextToken is invalid.")
    return found[1] == "f", int(found[2])


def _number(token: str | None) -> int:
    if not token:
        return 0
    if not re.fullmatch(r"n/\d+", token):
        raise AwsError("InvalidParameterException", "The specified nextToken is invalid.")
    return int(token[2:])


def _rows(stream: Stream, params: Mapping[str, Any]) -> list[tuple[str, LogEvent, int]]:
    low, high = _window(stream.events, params)
    return [(stream.name, stream.events[index], index) for index in range(low, high)]


def _shown(event: LogEvent) -> dict[str, Any]:
    return {"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingested}


def _matcher(pattern: str) -> Callable[[str], bool]:
    """Terms, quoted or not, all of which must occur; the sandbox knows no other filter patterns."""
    if re.match(r"\s*[\[{%]", pattern) or re.search(r"(^|\s)[-?]", pattern):
        raise AwsError("InvalidParameterException", "The sandbox only filters by terms.")
    try:
        terms = shlex.split(pattern)
    except ValueError:
        raise AwsError("InvalidParameterException", "Invalid filter pattern.") from None
    return lambda message: all(term in message for term in terms)
