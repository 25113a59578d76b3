"""What a client is told in the stream when the rest of it does not come."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.http.breakage import Breakage
from tests.http.hijacked import frames

_FRAMES = b"\1\0\0\0\0\0\0\3abc" + b"\2\0\0\0\0\0\0\0" + b"\1\0\0\0\0\0\0\5defgh"


@given(st.lists(st.integers(0, len(_FRAMES)), max_size=8), st.integers(0, len(_FRAMES)))
def test_notice_is_a_frame_of_its_own_wherever_the_stream_was_cut(cuts: list[int], end: int) -> None:
    breakage = Breakage(tty=False)
    bounds = sorted({0, *(cut for cut in cuts if cut < end), end})
    for first, last in pairwise(bounds):
        breakage.follow(_FRAMES[first:last])
    *whole, notice = frames(_FRAMES[:end] + breakage.notice("it broke"))
    assert notice == (3, b"it broke")
    assert b"abcdefgh".startswith(b"".join(data for _, data in whole).rstrip(b"\0"))


@pytest.mark.parametrize("said", [b"", b"\1\0\0", b"prompt"])
def test_terminal_has_the_notice_on_a_line_of_its_own(said: bytes) -> None:
    breakage = Breakage(tty=True)
    breakage.follow(said)
    assert breakage.notice("it broke") == b"\r\nit broke\r\n"
