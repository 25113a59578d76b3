"""What `ps` shows of processes: its options, columns and words, as far as `docker top` needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sockerless_ecs.agent.sights import ProcessInfo
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.usage import ProcessTable

_SECOND_NS = 1_000_000_000
_FULL = ("user=UID", "pid", "ppid", "c", "stime", "tname", "time", "cmd")
_USER = ("user", "pid", "%cpu", "%mem", "vsz", "rss", "tname", "stat", "bsdstart", "bsdtime", "command")
_PLAIN = ("pid", "tname", "time", "comm=CMD")
_BSD = ("pid", "tname", "stat", "bsdtime", "command")


@dataclass(frozen=True, slots=True)
class Seen:
    """A process, at a moment, in a place."""

    process: ProcessInfo
    now_ns: int
    memory_kib: int
    """Of the whole container; 0 = not known."""


Cell = Callable[[Seen], str]


def process_table(
    processes: Sequence[ProcessInfo], ps_args: str, *, now_ns: int, memory_kib: int
) -> ProcessTable:
    """What `ps` with these arguments prints; raises InvalidParameter for what is not known here."""
    columns = [_column(wanted) for wanted in wanted_columns(ps_args)]
    seen = [Seen(p, now_ns, memory_kib) for p in sorted(processes, key=lambda process: process.pid)]
    return ProcessTable(
        titles=tuple(title for title, _ in columns),
        rows=tuple(tuple(cell(one) for _, cell in columns) for one in seen),
    )


def wanted_columns(ps_args: str) -> tuple[str, ...]:
    """The columns by name (`name=TITLE` where the title is another); empty arguments are `-ef`."""
    words = ps_args.split() or ["-ef"]
    formats: list[str] = []
    layout: tuple[str, ...] = _PLAIN
    while words:
        word = words.pop(0)
        bsd = not word.startswith("-") or word == "-aux"
        letters = word.removeprefix("-")
        if letters.startswith("-"):
            raise InvalidParameter("ps: error: unknown gnu long option")
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter == "o":
                formats += (letters or (words.pop(0) if words else "")).split(",")
                break
            layout = _layout(letter, layout, bsd=bsd)
    columns = tuple(formats) or layout
    if "pid" not in columns:
        raise InvalidParameter("Couldn't find PID field in ps output")
    return columns


def _layout(letter: str, layout: tuple[str, ...], *, bsd: bool) -> tuple[str, ...]:
    """Which processes are shown is not for `ps` to say here: they are the container's, all of them."""
    if letter == "w":
        return layout
    if bsd and letter in "axg":
        return _BSD if layout is _PLAIN else layout
    if bsd and letter == "u":
        return _USER
    if not bsd and letter in "eAad":
        return layout
    if not bsd and letter == "f":
        return _FULL
    raise InvalidParameter(f"ps: error: unsupported option {letter!r}: use -ef, aux or -o with columns")


def _column(wanted: str) -> tuple[str, Cell]:
    name, _, title = wanted.partition("=")
    if name not in _COLUMNS:
        raise InvalidParameter(f'ps: error: unknown user-defined format specifier "{name}"')
    usual, cell = _COLUMNS[name]
    return title or usual, cell


def _moment(at: Seen) -> datetime:
    return datetime.fromtimestamp(at.process.start_ns / _SECOND_NS, UTC)


def _start(at: Seen) -> str:
    """The time of today's, the day of others."""
    now, started = datetime.fromtimestamp(at.now_ns / _SECOND_NS, UTC), _moment(at)
    if now.year != started.year:
        return f"{started.year}"
    return started.strftime("%H:%M" if now.date() == started.date() else "%b%d")


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def _cpu_seconds(at: Seen) -> int:
    return at.process.cpu_ns // _SECOND_NS


def _bsd_time(at: Seen) -> str:
    return f"{_cpu_seconds(at) // 60}:{_cpu_seconds(at) % 60:02}"


def _elapsed_seconds(at: Seen) -> int:
    return max(0, at.now_ns - at.process.start_ns) // _SECOND_NS


def _elapsed(at: Seen) -> str:
    text = _clock(_elapsed_seconds(at))
    return text.removeprefix("00:")


def _memory(at: Seen) -> str:
    share = 100 * at.process.rss_kib / at.memory_kib if at.memory_kib else 0.0
    return f"{min(share, 99.9):.1f}"


def _cpu(at: Seen) -> str:
    return f"{at.process.cpu_percent:.1f}"


def _user(at: Seen) -> str:
    return at.process.user


def _arguments(at: Seen) -> str:
    return at.process.arguments


def _command(at: Seen) -> str:
    return at.process.command


def _tty(at: Seen) -> str:
    return at.process.tty


def _state(at: Seen) -> str:
    return at.process.state


_COLUMNS: Mapping[str, tuple[str, Cell]] = {
    "pid": ("PID", lambda at: str(at.process.pid)),
    "ppid": ("PPID", lambda at: str(at.process.ppid)),
    "uid": ("UID", lambda at: str(at.process.uid)),
    "gid": ("GID", lambda at: str(at.process.gid)),
    "user": ("USER", _user),
    "uname": ("USER", _user),
    "euser": ("EUSER", _user),
    "ni": ("NI", lambda at: str(at.process.nice)),
    "nice": ("NI", lambda at: str(at.process.nice)),
    "c": ("C", lambda at: str(int(at.process.cpu_percent))),
    "%cpu": ("%CPU", _cpu),
    "pcpu": ("%CPU", _cpu),
    "%mem": ("%MEM", _memory),
    "pmem": ("%MEM", _memory),
    "vsz": ("VSZ", lambda at: str(at.process.vsz_kib)),
    "vsize": ("VSZ", lambda at: str(at.process.vsz_kib)),
    "rss": ("RSS", lambda at: str(at.process.rss_kib)),
    "rsz": ("RSZ", lambda at: str(at.process.rss_kib)),
    "tty": ("TT", _tty),
    "tt": ("TT", _tty),
    "tname": ("TTY", _tty),
    "stat": ("STAT", _state),
    "state": ("S", _state),
    "s": ("S", _state),
    "stime": ("STIME", _start),
    "bsdstart": ("START", _start),
    "start": ("STARTED", lambda at: _moment(at).strftime("%H:%M:%S")),
    "lstart": ("STARTED", lambda at: _moment(at).strftime("%a %b %e %H:%M:%S %Y")),
    "time": ("TIME", lambda at: _clock(_cpu_seconds(at))),
    "cputime": ("TIME", lambda at: _clock(_cpu_seconds(at))),
    "bsdtime": ("TIME", _bsd_time),
    "etime": ("ELAPSED", _elapsed),
    "etimes": ("ELAPSED", lambda at: str(_elapsed_seconds(at))),
    "comm": ("COMMAND", _command),
    "ucmd": ("CMD", _command),
    "cmd": ("CMD", _arguments),
    "args": ("COMMAND", _arguments),
    "command": ("COMMAND", _arguments),
}
