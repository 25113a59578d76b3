"""Where an image is pulled from: what its name says, unless a rule says another place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.model.reference import parse
from sockerless_ecs.model.sources import Sources

RULES = {
    "docker.io/library": "public.ecr.aws/docker/library",
    "docker.io": "123456789012.dkr.ecr.us-east-1.amazonaws.com/docker-hub",
    "quay.io/team/": "mirror.example:5000/",
}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("alpine:3", "public.ecr.aws/docker/library/alpine:3"),
        ("me/tool", "123456789012.dkr.ecr.us-east-1.amazonaws.com/docker-hub/me/tool:latest"),
        ("library/alpine", "public.ecr.aws/docker/library/alpine:latest"),
        ("quay.io/team/x:1", "mirror.example:5000/x:1"),
        ("quay.io/teams/x:1", "quay.io/teams/x:1"),
        ("quay.io/x", "quay.io/x:latest"),
        ("alpine@sha256:" + "1" * 64, "public.ecr.aws/docker/library/alpine@sha256:" + "1" * 64),
    ],
)
def test_the_longest_rule_that_fits_decides(name: str, place: str) -> None:
    assert Sources(RULES).place(parse(name)).full == place


@given(st.from_regex(r"(?:[a-z]{1,5}\.io/)?[a-z]{1,5}(?:/[a-z]{1,5})?(?::[a-z0-9]{1,5})?", fullmatch=True))
def test_without_rules_everything_is_where_its_name_says(name: str) -> None:
    reference = parse(name)
    assert Sources({}).place(reference) == reference


@given(st.from_regex(r"[a-z]{1,5}(?:/[a-z]{1,5}){0,2}(?::[a-z0-9]{1,5})?", fullmatch=True))
def test_a_rule_keeps_the_tag_and_makes_a_name_that_reads_back(name: str) -> None:
    reference = parse(name)
    placed = Sources(RULES).place(reference)
    assert placed.tag == reference.tag
    assert parse(placed.full).name == placed.name
