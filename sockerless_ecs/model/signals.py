"""The signals that Docker knows, by name and by Linux number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from sockerless_ecs.errors import InvalidParameter

_PLAIN = [
    "HUP",
    "INT",
    "QUIT",
    "ILL",
    "TRAP",
    "ABRT",
    "BUS",
    "FPE",
    "KILL",
    "USR1",
    "SEGV",
    "USR2",
    "PIPE",
    "ALRM",
    "TERM",
    "STKFLT",
    "CHLD",
    "CONT",
    "STOP",
    "TSTP",
    "TTIN",
    "TTOU",
    "URG",
    "XCPU",
    "XFSZ",
    "VTALRM",
    "PROF",
    "WINCH",
    "IO",
    "PWR",
    "SYS",
]
_RTMIN, _RTMAX = 34, 64
_RTMIN_NAMED, _RTMAX_NAMED = 15, 14  # how many of the real-time signals count from each end
_ALIASES = {"IOT": "ABRT", "CLD": "CHLD", "POLL": "IO", "RTMIN+0": "RTMIN", "RTMAX-0": "RTMAX"}
_NUMBER = re.compile(r"[0-9]{1,9}")


class Signal(NamedTuple):
    """A signal: `SIGKILL`, 9."""

    name: str
    number: int


def _table() -> dict[str, int]:
    numbers = {name: number for number, name in enumerate(_PLAIN, start=1)}
    numbers |= {"RTMIN": _RTMIN, "RTMAX": _RTMAX}
    numbers |= {f"RTMIN+{n}": _RTMIN + n for n in range(1, _RTMIN_NAMED + 1)}
    numbers |= {f"RTMAX-{n}": _RTMAX - n for n in range(1, _RTMAX_NAMED + 1)}
    return numbers


_NUMBERS: Mapping[str, int] = _table()
_NAMES: Mapping[int, str] = {number: name for name, number in _NUMBERS.items()}


def parse(text: str) -> Signal:
    """`KILL`, `sigkill`, `9`, `SIGRTMIN+3` → the signal; raises `InvalidParameter`."""
    if _NUMBER.fullmatch(text):
        name = _NAMES.get(int(text), "")
        if int(text) and not name:
            raise InvalidParameter(f"the linux daemon does not support signal {int(text)}")
    else:
        name = text.upper().removeprefix("SIG")
        name = _ALIASES.get(name, name)
    if name not in _NUMBERS:
        raise InvalidParameter(f"Invalid signal: {text}")
    return Signal(f"SIG{name}", _NUMBERS[name])
