"""Docker's rules for what a container takes from its image, and for what it may be called."""

from __future__ import annotations

import re

import pytest

from sockerless_ecs.engine.merging import filled, image_config, merged
from sockerless_ecs.engine.naming import checked, invented
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.container import ContainerConfig, ContainerId, Healthcheck
from sockerless_ecs.model.image import ImageConfig

ID = ContainerId("0123456789abcdef" * 4)
Words = tuple[str, ...] | None
E, C = ("entry",), ("cmd",)
MY_E, MY_C = ("mine",), ("arg",)


@pytest.mark.parametrize(
    ("own", "image", "expected"),
    [
        # (entrypoint, cmd) of the request, of the image → what runs
        ((None, None), (E, C), (E, C)),
        ((None, MY_C), (E, C), (E, MY_C)),
        ((MY_E, None), (E, C), (MY_E, None)),
        ((MY_E, MY_C), (E, C), (MY_E, MY_C)),
        (((), None), (E, C), ((), C)),
        (((), MY_C), (E, C), ((), MY_C)),
        ((("",), None), (None, C), (None, None)),
        ((("",), MY_C), (E, C), (None, MY_C)),
        ((None, ()), (E, C), (E, C)),
        ((None, None), (None, C), (None, C)),
        ((None, None), (E, None), (E, None)),
        ((None, MY_C), (None, None), (None, MY_C)),
    ],
)
def test_entrypoint_and_command_follow_docker_s_table(
    own: tuple[Words, Words], image: tuple[Words, Words], expected: tuple[Words, Words]
) -> None:
    config = ContainerConfig(image="i", entrypoint=own[0], cmd=own[1])
    of_image = ImageConfig(entrypoint=image[0], cmd=image[1])
    if not expected[0] and not expected[1]:
        with pytest.raises(InvalidParameter, match="no command specified"):
            merged(config, of_image, ID)
        return
    result = merged(config, of_image, ID)
    assert (result.entrypoint, result.cmd) == expected


def run(config: ContainerConfig, image: ImageConfig) -> ContainerConfig:
    return merged(config, image, ID)


def test_environment_is_the_request_s_and_then_what_the_image_adds() -> None:
    result = run(
        ContainerConfig(image="i", cmd=C, env=("B=mine", "NEW=1", "GONE", "EMPTY=")),
        ImageConfig(env=("A=1", "B=2", "GONE=3", "C=a=b")),
    )
    assert result.env == ("B=mine", "NEW=1", "GONE", "EMPTY=", "A=1", "C=a=b")
    assert result.variables == ("B=mine", "NEW=1", "EMPTY=", "A=1", "C=a=b")


def test_a_name_without_a_value_takes_away_the_image_s_variable_and_not_the_request_s() -> None:
    result = run(
        ContainerConfig(image="i", cmd=C, env=("A=1", "A", "B", "B=2", "C")), ImageConfig(env=("A=9", "C=9"))
    )
    assert result.variables == ("A=1", "B=2")


def test_labels_ports_and_volumes_are_united() -> None:
    result = run(
        ContainerConfig(
            image="i", cmd=C, labels={"a": "mine"}, exposed_ports=("80/tcp", "90/tcp"), volumes=("/data",)
        ),
        ImageConfig(labels={"a": "1", "b": "2"}, exposed_ports=("80/tcp",), volumes=("/data", "/cache")),
    )
    assert result.labels == {"a": "mine", "b": "2"}
    assert result.exposed_ports == ("80/tcp", "90/tcp")
    assert result.volumes == ("/data", "/cache")


def test_what_the_request_leaves_open_comes_from_the_image() -> None:
    image = ImageConfig(user="app", working_dir="/srv", stop_signal="SIGINT")
    result = run(ContainerConfig(image="i", cmd=C), image)
    assert (result.user, result.working_dir, result.stop_signal) == ("app", "/srv", "SIGINT")
    own = ContainerConfig(image="i", cmd=C, user="me", working_dir="/w", stop_signal="9", hostname="h")
    result = run(own, image)
    assert (result.user, result.working_dir, result.stop_signal) == ("me", "/w", "9")
    assert result.hostname == "h"


def test_hostname_is_the_short_id_when_nobody_says() -> None:
    assert run(ContainerConfig(image="i", cmd=C), ImageConfig()).hostname == "0123456789ab"


def test_health_check_is_inherited_value_by_value() -> None:
    theirs = Healthcheck(test=("CMD", "true"), interval_ns=1, timeout_ns=2, retries=3)
    assert run(ContainerConfig(image="i", cmd=C), ImageConfig()).healthcheck is None
    assert run(ContainerConfig(image="i", cmd=C), ImageConfig(healthcheck=theirs)).healthcheck == theirs
    mine = ContainerConfig(image="i", cmd=C, healthcheck=Healthcheck(timeout_ns=9))
    assert run(mine, ImageConfig(healthcheck=theirs)).healthcheck == Healthcheck(
        test=("CMD", "true"), interval_ns=1, timeout_ns=9, retries=3
    )
    assert run(mine, ImageConfig()).healthcheck == Healthcheck(timeout_ns=9)


@pytest.mark.parametrize("name", ["web", "/web", "a1", "A_b.c-d", "0x", "a" * 300])
def test_good_names_lose_their_slash(name: str) -> None:
    assert checked(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["", "a", "/", "//web", "-web", ".web", "we b", "web/", "wéb", "web\n"])
def test_bad_names_are_refused_in_docker_s_words(name: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        checked(name)
    assert raised.value.message == (
        f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )


def test_invented_names_are_good_names() -> None:
    names = [invented() for _ in range(200)]
    assert all(re.fullmatch(r"[a-z]+_[a-z]+\d{1,4}", checked(name)) for name in names)
    assert len(set(names)) > 190


def test_configuration_to_commit_takes_from_the_container_what_it_leaves_open() -> None:
    container = image_config(
        ContainerConfig(
            image="x",
            hostname="box",
            user="me",
            env=("A=1", "B=2"),
            cmd=("c",),
            entrypoint=("e",),
            working_dir="/w",
            labels={"a": "b"},
            exposed_ports=("80/tcp",),
            volumes=("/v",),
            stop_signal="SIGINT",
            healthcheck=Healthcheck(test=("CMD", "x"), interval_ns=5, retries=2),
        )
    )
    assert filled(ImageConfig(), container) == container
    own = ImageConfig(
        user="you",
        env=("B=3",),
        cmd=("d",),
        entrypoint=(),
        labels={"a": "c"},
        exposed_ports=("81/tcp",),
        healthcheck=Healthcheck(interval_ns=7),
        on_build=("RUN x",),
    )
    made = filled(own, container)
    assert (made.user, made.env, made.cmd, made.entrypoint) == ("you", ("B=3", "A=1"), ("d",), ())
    assert (made.labels, made.exposed_ports) == ({"a": "c"}, ("80/tcp", "81/tcp"))
    assert made.healthcheck == Healthcheck(test=("CMD", "x"), interval_ns=7, retries=2)
    assert (made.volumes, made.stop_signal, made.working_dir) == (("/v",), "SIGINT", "/w")
    assert made.on_build == ("RUN x",)


def test_entrypoint_of_its_own_does_without_the_containers_command() -> None:
    container = ImageConfig(cmd=("c",), entrypoint=("e",))
    assert filled(ImageConfig(entrypoint=("x",)), container).cmd is None
    assert filled(ImageConfig(cmd=("y",)), container) == ImageConfig(cmd=("y",), entrypoint=("e",))
