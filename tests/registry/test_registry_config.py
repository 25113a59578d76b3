"""Configuration files that are written read back as what they were written from."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.model.container import Healthcheck
from sockerless_ecs.model.image import ImageConfig
from sockerless_ecs.registry import Platform
from sockerless_ecs.registry.config import ConfigFile, Step, created_at, read_config, write_config

_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_WORDS = st.lists(_TEXT, max_size=3).map(tuple)
_NAMES = st.sets(_TEXT, max_size=3).map(sorted).map(tuple)
_CHECKS = st.builds(Healthcheck, test=_WORDS, interval_ns=st.integers(0, 2**62), retries=st.integers(0, 9))
_CONFIGS = st.builds(
    ImageConfig,
    user=_TEXT,
    env=_WORDS,
    cmd=st.none() | _WORDS,
    entrypoint=st.none() | _WORDS,
    working_dir=_TEXT,
    labels=st.dictionaries(_TEXT, _TEXT, max_size=3),
    exposed_ports=_NAMES,
    volumes=_NAMES,
    stop_signal=_TEXT,
    healthcheck=st.none() | _CHECKS,
    on_build=_WORDS,
)
_STEPS = st.builds(Step, created_by=st.none() | _TEXT, comment=st.none() | _TEXT, empty_layer=st.booleans())


@given(_CONFIGS, st.lists(_STEPS, max_size=3), _TEXT)
def test_what_is_written_is_read(config: ImageConfig, history: list[Step], text: str) -> None:
    file = ConfigFile(
        config=config,
        platform=Platform(architecture="arm64", variant="v8"),
        created="2026-01-02T03:04:05.000000006Z",
        author=text,
        comment="why",
        docker_version=text,
        diff_ids=("sha256:" + "1" * 64,),
        history=tuple(history),
        container=text,
    )
    assert read_config(write_config(file), "x") == file


def test_what_is_empty_is_not_written() -> None:
    file = ConfigFile(
        config=ImageConfig(),
        platform=Platform(architecture="amd64"),
        created="",
        author="",
        comment="",
        docker_version="",
        diff_ids=(),
        history=(),
    )
    assert json.loads(write_config(file)) == {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [],
    }


def test_comment_of_an_image_that_has_none_is_its_newest_steps() -> None:
    """Docker's commit leaves it there, and its inspect finds it there."""
    document = {"architecture": "amd64", "os": "linux", "history": [{"comment": "old"}, {"comment": "new"}]}
    assert read_config(json.dumps(document).encode(), "x").comment == "new"
    assert read_config(json.dumps({**document, "comment": "own"}).encode(), "x").comment == "own"


def test_times_have_all_their_nanoseconds() -> None:
    assert created_at(1_767_323_045_000_000_006) == "2026-01-02T03:04:05.000000006Z"
