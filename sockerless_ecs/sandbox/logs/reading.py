"""GetLogEvents and FilterLogEvents: pages of events, by AWS's rules for where a page ends."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice
from typing import Any

from sockerless_ecs.sandbox.logs.store import Events, LogEvent, LogStore, Stream
from sockerless_ecs.sandbox.wire.call import AwsError

_MOST_EVENTS = 10_000
_MOST_BYTES = 1 << 20
_MOST_SCANNED = 1_000_000
_EVENT_OVERHEAD = 26
_TOKEN = re.compile(r"([fb])/(\d{56})/s")


class LogReading:
    """Reads what the store has."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def get_events(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """GetLogEvents. It is finished only when the forward token comes back as it was sent."""
        limit = params.get("limit", _MOST_EVENTS)
        token = params.get("nextToken")
        forward, position = _parsed(token) if token else (bool(params.get("startFromHead")), 0)
        stream = self._store.stream(_group_name(params), params["logStreamName"])
        # A page from the head needs no more than its own events, however much there is.
        whole = "startTime" in params or not (token or forward)
        stream.catch_up(None if whole else position + limit)
        with self._store.lock:
            low, high = _window(stream.events, params)
            if token:
                low, high = (max(low, position), high) if forward else (low, min(high, position))
            if forward:
                page = _fitting(stream.events.forward(low, high), limit)
                start, end = low, low + len(page)
            else:
                page = _fitting(stream.events.backward(low, high), limit)[::-1]
                start, end = max(high - len(page), 0), max(high, low)
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
            stream.catch_up(None)
        with self._store.lock:
            copies = [(stream.name, stream.events.copy()) for stream in streams]
        rows = merge(
            *(_rows(name, events, params) for name, events in copies), key=lambda row: row[1].timestamp
        )
        found: list[dict[str, Any]] = []
        size = 0
        more = False
        for number, (name, event, index) in enumerate(rows):
            if number < skip:
                continue
            size += len(event.message) + _EVENT_OVERHEAD if (matching := matches(event.message)) else 0
            if len(found) >= limit or size > _MOST_BYTES or number - skip >= _MOST_SCANNED:
                more, skip = True, number
                break
            if matching:
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


def _window(events: Events, params: Mapping[str, Any]) -> tuple[int, int]:
    """The numbers of the events from startTime (included) to endTime (excluded)."""
    start, end = params.get("startTime"), params.get("endTime")
    low = events.first if start is None else events.since(start)
    return low, events.end if end is None else events.since(end)


def _fitting(events: Iterable[LogEvent], limit: int) -> list[LogEvent]:
    """As many as a page holds, but one at least."""
    page: list[LogEvent] = []
    size = 0
    for event in islice(events, limit):
        size += len(event.message.encode()) + _EVENT_OVERHEAD
        if size > _MOST_BYTES and page:
            break
        page.append(event)
    return page


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


def _rows(name: str, events: Events, params: Mapping[str, Any]) -> Iterator[tuple[str, LogEvent, int]]:
    low, high = _window(events, params)
    for index, event in enumerate(events.forward(low, high), low):
        yield name, event, index


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
