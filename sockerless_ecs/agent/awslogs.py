"""Reads the agent's copy of the output back from CloudWatch Logs: messages to numbered lines.

The copy is one line for one line. Lines of stderr begin with `[stderr] `; of stdout, those that are empty
or look like one of our markers begin with `[stdout] `; the agent's own begin with `[sockerless] ` and
say which run begins and ends, now and then the number of the next line, which lines are missing because
the log driver was too slow, and that the line after them had no newline. A piece of `MIN_PIECE` bytes or
more is continued by the next line of its stream. The copy is UTF-8: another byte is a `?` in it. That is
all that can differ from what the agent itself sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sockerless_ecs.model.log import STDERR, STDOUT, LogLine

DRIVER_LINE = 16 * 1024
"""What a log driver takes at once, marker and newline included."""
MIN_PIECE = DRIVER_LINE - len("[stdout] ") - 1 - 3
"""Whole lines are shorter; a longer one is cut here or, to split no character, up to 3 bytes later."""

_AGENT, _STDOUT, _STDERR = "[sockerless] ", "[stdout] ", "[stderr] "
_STREAMS = {"stdout": STDOUT, "stderr": STDERR}
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class FinalRecord:
    """How a run ended, as the agent wrote it down last."""

    code: int
    oom: bool
    lines: int


class AwslogsParser:
    """Reads one run out of a log stream that may hold several, from the stream's beginning."""

    def __init__(self, run: str) -> None:
        name = re.escape(run)
        self._note = re.compile(
            rf"(?P<started>started run={name})"
            rf"|line (?P<line>\d+) run={name}"
            rf"|unterminated run={name} stream=(?P<unterminated>stdout|stderr)"
            rf"|lines (?P<first>\d+) to (?P<last>\d+) were dropped run={name}: .*"
            rf"|exited run={name} code=(?P<code>\d+) oom=(?P<oom>[01]) lines=(?P<lines>\d+)"
        )
        self._next = 0  # 0: not in our run
        self._unterminated: int | None = None
        self.final: FinalRecord | None = None
        """Set once the run's last record was read; nothing of it follows."""

    def feed(self, events: Iterable[tuple[int, str]]) -> list[LogLine]:
        """The run's lines among these events (time in milliseconds, message), which come in order."""
        lines = []
        for time_ms, message in events:
            text = message.removesuffix("\n")
            if text.startswith(_AGENT):
                self._take_note(text[len(_AGENT) :])
            elif self._next:
                lines.append(self._line(time_ms, text))
        return lines

    def _take_note(self, text: str) -> None:
        note = self._note.fullmatch(text)
        if note is None:
            return
        if note["started"]:
            self._next = 1
        elif note["line"]:
            self._next = int(note["line"])
        elif note["unterminated"]:
            self._unterminated = _STREAMS[note["unterminated"]]
        elif note["last"]:
            self._next = int(note["last"]) + 1
        else:
            self._next = 0
            self.final = FinalRecord(int(note["code"]), note["oom"] == "1", int(note["lines"]))

    def _line(self, time_ms: int, text: str) -> LogLine:
        stream = STDOUT
        if text.startswith(_STDERR):
            stream, text = STDERR, text[len(_STDERR) :]
        elif text.startswith(_STDOUT):
            text = text[len(_STDOUT) :]
        data = text.encode()
        if self._unterminated == stream:
            self._unterminated = None
        elif len(data) < MIN_PIECE:
            data += b"\n"
        number, self._next = self._next, self._next + 1
        return LogLine(number, time_ms * _NS_PER_MS, stream, data)
