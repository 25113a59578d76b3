"""What the changes of a commit or an import do to an image's configuration: a few Dockerfile instructions."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model import signals
from sockerless_ecs.model.container import Healthcheck
from sockerless_ecs.model.dockerfile import Instruction, instructions
from sockerless_ecs.model.expansion import expanded, expanded_words, quoted, variables_of
from sockerless_ecs.model.exposing import exposed
from sockerless_ecs.model.image import ImageConfig
from sockerless_ecs.model.moment import duration_ns

_SHELL = ("/bin/sh", "-c")
_CHECK_FLAGS = ("interval", "timeout", "start-period", "start-interval", "retries")
_MOST_PORTS = 2 << 16
_SHORTEST_NS = 10**6
_MOST_RETRIES = 2**31 - 1


@dataclass(slots=True)
class _Draft:
    """A configuration in the making."""

    config: ImageConfig
    has_command: bool = False
    """One of these instructions has set it: an entrypoint leaves it."""
    ports: int = 0
    """So many were named."""

    def become(self, **changes: object) -> None:
        self.config = replace(self.config, **changes)  # type: ignore[arg-type]


_Step = Callable[[_Draft], None]


def changed(config: ImageConfig, changes: Sequence[str]) -> ImageConfig:
    """The configuration with these instructions done to it, in order.

    Variables are filled in from what is set by then. Raises InvalidParameter in Docker's words: all of them
    are read before any is done.
    """
    wanted = instructions("\n".join(changes))
    if changes and not wanted:
        raise InvalidParameter("file with no instructions")
    for one in wanted:
        if one.kind not in _KINDS:
            raise InvalidParameter(f"{one.name} is not a valid change command")
    draft = _Draft(config)
    for step in [_KINDS[one.kind](one) for one in wanted]:
        step(draft)
    return draft.config


def _no_flags(one: Instruction) -> None:
    for flag in one.flags:
        raise InvalidParameter(f"Unknown flag: {flag}")


def _some(one: Instruction) -> Sequence[str]:
    if not one.arguments:
        raise InvalidParameter(f"{one.kind} requires at least one argument")
    return one.arguments


def _one(one: Instruction) -> str:
    if not one.arguments:
        raise InvalidParameter(f"{one.kind} requires exactly one argument")
    return one.arguments[0]


def _filled_in(draft: _Draft) -> Callable[[str], str]:
    variables = variables_of(draft.config.env)
    return lambda text: expanded(text, variables)


def _cmd(one: Instruction) -> _Step:
    _no_flags(one)
    command = tuple(one.arguments) if one.is_json else (*_SHELL, *one.arguments)

    def do(draft: _Draft) -> None:
        draft.become(cmd=command)
        draft.has_command = draft.has_command or bool(one.arguments)

    return do


def _entrypoint(one: Instruction) -> _Step:
    _no_flags(one)
    shell = () if one.is_json else _SHELL
    entrypoint = (*shell, *one.arguments) if one.arguments else None

    def do(draft: _Draft) -> None:
        draft.become(entrypoint=entrypoint)
        if not draft.has_command:
            draft.become(cmd=None)

    return do


def _named_values(one: Instruction) -> Sequence[tuple[str, str]]:
    _no_flags(one)
    words = _some(one)
    pairs = list(zip(words[::2], words[1::2], strict=True))
    if not all(name for name, _ in pairs):
        raise InvalidParameter(f"{one.kind} names can not be blank")
    return pairs


def _env(one: Instruction) -> _Step:
    pairs = _named_values(one)

    def do(draft: _Draft) -> None:
        fill_in = _filled_in(draft)
        variables = list(draft.config.env)
        places = {known.partition("=")[0]: at for at, known in reversed(list(enumerate(variables)))}
        for name, value in [(fill_in(name), fill_in(value)) for name, value in pairs]:
            if name in places:
                variables[places[name]] = f"{name}={value}"
            else:
                places[name] = len(variables)
                variables.append(f"{name}={value}")
        draft.become(env=tuple(variables))

    return do


def _label(one: Instruction) -> _Step:
    pairs = _named_values(one)

    def do(draft: _Draft) -> None:
        fill_in = _filled_in(draft)
        new = {fill_in(name): fill_in(value) for name, value in pairs}
        draft.become(labels={**draft.config.labels, **new})

    return do


def _expose(one: Instruction) -> _Step:
    wanted = _some(one)
    _no_flags(one)

    def do(draft: _Draft) -> None:
        variables = variables_of(draft.config.env)
        for word in [word for text in wanted for word in expanded_words(text, variables)]:
            ports = exposed(word)
            draft.ports += len(ports)
            if draft.ports > _MOST_PORTS:
                raise InvalidParameter(f"more than {_MOST_PORTS} ports are exposed: refused")
            draft.become(exposed_ports=tuple(sorted({*draft.config.exposed_ports, *ports})))

    return do


def _volume(one: Instruction) -> _Step:
    paths = [path.strip() for path in _some(one)]
    _no_flags(one)
    _check_volumes(paths)

    def do(draft: _Draft) -> None:
        wanted = [*map(_filled_in(draft), paths)]
        _check_volumes(wanted)
        draft.become(volumes=tuple(sorted({*draft.config.volumes, *wanted})))

    return do


def _check_volumes(paths: Sequence[str]) -> None:
    if not all(paths):
        raise InvalidParameter("VOLUME specified can not be an empty string")


def _user(one: Instruction) -> _Step:
    user = _one(one)
    _no_flags(one)
    return lambda draft: draft.become(user=_filled_in(draft)(user))


def _workdir(one: Instruction) -> _Step:
    path = _one(one)
    _no_flags(one)

    def do(draft: _Draft) -> None:
        wanted = _filled_in(draft)(path)
        if not wanted:
            raise InvalidParameter("cannot normalize nothing")
        if not wanted.startswith("/"):
            wanted = posixpath.normpath(posixpath.join("/", draft.config.working_dir, wanted))
        draft.become(working_dir=wanted)

    return do


def _stopsignal(one: Instruction) -> _Step:
    signal = _one(one)
    _no_flags(one)

    def do(draft: _Draft) -> None:
        wanted = _filled_in(draft)(signal)
        signals.parse(wanted)
        draft.become(stop_signal=wanted)

    return do


def _onbuild(one: Instruction) -> _Step:
    _some(one)
    _no_flags(one)
    match one.arguments[0].upper():
        case "ONBUILD":
            raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
        case "MAINTAINER" | "FROM" as trigger:
            raise InvalidParameter(f"{trigger} isn't allowed as an ONBUILD trigger")
    return lambda draft: draft.become(on_build=(*draft.config.on_build, one.rest))


def _healthcheck(one: Instruction) -> _Step:
    kind, *command = _some(one)
    if kind.upper() == "NONE":
        if command:
            raise InvalidParameter("HEALTHCHECK NONE takes no arguments")
        return lambda draft: draft.become(healthcheck=Healthcheck(test=("NONE",)))
    for flag, value in one.flags.items():
        if flag not in _CHECK_FLAGS:
            raise InvalidParameter(f"Unknown flag: {flag}")
        if value is None:
            raise InvalidParameter(f"Missing a value on flag: {flag}")
    if kind.upper() != "CMD":
        raise InvalidParameter(f"Unknown type {quoted(kind.upper())} in HEALTHCHECK (try CMD)")
    if not command:
        raise InvalidParameter("Missing command after HEALTHCHECK CMD")
    check = Healthcheck(
        test=("CMD" if one.is_json else "CMD-SHELL", *command),
        interval_ns=_time_ns(one, "interval"),
        timeout_ns=_time_ns(one, "timeout"),
        start_period_ns=_time_ns(one, "start-period"),
        start_interval_ns=_time_ns(one, "start-interval"),
        retries=_retries(one.flags.get("retries") or ""),
    )
    return lambda draft: draft.become(healthcheck=check)


def _time_ns(one: Instruction, flag: str) -> int:
    value = one.flags.get(flag)
    if not value:
        return 0
    wanted = duration_ns(value)
    if wanted < _SHORTEST_NS:
        raise InvalidParameter(f"Interval {quoted(flag)} cannot be less than 1ms")
    return wanted


def _retries(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?[0-9]{1,10}", text) or abs(int(text)) > _MOST_RETRIES:
        raise InvalidParameter(f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax")
    if int(text) < 1:
        raise InvalidParameter(f"--retries must be at least 1 (not {int(text)})")
    return int(text)


_KINDS: Mapping[str, Callable[[Instruction], _Step]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
