"""Lists hold what a client asked for, as Docker understands the question."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.errors import InvalidParameter, NotFound
from sockerless_ecs.model import filters
from sockerless_ecs.model.container import Container, ContainerConfig, ContainerId, HostConfig
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.filters import check, container_filter, match_container, match_event, match_labels
from sockerless_ecs.model.lifecycle import State

ID = ContainerId("ab12" * 16)
IMAGE_ID = "sha256:" + "cd34" * 16


class View:
    """Two containers and one image with two names."""

    def image_names(self, image_id: str, /) -> Collection[str]:
        return ("docker.io/library/alpine:3", "ghcr.io/a/b:latest") if image_id == IMAGE_ID else ()

    def created_ns(self, ref: str, /) -> int:
        try:
            return {"old": 10, "new": 30}[ref]
        except KeyError:
            raise NotFound(f"No such container: {ref}") from None

    def health(self, container: Container, /) -> str:
        return "healthy" if container.name == "web-1" else "none"


def container(
    *,
    name: str = "web-1",
    state: State = State.RUNNING,
    exit_code: int = 0,
    network_mode: str = "default",
    labels: Mapping[str, str] | None = None,
) -> Container:
    config = ContainerConfig(
        image="alpine:3",
        labels={"env": "ci", "empty": ""} if labels is None else labels,
        exposed_ports=("80/tcp", "53/udp"),
        volumes=("/data",),
    )
    return Container(
        id=ID,
        name=name,
        created_ns=20,
        config=config,
        host=HostConfig(network_mode=network_mode),
        image_id=IMAGE_ID,
        image_digest="sha256:" + "e" * 64,
        image_pull="docker.io/library/alpine@sha256:" + "e" * 64,
        architecture="amd64",
        task_definition_arn="",
        state=state,
        exit_code=exit_code,
    )


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("ancestor", ["alpine:3"], True),
        ("ancestor", ["alpine"], False),
        ("ancestor", ["ghcr.io/a/b"], True),
        ("ancestor", [IMAGE_ID], True),
        ("ancestor", ["cd34cd34cd34"], True),
        ("ancestor", ["Not A Name"], False),
        ("ancestor", ["nope", "alpine:3"], True),
        ("before", ["new"], True),
        ("before", ["old"], False),
        ("since", ["old"], True),
        ("since", ["new"], False),
        ("exited", ["0"], False),
        ("expose", ["80"], True),
        ("expose", ["79-81/tcp"], True),
        ("expose", ["53"], False),
        ("expose", ["53/udp"], True),
        ("publish", ["80"], False),
        ("health", ["healthy"], True),
        ("health", ["none", "starting"], False),
        ("id", [ID[:6]], True),
        ("id", ["ff"], False),
        ("is-task", ["false"], True),
        ("is-task", ["1"], False),
        ("label", ["env"], True),
        ("label", ["env=ci", "empty"], True),
        ("label", ["env=ci", "other"], False),
        ("label", ["empty="], True),
        ("label", ["env="], False),
        ("name", ["web"], True),
        ("name", ["^/web-1$"], True),
        ("name", ["^web-[0-9]+$"], True),
        ("name", ["^eb"], False),
        ("name", ["("], False),
        ("name", ["[[w]"], True),
        ("name", ["w{99999999999}"], False),
        ("name", ["other", "web-1"], True),
        ("network", ["bridge"], True),
        ("network", ["mine"], False),
        ("status", ["running"], True),
        ("status", ["created", "exited"], False),
        ("volume", ["/data"], True),
        ("volume", ["data"], False),
        ("status", [], True),
    ],
)
def test_running_container_passes_or_not(name: str, values: Sequence[str], expected: bool) -> None:
    assert match_container(container(), {name: values}, View()) is expected


def test_exited_looks_at_the_code_of_what_ended() -> None:
    ended = container(state=State.EXITED, exit_code=137)
    assert match_container(ended, {"exited": ["0", "137"]}, View())
    assert not match_container(ended, {"exited": ["0"]}, View())
    assert not match_container(container(state=State.CREATED), {"exited": ["0"]}, View())


def test_starting_container_counts_as_created() -> None:
    assert match_container(container(state=State.STARTING), {"status": ["created"]}, View())


def test_restart_by_the_policy_is_restarting_until_its_process_runs() -> None:
    waits = container(state=State.RESTARTING)
    starts = replace(container(state=State.STARTING), by_policy=True)
    for one in (waits, starts):
        assert match_container(one, {"status": ["restarting"]}, View())
        assert one.active
    assert not match_container(starts, {"status": ["created"]}, View())
    assert not replace(starts, by_policy=False).active


def test_all_filters_must_pass() -> None:
    assert match_container(container(), {"name": ["web"], "status": ["running"]}, View())
    assert not match_container(container(), {"name": ["web"], "status": ["exited"]}, View())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"colour": ["red"]}, "invalid filter 'colour'"),
        ({"label!": ["x"]}, "invalid filter 'label!'"),
        ({"status": ["asleep"]}, "invalid filter 'status=asleep'"),
        ({"health": ["fine"]}, "invalid filter 'health=fine'"),
        ({"exited": ["x"]}, "invalid filter 'exited=x'"),
        ({"is-task": ["maybe"]}, "invalid filter 'is-task=maybe'"),
        ({"expose": ["0"]}, "invalid filter 'expose=0'"),
        ({"publish": ["9-8"]}, "invalid filter 'publish=9-8'"),
        ({"expose": ["80/http"]}, "invalid filter 'expose=80/http'"),
    ],
)
def test_wrong_filters_are_refused_even_for_an_empty_list(
    asked: Mapping[str, Sequence[str]], message: str
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        container_filter(asked, View())
    assert str(refused.value) == message


@pytest.mark.parametrize("name", ["before", "since"])
def test_unknown_container_in_before_and_since_is_not_found(name: str) -> None:
    with pytest.raises(NotFound, match="No such container: x"):
        container_filter({name: ["x"]}, View())


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|aa)+$", "((a*))*x", ".*.*.*.*.*.*x", "a?" * 25 + "a" * 25, "(a){5,}x", "a" * 257],
)
def test_no_expression_can_hold_the_daemon_up(pattern: str) -> None:
    begun = time.process_time()
    with pytest.raises(InvalidParameter, match="too costly"):
        match_container(container(name="a" * 60 + "!"), {"name": [pattern]}, View())
    assert time.process_time() - begun < 1


@given(st.text(alphabet="a.*+?()[]{}|^$\\0,1", max_size=20))
def test_any_name_expression_is_answered_or_refused(pattern: str) -> None:
    try:
        match_container(container(name="a" * 40), {"name": [pattern]}, View())
    except InvalidParameter:
        return


def test_status_alone_brings_up_what_does_not_run() -> None:
    assert filters.includes_stopped({"status": ["exited"]})
    assert not filters.includes_stopped({"status": [], "name": ["x"]})


def test_labels_must_all_match_and_unwanted_ones_must_not() -> None:
    labels = {"a": "1", "b": ""}
    assert match_labels(labels, {})
    assert match_labels(labels, {"label": ["a=1", "b"]})
    assert not match_labels(labels, {"label": ["a=2"]})
    assert not match_labels(labels, {"label!": ["a"]})
    assert match_labels(labels, {"label!": ["a", "c"]})


def test_prune_takes_what_is_older_and_not_spared() -> None:
    second = 10**9
    passes = filters.prune_filter({"until": ["10s"], "label!": ["keep"]}, 100 * second)
    assert passes({}, 90 * second)
    assert not passes({}, 90 * second + 1)
    assert not passes({"keep": "yes"}, 0)


@pytest.mark.parametrize("asked", [{"until": ["1s", "2s"]}, {"until": ["soon"]}, {"name": ["x"]}])
def test_wrong_prune_filters_are_refused(asked: Mapping[str, Sequence[str]]) -> None:
    with pytest.raises(InvalidParameter):
        filters.prune_filter(asked, 0)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [(None, None), ([], None), (["true"], True), (["1"], True), (["0", "false"], False), (["x", "1"], True)],
)
def test_a_filter_may_be_true_or_false(values: list[str] | None, wanted: bool | None) -> None:
    asked = {} if values is None else {"dangling": values}
    assert filters.yes_or_no(asked, "dangling") is wanted


@pytest.mark.parametrize("values", [["maybe"], ["TRUE"], ["true", "false"], [""]])
def test_a_filter_that_is_neither_true_nor_false_is_refused_in_docker_s_words(values: list[str]) -> None:
    with pytest.raises(InvalidParameter) as refused:
        filters.yes_or_no({"dangling": values}, "dangling")
    assert str(refused.value) == f"invalid filter 'dangling=[{' '.join(values)}]'"


def test_other_lists_have_their_own_filters() -> None:
    check({"driver": [], "type": []}, filters.NETWORK)
    check({"dangling": []}, filters.VOLUME)
    check({"reference": []}, filters.IMAGE)
    with pytest.raises(InvalidParameter, match="invalid filter 'status'"):
        check({"status": ["x"]}, filters.NETWORK)


def event(kind: str, action: str, actor: str = ID, **attributes: str) -> EngineEvent:
    return EngineEvent(type=kind, action=action, actor_id=actor, time_ns=1, attributes=attributes)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, True),
        ({"type": ["container"]}, True),
        ({"type": ["image", "network"]}, False),
        ({"event": ["die", "health_status"]}, True),
        ({"event": ["health_status: healthy"]}, True),
        ({"event": ["health_status: unhealthy"]}, False),
        ({"container": ["web"]}, True),
        ({"container": [ID[:12]]}, True),
        ({"container": ["db"]}, False),
        ({"image": ["alpine"]}, True),
        ({"image": ["alpine:3"]}, True),
        ({"image": ["busybox"]}, False),
        ({"label": ["com.docker.compose.project=p"]}, True),
        ({"label": ["com.docker.compose.project=q"]}, False),
        ({"network": ["web"]}, False),
        ({"volume": ["web"]}, False),
        ({"daemon": ["web"]}, False),
        ({"scope": ["local"]}, True),
        ({"scope": ["swarm"]}, False),
        ({"type": ["container"], "event": ["start"]}, False),
    ],
)
def test_container_event_passes_or_not(asked: Mapping[str, Sequence[str]], expected: bool) -> None:
    attributes = {"name": "web-1", "image": "alpine:3", "com.docker.compose.project": "p"}
    assert match_event(event("container", "health_status: healthy", **attributes), asked) is expected


def test_image_events_go_by_their_names() -> None:
    pulled = event("image", "pull", "alpine:3", name="alpine")
    assert match_event(pulled, {"image": ["alpine"]})
    assert match_event(pulled, {"image": ["alpine:3"]})
    assert not match_event(pulled, {"container": ["alpine"]})


def test_unknown_event_filter_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="invalid filter 'colour'"):
        match_event(event("container", "die"), {"colour": ["red"]})
