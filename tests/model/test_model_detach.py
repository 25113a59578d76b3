"""The keys by which somebody at a terminal leaves a process."""

from __future__ import annotations

import pytest

from sockerless_ecs.model.detach import DEFAULT_KEYS, DetachScanner, parse_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", DEFAULT_KEYS),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("a,B,1,DEL", b"aB1\x7f"),
        ("ctrl-a", b"\x01"),
        ("ctrl-z", b"\x1a"),
    ],
)
def test_keys_are_read_as_docker_writes_them(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["zz", "ctrl-", "ctrl-1", "ctrl-P", "a,,b", ",", "é", "del"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Unknown character"):
        parse_keys(text)


def test_what_is_typed_before_the_keys_is_passed_on_and_what_comes_after_is_not() -> None:
    scanner = DetachScanner(DEFAULT_KEYS)
    assert scanner.feed(b"ls\r\x10\x11rm\r") == b"ls\r"
    assert scanner.found
    assert scanner.feed(b"more") == b""
    assert scanner.rest() == b""


def test_keys_are_found_wherever_they_are_cut() -> None:
    scanner = DetachScanner(b"\x01\x02\x03")
    assert [scanner.feed(piece) for piece in (b"a\x01", b"\x02", b"\x03b")] == [b"a", b"", b""]
    assert scanner.found


def test_a_sequence_that_breaks_is_passed_on_whole_and_in_order() -> None:
    scanner = DetachScanner(b"\x01\x02\x03")
    assert scanner.feed(b"\x01\x02") == b""
    assert scanner.feed(b"x\x01") == b"\x01\x02x"
    assert scanner.feed(b"\x01") == b"\x01"
    assert not scanner.found
    assert scanner.rest() == b"\x01"
    assert scanner.rest() == b""


def test_a_key_that_is_typed_twice_still_begins_the_sequence() -> None:
    scanner = DetachScanner(DEFAULT_KEYS)
    assert scanner.feed(b"\x10\x10") == b"\x10"
    assert scanner.feed(b"\x11") == b""
    assert scanner.found


@pytest.mark.parametrize("cut", range(9))
def test_what_has_no_keys_comes_through_unchanged(cut: int) -> None:
    data, scanner = b"\x01\x01\x02a\x02\x03\x01\x02\x01", DetachScanner(b"\x01\x02\x03")
    passed = scanner.feed(data[:cut]) + scanner.feed(data[cut:]) + scanner.rest()
    assert (passed, scanner.found) == (data, False)
