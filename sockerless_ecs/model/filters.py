"""Docker's list filters: which container, event or labelled thing a client asked for."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from sockerless_ecs.errors import InvalidParameter, NotFound
from sockerless_ecs.model import reference
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.moment import moment_ns

Filters = Mapping[str, Sequence[str]]
"""Already parsed: `{"label": ["a=b"], "status": ["running"]}`."""

CONTAINER = frozenset(
    [
        "ancestor",
        "before",
        "exited",
        "expose",
        "health",
        "id",
        "is-task",
        "label",
        "name",
        "network",
        "publish",
        "since",
        "status",
        "volume",
    ]
)
IMAGE = frozenset(["before", "dangling", "label", "reference", "since", "until"])
NETWORK = frozenset(["dangling", "driver", "id", "label", "name", "scope", "type"])
VOLUME = frozenset(["dangling", "driver", "label", "name"])
EVENT = frozenset(["container", "daemon", "event", "image", "label", "network", "scope", "type", "volume"])
PRUNE = frozenset(("label", "label!", "until"))

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
_ACTIONS_WITH_DETAIL = ("exec_create", "exec_start", "health_status")

_Predicate = Callable[[Container], bool]


class View(Protocol):
    """What a filter must know of a container beyond its record."""

    def image_names(self, image_id: str, /) -> Collection[str]:
        """The full references of an image (`docker.io/library/alpine:3`)."""

    def created_ns(self, ref: str, /) -> int:
        """When the container of that id, prefix or name was created; raises `NotFound`."""

    def health(self, container: Container, /) -> str:
        """`none`, `starting`, `healthy` or `unhealthy`."""


def check(filters: Filters, allowed: Collection[str]) -> None:
    """Raises `InvalidParameter` for a filter that is not among `allowed`."""
    for name in filters:
        if name not in allowed:
            raise InvalidParameter(f"invalid filter '{name}'")


def container_filter(filters: Filters, view: View) -> Callable[[Container], bool]:
    """A predicate for `filters`, checked once: for lists of any length.

    Raises `InvalidParameter` for an unknown filter or a wrong value, `NotFound` for an unknown container
    in `before` and `since`.
    """
    check(filters, CONTAINER)
    predicates = [_FACTORIES[name](values, view) for name, values in filters.items() if values]
    return lambda container: all(predicate(container) for predicate in predicates)


def match_container(container: Container, filters: Filters, view: View) -> bool:
    """Whether one container passes; raises as `container_filter` does."""
    return container_filter(filters, view)(container)


def includes_stopped(filters: Filters) -> bool:
    """Whether the filters themselves ask for containers that do not run, as `status` does."""
    return bool(filters.get("status"))


def prune_filter(filters: Filters, now_ns: int) -> Callable[[Mapping[str, str], int], bool]:
    """A predicate over (labels, created_ns) for `label`, `label!` and `until`."""
    check(filters, PRUNE)
    until = filters.get("until", ())
    if len(until) > 1:
        raise InvalidParameter("more than one until filter specified")
    before_ns = moment_ns(until[0], now_ns) if until else None
    return lambda labels, created_ns: (
        match_labels(labels, filters) and (before_ns is None or created_ns < before_ns)
    )


def match_labels(labels: Mapping[str, str], filters: Filters) -> bool:
    """Whether labels pass `label` (all of them must match) and `label!` (not all may)."""
    if not all(_has_label(labels, wanted) for wanted in filters.get("label", ())):
        return False
    unwanted = filters.get("label!", ())
    return not unwanted or not all(_has_label(labels, one) for one in unwanted)


def match_event(event: EngineEvent, filters: Filters) -> bool:
    """Whether an event passes; raises `InvalidParameter` for an unknown filter."""
    check(filters, EVENT)
    return all(_event_passes(event, name, values) for name, values in filters.items() if values)


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _event_passes(event: EngineEvent, name: str, values: Sequence[str]) -> bool:
    match name:
        case "type":
            return event.type in values
        case "scope":
            return "local" in values
        case "event":
            action = event.action.partition(":")[0]
            return event.action in values or (action in _ACTIONS_WITH_DETAIL and action in values)
        case "label":
            return match_labels(event.attributes, {"label": values})
        case "image":
            shown = event.attributes.get("name" if event.type == "image" else "image", "")
            return any(one in values for text in (event.actor_id, shown) for one in (text, _untagged(text)))
        case _:
            names = (event.actor_id, event.attributes.get("name", ""))
            return event.type == name and any(text.startswith(tuple(values)) for text in names)


def _untagged(text: str) -> str:
    try:
        return reference.familiar_name(reference.parse(text))
    except InvalidParameter:
        return text


def _ancestor(values: Sequence[str], view: View) -> _Predicate:
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


def _before(values: Sequence[str], view: View) -> _Predicate:
    created_ns = min(_created_ns("before", values, view))
    return lambda container: container.created_ns < created_ns


def _since(values: Sequence[str], view: View) -> _Predicate:
    created_ns = max(_created_ns("since", values, view))
    return lambda container: container.created_ns > created_ns


def _created_ns(name: str, values: Sequence[str], view: View) -> list[int]:
    try:
        return [view.created_ns(value) for value in values]
    except NotFound as error:
        raise NotFound(f"invalid filter '{name}': {error}") from error


def _exited(values: Sequence[str], _view: View) -> _Predicate:
    codes = set()
    for value in values:
        try:
            codes.add(int(value))
        except ValueError:
            raise _invalid("exited", value) from None
    ended = (State.EXITED, State.DEAD)
    return lambda container: container.state in ended and container.exit_code in codes


def _expose(values: Sequence[str], _view: View) -> _Predicate:
    wanted = frozenset(port for value in values for port in _ports("expose", value))
    return lambda container: not wanted.isdisjoint(_with_protocol(p) for p in container.config.exposed_ports)


def _publish(values: Sequence[str], _view: View) -> _Predicate:
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


def _health(values: Sequence[str], view: View) -> _Predicate:
    _check_values("health", values, _HEALTH)
    return lambda container: view.health(container) in values


def _id(values: Sequence[str], _view: View) -> _Predicate:
    return lambda container: container.id.startswith(tuple(values))


def _is_task(values: Sequence[str], _view: View) -> _Predicate:
    _check_values("is-task", [value.lower() for value in values], _TRUE | _FALSE)
    wanted = any(value.lower() in _FALSE for value in values)  # no container here belongs to a swarm
    return lambda _container: wanted


def _label(values: Sequence[str], _view: View) -> _Predicate:
    return lambda container: match_labels(container.config.labels, {"label": values})


def _name(values: Sequence[str], _view: View) -> _Predicate:
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


def _network(values: Sequence[str], _view: View) -> _Predicate:
    def passes(container: Container) -> bool:
        mode = container.host.network_mode
        return ("bridge" if mode in ("", "default") else mode) in values

    return passes


def _status(values: Sequence[str], _view: View) -> _Predicate:
    _check_values("status", values, _STATUSES)
    return lambda container: container.state.shown in values


def _volume(values: Sequence[str], _view: View) -> _Predicate:
    return lambda container: any(value in container.config.volumes for value in values)


def _check_values(name: str, values: Sequence[str], allowed: Collection[str]) -> None:
    for value in values:
        if value not in allowed:
            raise _invalid(name, value)


def _invalid(name: str, value: str) -> InvalidParameter:
    return InvalidParameter(f"invalid filter '{name}={value}'")


_FACTORIES: Mapping[str, Callable[[Sequence[str], View], _Predicate]] = {
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
