from __future__ import annotations

import threading

import pytest
import structlog.testing
import trio
import trio.testing

from sockerless_ecs.aws.calls import THREADS, Calls, Patience, connect
from sockerless_ecs.aws.operations import (
    DESCRIBE_CLUSTERS,
    DESCRIBE_REPOSITORIES,
    DESCRIBE_TASKS,
    GET_AUTHORIZATION_TOKEN,
    GET_CALLER_IDENTITY,
    RATES,
    RUN_TASK,
    STOP_TASK,
    Rate,
)
from sockerless_ecs.errors import Misconfigured, SockerlessError, Unavailable
from tests.aws.conftest import QUICK
from tests.aws.scripted_aws import Drop, Fail, Hold, Ok, Raw, ScriptedAws


async def test_call_returns_the_answer_and_logs_operation_duration_and_request(
    calls: Calls, aws: ScriptedAws
) -> None:
    aws.answer("DescribeClusters", Ok({"clusters": [{"status": "ACTIVE"}]}))
    with structlog.testing.capture_logs() as logs:
        answer = await calls.call(DESCRIBE_CLUSTERS, clusters=["c"])
    assert answer["clusters"][0]["status"] == "ACTIVE"
    [line] = logs
    assert line["event"] == "aws_call"
    assert line["log_level"] == "debug"
    assert line["aws_operation"] == "ecs: DescribeClusters"
    assert line["aws_request_id"] == "request-1"
    assert line["duration_ms"] > 0


async def test_throttled_call_is_repeated_until_it_passes(calls: Calls, aws: ScriptedAws) -> None:
    slow_down = Fail("ThrottlingException", "Rate exceeded")
    aws.answer("DescribeTasks", slow_down, slow_down, Ok({"tasks": []}))
    assert (await calls.call(DESCRIBE_TASKS, tasks=["t"]))["tasks"] == []
    assert len(aws.requests) == 3


async def test_throttling_that_outlives_its_tries_is_unavailable_with_every_request_id(
    calls: Calls, aws: ScriptedAws
) -> None:
    aws.answer("DescribeTasks", Fail("ThrottlingException", "Rate exceeded"))
    with structlog.testing.capture_logs() as logs, pytest.raises(Unavailable) as caught:
        await calls.call(DESCRIBE_TASKS, tasks=["t"])
    assert caught.value.request_ids == tuple(aws.request_ids)
    assert len(aws.request_ids) == QUICK.tries_when_throttled
    assert caught.value.message.startswith(
        "ecs: DescribeTasks: ThrottlingException: Rate exceeded (request request-4, after 4 tries). "
    )
    assert [line["log_level"] for line in logs] == ["info", "info", "info", "warning"]
    assert logs[-1]["aws_request_id"] == "request-4"
    assert logs[-1]["aws_code"] == "ThrottlingException"


async def test_throttled_calls_share_the_slower_pace(aws: ScriptedAws) -> None:
    """One throttled answer holds everyone back who spends the same rate."""
    rates = {**RATES, "task reads": Rate(100, 20)}
    calls = await connect("us-east-1", aws.url, rates=rates, patience=QUICK)
    aws.answer("DescribeTasks", Fail("ThrottlingException"), Ok())
    began = trio.current_time()
    await calls.call(DESCRIBE_TASKS, tasks=["t"])
    assert trio.current_time() - began >= 1 / 20
    calls.close()


@pytest.mark.parametrize("hiccup", [Drop(), Fail("ServerException", status=500), Raw(b"<html>", 502)])
async def test_faltering_service_is_tried_again(
    calls: Calls, aws: ScriptedAws, hiccup: Drop | Fail | Raw
) -> None:
    aws.answer("StopTask", hiccup, Ok({"task": {}}))
    await calls.call(STOP_TASK, cluster="c", task="t", reason="r")
    assert len(aws.requests) == 2


async def test_refusal_is_not_tried_again(calls: Calls, aws: ScriptedAws) -> None:
    aws.answer(
        "StopTask", Fail("AccessDeniedException", "User u is not authorized to perform: ecs:StopTask.")
    )
    with pytest.raises(Misconfigured) as caught:
        await calls.call(STOP_TASK, cluster="c", task="t", reason="r")
    assert caught.value.message == (
        "ecs: StopTask: AccessDeniedException: User u is not authorized to perform: ecs:StopTask "
        "(request request-1). Allow it in the daemon's IAM policy (conf/iam/daemon.json lists every "
        "action it needs)"
    )
    assert caught.value.request_ids == ("request-1",)
    assert len(aws.requests) == 1


async def test_endpoint_that_nobody_listens_on_is_unavailable_and_says_what_to_check() -> None:
    calls = await connect("us-east-1", "http://127.0.0.1:1", patience=QUICK)
    with pytest.raises(Unavailable, match=r"^ecs: DescribeClusters: EndpointConnectionError: .*endpoint_url"):
        await calls.call(DESCRIBE_CLUSTERS, clusters=["c"])
    calls.close()


async def test_answer_that_never_comes_is_bounded_by_the_read_timeout(aws: ScriptedAws) -> None:
    patience = Patience(read_seconds=0.05, tries_when_unreachable=2, backoff_seconds=0.001)
    calls = await connect("us-east-1", aws.url, patience=patience)
    aws.answer("StopTask", Hold())
    with pytest.raises(Unavailable, match="ReadTimeoutError"):
        await calls.call(STOP_TASK, cluster="c", task="t", reason="r")
    assert len(aws.requests) == 2
    calls.close()


async def test_cancelled_mutation_in_flight_still_returns_its_answer(calls: Calls, aws: ScriptedAws) -> None:
    held = Hold(Ok({"tasks": [{"taskArn": "arn:t"}]}))
    aws.answer("RunTask", held)
    stored: list[str] = []
    after: list[str] = []

    async def launch() -> None:
        answer = await calls.call(RUN_TASK, taskDefinition="d")
        stored.append(answer["tasks"][0]["taskArn"])  # no checkpoint lies between
        await trio.lowlevel.checkpoint()
        after.append("never")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(launch)
        await aws.arrived("RunTask")
        nursery.cancel_scope.cancel()
        held.released.set()
    assert stored == ["arn:t"]
    assert after == []


async def test_cancelled_read_is_abandoned_at_once(calls: Calls, aws: ScriptedAws) -> None:
    held = Hold()
    aws.answer("DescribeTasks", held)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: calls.call(DESCRIBE_TASKS, tasks=["t"]))
        await aws.arrived("DescribeTasks")
        nursery.cancel_scope.cancel()
    assert not held.released.is_set()


async def test_call_cancelled_while_it_queues_for_its_rate_is_never_sent(aws: ScriptedAws) -> None:
    rates = {**RATES, "launches": Rate(1, 0.001)}
    calls = await connect("us-east-1", aws.url, rates=rates, patience=QUICK)
    aws.answer("RunTask", Ok({"tasks": []}))
    await calls.call(RUN_TASK, taskDefinition="d")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: calls.call(RUN_TASK, taskDefinition="d"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert len(aws.requests) == 1
    calls.close()


async def test_call_cancelled_while_it_backs_off_is_not_sent_again(aws: ScriptedAws) -> None:
    patience = Patience(backoff_seconds=60, longest_backoff_seconds=60)
    calls = await connect("us-east-1", aws.url, patience=patience)
    aws.answer("RunTask", Fail("ThrottlingException"))
    retried = trio.Event()

    def seen(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        retried.set()
        raise structlog.DropEvent

    with structlog.testing.capture_logs([seen]):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: calls.call(RUN_TASK, taskDefinition="d"))
            await retried.wait()
            nursery.cancel_scope.cancel()
    assert len(aws.requests) == 1
    calls.close()


async def test_no_more_calls_at_once_than_the_service_has_threads_and_no_service_stalls_another(
    aws: ScriptedAws,
) -> None:
    rates = {**RATES, "registry": Rate(100, 100)}
    calls = await connect("us-east-1", aws.url, rates=rates, patience=QUICK)
    gate = threading.Event()
    aws.answer("DescribeRepositories", Hold(Ok({"repositories": []}), gate))
    aws.answer("DescribeClusters", Ok({"clusters": []}))
    async with trio.open_nursery() as nursery:
        for _ in range(3 * THREADS["ecr"]):
            nursery.start_soon(lambda: calls.call(DESCRIBE_REPOSITORIES))
        await aws.arrived("DescribeRepositories", THREADS["ecr"])
        await calls.call(DESCRIBE_CLUSTERS, clusters=["c"])
        assert len(aws.params("DescribeRepositories")) == THREADS["ecr"]
        gate.set()
    assert len(aws.params("DescribeRepositories")) == 3 * THREADS["ecr"]
    assert aws.most_at_once == THREADS["ecr"] + 1
    calls.close()


async def test_missing_credentials_are_one_clear_message(
    aws: ScriptedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    calls = await connect("us-east-1", aws.url, patience=QUICK)
    with pytest.raises(Misconfigured, match=r"NoCredentialsError: .*Give the daemon AWS credentials: AWS"):
        await calls.call(GET_CALLER_IDENTITY)
    calls.close()


async def test_unknown_profile_is_one_clear_message(
    aws: ScriptedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Misconfigured, match=r"ProfileNotFound: .*\(nobody\) could not be found\. Give the"):
        await connect("us-east-1", aws.url)


async def test_endpoint_that_is_no_url_is_misconfigured() -> None:
    with pytest.raises(Misconfigured, match="Invalid endpoint: not a url"):
        await connect("us-east-1", "not a url")


async def test_wrong_parameters_are_our_defect_and_keep_their_words(calls: Calls) -> None:
    with pytest.raises(SockerlessError, match=r"ParamValidationError.*Missing required.*defect") as caught:
        await calls.call(RUN_TASK)
    assert type(caught.value) is SockerlessError


async def test_no_parameter_or_answer_is_logged(calls: Calls, aws: ScriptedAws) -> None:
    """A RunTask carries the agent's token, an ECR answer the registry's password."""
    aws.answer("RunTask", Fail("ServerException", status=500), Ok({"tasks": []}))
    aws.answer("GetAuthorizationToken", Ok({"authorizationData": [{"authorizationToken": "hush-2"}]}))
    environment = [{"name": "SOCKERLESS_TOKEN", "value": "hush-1"}]
    overrides = {"containerOverrides": [{"name": "main", "environment": environment}]}
    with structlog.testing.capture_logs() as logs:
        await calls.call(RUN_TASK, taskDefinition="d", overrides=overrides)
        await calls.call(GET_AUTHORIZATION_TOKEN)
    assert len(logs) == 3
    assert "hush" not in repr(logs)
    assert "a-secret-key" not in repr(logs)


@pytest.mark.parametrize(
    ("endpoint_url", "inject"),
    [
        (None, True),
        ("https://aws.example.test", True),
        ("http://127.0.0.1:4566", False),
        ("http://[::1]:4566", False),
        ("http://localhost:4566", False),
    ],
)
async def test_operation_prefixes_are_put_before_names_but_not_before_addresses(
    endpoint_url: str | None, inject: bool
) -> None:
    calls = await connect("us-east-1", endpoint_url)
    for client in calls._clients.values():
        assert client.meta.config.inject_host_prefix is inject
    calls.close()
