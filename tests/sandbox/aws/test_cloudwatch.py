"""CloudWatch Logs: the awslogs driver, and pages by AWS's rules."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sockerless_ecs.sandbox.launch import LOG_GROUP
from tests.sandbox.aws.account import FOREVER, Account, eventually, refused


@pytest.fixture
def stream(aws: Account, request: pytest.FixtureRequest) -> str:
    """An empty stream of its own."""
    name = f"test/{request.node.name.replace(':', '')}"
    aws.logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=name)
    return name


def put(aws: Account, stream: str, messages: list[str]) -> None:
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": message} for message in messages]
    aws.logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)


def get(aws: Account, stream: str, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = aws.logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, **fields)
    return answer


def test_lines_arrive_whole_and_in_order_without_the_empty_ones(aws: Account) -> None:
    arn = aws.start("printf 'one\\n\\ntwo\\n'; printf 'no end'")
    aws.until(arn, "STOPPED")
    assert eventually(lambda: len(found := aws.lines(arn)) == 3 and found) == ["one", "two", "no end"]


def test_lines_are_late_by_the_configured_delay(paced: Account) -> None:
    arn = paced.start(f"echo early; {FOREVER}")
    paced.until(arn, "RUNNING")
    assert paced.lines(arn) == []
    assert eventually(lambda: paced.lines(arn), every_seconds=0.1) == ["early"]
    paced.stop(arn)


def test_many_lines_lose_none(aws: Account) -> None:
    arn = aws.start("seq 1 25000")
    aws.until(arn, "STOPPED")
    name = f"sockerless/main/{arn.rsplit('/', 1)[1]}"

    def everything() -> list[str]:
        found, token = [], None
        while True:
            more = {"nextToken": token} if token else {"startFromHead": True}
            page = get(aws, name, **more)
            found += [event["message"] for event in page["events"]]
            if page["nextForwardToken"] == token:
                return found
            token = page["nextForwardToken"]

    assert eventually(lambda: len(found := everything()) == 25000 and found) == [
        str(n) for n in range(1, 25001)
    ]
    times = [event["timestamp"] for event in get(aws, name, startFromHead=True)["events"]]
    assert times == sorted(times)


def test_page_has_at_most_10_000_events_and_ends_when_the_token_repeats(aws: Account, stream: str) -> None:
    for start in (0, 6000):
        put(aws, stream, [str(number) for number in range(start, start + 6000)])
    first = get(aws, stream, startFromHead=True)
    second = get(aws, stream, nextToken=first["nextForwardToken"])
    third = get(aws, stream, nextToken=second["nextForwardToken"])
    assert [len(page["events"]) for page in (first, second, third)] == [10000, 2000, 0]
    assert third["nextForwardToken"] == second["nextForwardToken"]
    put(aws, stream, ["later"])
    assert [
        event["message"] for event in get(aws, stream, nextToken=third["nextForwardToken"])["events"]
    ] == ["later"]
    tail = get(aws, stream, limit=2)
    assert [event["message"] for event in tail["events"]] == ["11999", "later"]
    before = get(aws, stream, limit=2, nextToken=tail["nextBackwardToken"])
    assert [event["message"] for event in before["events"]] == ["11997", "11998"]


def test_page_has_at_most_a_megabyte(aws: Account, stream: str) -> None:
    for _ in range(2):
        put(aws, stream, ["x" * 200_000] * 4)
    first = get(aws, stream, startFromHead=True)
    assert len(first["events"]) == 5
    assert len(get(aws, stream, nextToken=first["nextForwardToken"])["events"]) == 3


def test_filter_log_events_finds_terms_across_streams(aws: Account, stream: str) -> None:
    put(aws, stream, ["alpha beta", "alpha", "beta gamma"])
    answer = aws.logs.filter_log_events(
        logGroupName=LOG_GROUP, logStreamNames=[stream], filterPattern='"alpha beta"'
    )
    assert [event["message"] for event in answer["events"]] == ["alpha beta"]
    first = aws.logs.filter_log_events(logGroupName=LOG_GROUP, logStreamNamePrefix=stream, limit=2)
    rest = aws.logs.filter_log_events(
        logGroupName=LOG_GROUP, logStreamNamePrefix=stream, nextToken=first["nextToken"]
    )
    assert [event["message"] for event in rest["events"]] == ["beta gamma"]


def test_bad_tokens_batches_and_names_are_refused(aws: Account, stream: str) -> None:
    with refused("InvalidParameterException", "nextToken"):
        get(aws, stream, nextToken="f/1/s")
    with refused("ResourceNotFoundException", "log stream"):
        get(aws, "nowhere")
    with refused("ResourceNotFoundException", "log group"):
        aws.logs.get_log_events(logGroupName="/nowhere", logStreamName="x")
    with refused("ResourceAlreadyExistsException"):
        aws.logs.create_log_group(logGroupName=LOG_GROUP)
    with refused("InvalidParameterException", "chronological"):
        events = [{"timestamp": time_, "message": "x"} for time_ in (2, 1)]
        aws.logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)
    with refused("InvalidParameterException", "pattern"):
        aws.logs.create_log_group(logGroupName="not valid")
    with refused("InvalidParameterException", "retentionInDays"):
        aws.logs.put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=2)


def test_groups_and_streams_are_described_in_pages(aws: Account) -> None:
    aws.logs.create_log_group(logGroupName="/paged", tags={"a": "b"})
    aws.logs.put_retention_policy(logGroupName="/paged", retentionInDays=7)
    for number in range(3):
        aws.logs.create_log_stream(logGroupName="/paged", logStreamName=f"s{number}")
    pages = aws.logs.get_paginator("describe_log_streams").paginate(
        logGroupName="/paged", PaginationConfig={"PageSize": 2}
    )
    assert [item["logStreamName"] for page in pages for item in page["logStreams"]] == ["s0", "s1", "s2"]
    group = aws.logs.describe_log_groups(logGroupNamePrefix="/pag")["logGroups"][0]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/paged", 7)
    assert aws.logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] == {"a": "b"}
    aws.logs.delete_log_group(logGroupName="/paged")
    assert aws.logs.describe_log_groups(logGroupNamePrefix="/pag")["logGroups"] == []
