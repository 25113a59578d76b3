"""The pure parts of the client commands."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.commands import logs, run
from sockerless_ecs.commands.ps import age
from sockerless_ecs.commands.streams import FrameReader
from sockerless_ecs.commands.table import table
from sockerless_ecs.errors import InvalidParameter


def _run_arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    run.add_arguments(parser)
    return parser.parse_args(words)


def _body(*words: str) -> dict[str, Any]:
    return run.create_body(_run_arguments(*words))


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8),
    st.integers(min_value=1, max_value=9),
)
def test_frames_come_out_whole_however_the_stream_is_cut(frames: list[tuple[int, bytes]], step: int) -> None:
    wire = b"".join(bytes([stream, 0, 0, 0]) + len(data).to_bytes(4) + data for stream, data in frames)
    reader = FrameReader()
    read = [frame for at in range(0, len(wire), step) for frame in reader.feed(wire[at : at + step])]
    assert read == frames


def test_what_was_not_asked_for_is_not_sent() -> None:
    assert _body("host", "true") == {"Image": "host", "Cmd": ["true"]}


def test_flags_become_dockers_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.delenv("NOT_OURS", raising=False)
    words = (
        "--rm -e A=b=c -e OURS -e NOT_OURS -w /w -u 5:6 -l k=v -l bare --entrypoint /e -m 1.5g --cpus 0.25"
    )
    assert _body(*words.split(), "--stop-timeout", "0", "alpine", "-x", "--rm") == {
        "Image": "alpine",
        "Cmd": ["-x", "--rm"],
        "Env": ["A=b=c", "OURS=1"],
        "WorkingDir": "/w",
        "User": "5:6",
        "Labels": {"k": "v", "bare": ""},
        "Entrypoint": ["/e"],
        "StopTimeout": 0,
        "HostConfig": {"AutoRemove": True, "Memory": 1610612736, "NanoCpus": 250_000_000},
    }


@pytest.mark.parametrize(
    ("text", "size"), [("512", 512), ("2k", 2048), ("512m", 512 << 20), ("512MB", 512 << 20), ("2g", 2 << 30)]
)
def test_sizes_have_dockers_units(text: str, size: int) -> None:
    assert _body("-m", text, "x")["HostConfig"]["Memory"] == size


@pytest.mark.parametrize(
    "words", [("-m", "much", "x"), ("-m", "b", "x"), ("-m", "nan", "x"), ("--cpus", "two", "x")]
)
def test_a_wrong_size_names_its_flag(words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidParameter, match=r"--(memory|cpus): "):
        _body(*words)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "nope": executable file not found in $PATH', 127),
        ("exec /nope: no such file or directory", 127),
        ("exec /etc/passwd: permission denied", 126),
        ("no capacity", 125),
    ],
)
def test_a_start_that_failed_exits_as_docker_run_does(message: str, code: int) -> None:
    assert run._exit_code(message) == code


@pytest.mark.parametrize("text", ["-1", "ten", ""])
def test_a_wrong_tail_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="--tail"):
        logs._tail(text)


def test_since_reaches_the_daemon_in_seconds_to_the_nanosecond() -> None:
    assert logs._moment("1.5s", 3 * 10**9) == "1.500000000"
    assert logs._moment("1970-01-01T00:00:10.000000001Z", 0) == "10.000000001"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "less than a second"), (1, "1 second"), (59, "59 seconds"), (3600, "1 hour"), (1e6, "1 week")],
)
def test_ages_are_told_in_the_largest_unit(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table([("A", "B"), ("long", "x")]) == ["A      B", "long   x"]
