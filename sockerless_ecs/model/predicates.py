"""What each of Docker's container filters asks of a container."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from sockerless_ecs.errors import InvalidParameter, NotFound
from sockerless_ecs.model import reference
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.lifecycle import State

Predicate = Callable[[Container], bool]

_STATUSES = frozenset(["created", "restarting", "running", "removing", "paused", "exited", "dead"])
_HEALTH = frozenset(["none", "starting", "healthy", "unhealthy"])
_TRUE, _FALSE = frozenset(("1", "t", "true")), frozenset(("0", "f", "false"))
_HEX = re.compile(r"(?:sha256:)?[a-f0-9]{4,64}")
_LONGEST_PATTERN = 256
# Python's expressions backtrack and one thread serves everybody: only what ends soon is tried.
_MOST_REPETITIONS = 4
_REPETITION = re.compile(r"(?<!\()[*+?{]")
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_PORT = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?(?:/(?P<protocol>tcp|udp|sctp))?")


class View(Protocol):
    """What a filter must know of a container beyond its record."""

    def image_names(self, image_id: str, /) -> Collection[str]:
        """The full references of an image (`docker.io/library/alpine:3`)."""

    def created_ns(self, ref: str, /) -> int:
        """When the container of that id, prefix or name was created; raises `NotFound`."""

    def health(self, container: Container, /) -> str:
        """`none`, `starting`, `healthy` or `unhealthy`."""


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """Whether labels have `key`, or `key=value`."""
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _ancestor(values: Sequence[str], view: View) -> Predicate:
    prefixes = tuple(value.removeprefix("sha256:") for value in values if _HEX.fullmatch(value))
    names = frozenset(full for value in values if (full := _full(value)))

    def passes(container: Container) -> bool:
        if prefixes and container.image_id.removeprefix("sha256:").startswith(prefixes):
            return True
        return not names.isdisjoint(view.image_names(container.image_id))

    return passes


def _full(text: str) -> str | None:
    try:
        return reference.parse(text).full
    except InvalidParameter:
        return None


def _before(values: Sequence[str], view: View) -> Predicate:
    created_ns = min(_created_ns("before", values, view))
    return lambda container: container.created_ns < created_ns


def _since(values: Sequence[str], view: View) -> Predicate:
    created_ns = max(_created_ns("since", values, view))
    return lambda container: container.created_ns > created_ns


def _created_ns(name: str, values: Sequence[str], view: View) -> list[int]:
    try:
        return [view.created_ns(value) for value in values]
    except NotFound as error:
        raise NotFound(f"invalid filter '{name}': {error}") from error


def _exited(values: Sequence[str], _view: View) -> Predicate:
    codes = set()
    for value in values:
        try:
            codes.add(int(value))
        except ValueError:
            raise _invalid("exited", value) from None
    ended = (State.EXITED, State.DEAD)
    return lambda container: container.state in ended and container.exit_code in codes


def _expose(values: Sequence[str], _view: View) -> Predicate:
    wanted = frozenset(port for value in values for port in _ports("expose", value))
    return lambda container: not wanted.isdisjoint(_with_protocol(p) for p in container.config.exposed_ports)


def _publish(values: Sequence[str], _view: View) -> Predicate:
    for value in values:
        _ports("publish", value)
    return lambda _container: False  # a record has no published ports yet: none can match


def _ports(name: str, value: str) -> list[str]:
    found = _PORT.fullmatch(value)
    first = int(found["first"]) if found else 0
    last = int(found["last"] or first) if found else 0
    if not found or not 1 <= first <= last < 2**16:
        raise _invalid(name, value)
    return [f"{port}/{found['protocol'] or 'tcp'}" for port in range(first, last + 1)]


def _with_protocol(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"


def _health(values: Sequence[str], view: View) -> Predicate:
    _check_values("health", values, _HEALTH)
    return lambda container: view.health(container) in values


def _id(values: Sequence[str], _view: View) -> Predicate:
    return lambda container: container.id.startswith(tuple(values))


def _is_task(values: Sequence[str], _view: View) -> Predicate:
    _check_values("is-task", [value.lower() for value in values], _TRUE | _FALSE)
    wanted = any(value.lower() in _FALSE for value in values)  # no container here belongs to a swarm
    return lambda _container: wanted


def _label(values: Sequence[str], _view: View) -> Predicate:
    return lambda container: all(has_label(container.config.labels, value) for value in values)


def _name(values: Sequence[str], _view: View) -> Predicate:
    patterns = [pattern for value in values if (pattern := _pattern(value))]

    def passes(container: Container) -> bool:
        name = container.name.removeprefix("/")
        return any(pattern.search(text) for pattern in patterns for text in (f"/{name}", name))

    return passes


def _pattern(value: str) -> re.Pattern[str] | None:
    costly = len(_REPETITION.findall(value)) > _MOST_REPETITIONS or _REPEATED_GROUP.search(value)
    if costly or len(value) > _LONGEST_PATTERN:
        raise InvalidParameter(f"invalid filter 'name={value}': the expression is too costly")
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            return re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return None  # as Docker has it: what is no expression matches nothing


def _network(values: Sequence[str], _view: View) -> Predicate:
    def passes(container: Container) -> bool:
        mode = container.host.network_mode
        return ("bridge" if mode in ("", "default") else mode) in values

    return passes


def _status(values: Sequence[str], _view: View) -> Predicate:
    _check_values("status", values, _STATUSES)
    return lambda container: container.status in values


def _volume(values: Sequence[str], _view: View) -> Predicate:
    return lambda container: any(value in container.config.volumes for value in values)


def _check_values(name: str, values: Sequence[str], allowed: Collection[str]) -> None:
    for value in values:
        if value not in allowed:
            raise _invalid(name, value)


def _invalid(name: str, value: str) -> InvalidParameter:
    return InvalidParameter(f"invalid filter '{name}={value}'")


PREDICATES: Mapping[str, Callable[[Sequence[str], View], Predicate]] = {
    "ancestor": _ancestor,
    "before": _before,
    "exited": _exited,
    "expose": _expose,
    "health": _health,
    "id": _id,
    "is-task": _is_task,
    "label": _label,
    "name": _name,
    "network": _network,
    "publish": _publish,
    "since": _since,
    "status": _status,
    "volume": _volume,
}
"""Each filter: its values and what is known beyond the record → who passes, checked once."""
