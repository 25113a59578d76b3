"""CloudWatch Logs' operations by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sockerless_ecs.sandbox.logs.reading import LogReading
from sockerless_ecs.sandbox.logs.store import Group, LogEvent, LogStore, Stream, block, now_ms
from sockerless_ecs.sandbox.wire.call import AwsError

_LONGEST_EVENT = 1 << 20
_LONGEST_BATCH = 1 << 20
_EVENT_OVERHEAD = 26
_DAY_MS = 86_400_000
_OLDEST_DAYS, _NEWEST_MS = 14, 7_200_000
_RETENTIONS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


class Logs:
    """The operations on log groups, streams and events."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        reading = LogReading(store)
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "CreateLogGroup": self._create_group,
            "DeleteLogGroup": self._delete_group,
            "DescribeLogGroups": self._describe_groups,
            "PutRetentionPolicy": self._retain,
            "DeleteRetentionPolicy": self._retain,
            "CreateLogStream": self._create_stream,
            "DeleteLogStream": self._delete_stream,
            "DescribeLogStreams": self._describe_streams,
            "PutLogEvents": self._put,
            "GetLogEvents": reading.get_events,
            "FilterLogEvents": reading.filter_events,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": lambda params: {"tags": store.group(params["resourceArn"]).tags},
        }

    def _create_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._store.create_group(params["logGroupName"], dict(params.get("tags") or {}))
        return {}

    def _delete_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._store.lock:
            del self._store.groups[self._store.group(params["logGroupName"]).name]
        return {}

    def _describe_groups(self, params: Mapping[str, Any]) -> dict[str, Any]:
        prefix, pattern = params.get("logGroupNamePrefix") or "", params.get("logGroupNamePattern") or ""
        with self._store.lock:
            groups = [
                group
                for name, group in sorted(self._store.groups.items())
                if name.startswith(prefix) and pattern.lower() in name.lower()
            ]
        return _page([_group_shown(group) for group in groups], "logGroups", params)

    def _retain(self, params: Mapping[str, Any]) -> dict[str, Any]:
        days = params.get("retentionInDays")
        if days is not None and days not in _RETENTIONS:
            raise AwsError(
                "InvalidParameterException", f"retentionInDays must be one of {list(_RETENTIONS)}."
            )
        self._store.group(params["logGroupName"]).retention_days = days
        return {}

    def _create_stream(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._store.create_stream(params["logGroupName"], params["logStreamName"])
        return {}

    def _delete_stream(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._store.lock:
            self._store.stream(params["logGroupName"], params["logStreamName"])
            del self._store.group(params["logGroupName"]).streams[params["logStreamName"]]
        return {}

    def _describe_streams(self, params: Mapping[str, Any]) -> dict[str, Any]:
        by_time = params.get("orderBy") == "LastEventTime"
        prefix = params.get("logStreamNamePrefix") or ""
        if by_time and prefix:
            raise AwsError(
                "InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix."
            )
        with self._store.lock:
            group = self._store.group(params.get("logGroupName") or params.get("logGroupIdentifier") or "")
            streams = [stream for name, stream in group.streams.items() if name.startswith(prefix)]
        for stream in streams:
            stream.catch_up(None)
        with self._store.lock:
            streams.sort(key=_last_time if by_time else _name, reverse=bool(params.get("descending")))
            return _page([_stream_shown(stream) for stream in streams], "logStreams", params)

    def _put(self, params: Mapping[str, Any]) -> dict[str, Any]:
        events = params["logEvents"]
        size = sum(len(event["message"].encode()) + _EVENT_OVERHEAD for event in events)
        if size > _LONGEST_BATCH:
            raise AwsError(
                "InvalidParameterException",
                f"Upload too large: {size} bytes exceeds limit of {_LONGEST_BATCH}",
            )
        times = [event["timestamp"] for event in events]
        if times != sorted(times):
            raise AwsError(
                "InvalidParameterException",
                "Log events in a single PutLogEvents request must be in chronological order.",
            )
        now = now_ms()
        oldest, newest = now - _OLDEST_DAYS * _DAY_MS, now + _NEWEST_MS
        accepted = [
            LogEvent(event["timestamp"], event["message"], now)
            for event in events
            if oldest <= event["timestamp"] <= newest
        ]
        with self._store.lock:
            stream = self._store.stream(params["logGroupName"], params["logStreamName"])
            for event in accepted:
                stream.events.append(block(event))
        answer: dict[str, Any] = {"nextSequenceToken": f"{now:056d}"}
        rejected: dict[str, int] = {}
        if too_old := sum(time < oldest for time in times):
            rejected["tooOldLogEventEndIndex"] = too_old
        if too_new := sum(time > newest for time in times):
            rejected["tooNewLogEventStartIndex"] = len(times) - too_new
        return answer | {"rejectedLogEventsInfo": rejected} if rejected else answer

    def _tag(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._store.group(params["resourceArn"]).tags.update(params["tags"])
        return {}

    def _untag(self, params: Mapping[str, Any]) -> dict[str, Any]:
        tags = self._store.group(params["resourceArn"]).tags
        for key in params["tagKeys"]:
            tags.pop(key, None)
        return {}


def _name(stream: Stream) -> tuple[int, str]:
    return 0, stream.name


def _last_time(stream: Stream) -> tuple[int, str]:
    edges = stream.events.edges
    return edges[1].timestamp if edges else 0, stream.name


def _group_shown(group: Group) -> dict[str, Any]:
    shown = {
        "logGroupName": group.name,
        "creationTime": group.created,
        "metricFilterCount": 0,
        "arn": f"{group.arn}:*",
        "logGroupArn": group.arn,
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
    }
    return shown | {"retentionInDays": group.retention_days} if group.retention_days else shown


def _stream_shown(stream: Stream) -> dict[str, Any]:
    shown = {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "arn": stream.arn,
        "storedBytes": 0,
        "uploadSequenceToken": "0" * 56,
    }
    edges = stream.events.edges
    if edges is None:
        return shown
    first, last = edges
    return shown | {
        "firstEventTimestamp": first.timestamp,
        "lastEventTimestamp": last.timestamp,
        "lastIngestionTime": last.ingested,
    }


def _page(items: list[dict[str, Any]], key: str, params: Mapping[str, Any]) -> dict[str, Any]:
    token, limit = params.get("nextToken") or "0", params.get("limit", 50)
    if not token.isdecimal():
        raise AwsError("InvalidParameterException", "The specified nextToken is invalid.")
    start = int(token)
    answer: dict[str, Any] = {key: items[start : start + limit]}
    return answer | {"nextToken": str(start + limit)} if start + limit < len(items) else answer
