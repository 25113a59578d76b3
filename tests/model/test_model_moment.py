"""Times are read to the nanosecond in every form that Docker's clients send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.moment import duration_ns, moment_ns, written_ns

SECOND = 10**9
NOW = 1_767_323_045 * SECOND


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1767323045", NOW),
        ("1767323045.000000001", NOW + 1),
        ("1767323045.5", NOW + SECOND // 2),
        ("10m", NOW - 600 * SECOND),
        ("1h30m1.5s", NOW - 5_401_500_000_000),
        ("-10s", NOW + 10 * SECOND),
        ("2026-01-02T03:04:05Z", NOW),
        ("2026-01-02T03:04:05.000000001Z", NOW + 1),
        ("2026-01-02T04:04:05+01:00", NOW),
        ("2026-01-02T03:04:05", NOW),
        ("2026-01-02T03:04", NOW - 5 * SECOND),
        ("2026-01-02", NOW - (3 * 3600 + 4 * 60 + 5) * SECOND),
    ],
)
def test_times_are_read(text: str, expected: int) -> None:
    assert moment_ns(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "10", "10 m", "1d", "m", "2026-13-01", "2026-01-02T25:00:00Z", "1e9", "--1"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid duration"):
        duration_ns(text)
    if not text.isdecimal():
        with pytest.raises(InvalidParameter, match="is not a time"):
            moment_ns(text, NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05.123456789Z", NOW + 123_456_789),
        ("2026-01-02T04:04:05+01:00", NOW),
        ("0001-01-01T00:00:00Z", -62_135_596_800 * SECOND),
        ("", None),
        ("10m", None),
        ("1767323045", None),
        ("2026-13-01T00:00:00Z", None),
    ],
)
def test_a_time_in_a_file_is_a_date_or_none(text: str, expected: int | None) -> None:
    assert written_ns(text) == expected


@given(st.text(alphabet="0123456789.-+TZ:hmsnuµ"))
def test_any_text_is_a_time_or_an_invalid_parameter(text: str) -> None:
    try:
        assert isinstance(moment_ns(text, NOW), int)
    except InvalidParameter:
        return
