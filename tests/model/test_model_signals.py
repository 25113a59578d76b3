"""Signals go by any of Docker's names."""

from __future__ import annotations

import signal

import pytest

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.signals import Signal, parse


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [
        ("SIGKILL", "SIGKILL", 9),
        ("kill", "SIGKILL", 9),
        ("9", "SIGKILL", 9),
        ("SigTerm", "SIGTERM", 15),
        ("SIGCLD", "SIGCHLD", 17),
        ("POLL", "SIGIO", 29),
        ("SIGRTMIN", "SIGRTMIN", 34),
        ("SIGRTMIN+3", "SIGRTMIN+3", 37),
        ("RTMAX-14", "SIGRTMAX-14", 50),
        ("64", "SIGRTMAX", 64),
    ],
)
def test_names_and_numbers_mean_the_same(text: str, name: str, number: int) -> None:
    assert parse(text) == Signal(name, number)


@pytest.mark.parametrize("number", [*range(1, 32), *range(34, 65)])
def test_numbers_are_those_of_linux(number: int) -> None:
    found = parse(str(number))
    assert parse(found.name) == found
    if number < 32:
        assert signal.Signals[found.name] == number


@pytest.mark.parametrize(
    "text", ["", "0", "-9", "32", "33", "65", "9999999999", "SIGFOO", "SIG", "RTMIN+16", " 9", "٩"]
)
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"Invalid signal: |does not support signal"):
        parse(text)
