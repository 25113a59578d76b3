"""Docker's list filters: which container, event or labelled thing a client asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model import reference
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.moment import moment_ns
from sockerless_ecs.model.predicates import PREDICATES, View, has_label

Filters = Mapping[str, Sequence[str]]
"""Already parsed: `{"label": ["a=b"], "status": ["running"]}`."""

IMAGE = frozenset(["before", "dangling", "label", "reference", "since", "until"])
NETWORK = frozenset(["dangling", "driver", "id", "label", "name", "scope", "type"])
VOLUME = frozenset(["dangling", "driver", "label", "name"])
CONTAINER = frozenset(PREDICATES)
EVENT = frozenset(["container", "daemon", "event", "image", "label", "network", "scope", "type", "volume"])
PRUNE = frozenset(("label", "label!", "until"))
IMAGE_PRUNE = PRUNE | {"dangling"}
SEARCH = frozenset(["is-automated", "is-official", "stars"])

_YES, _NO = frozenset(("1", "true")), frozenset(("0", "false"))

_ACTIONS_WITH_DETAIL = ("exec_create", "exec_start", "health_status")


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
    predicates = [PREDICATES[name](values, view) for name, values in filters.items() if values]
    return lambda container: all(predicate(container) for predicate in predicates)


def match_container(container: Container, filters: Filters, view: View) -> bool:
    """Whether one container passes; raises as `container_filter` does."""
    return container_filter(filters, view)(container)


def includes_stopped(filters: Filters) -> bool:
    """Whether the filters themselves ask for containers that do not run, as `status` does."""
    return bool(filters.get("status"))


def yes_or_no(filters: Filters, name: str) -> bool | None:
    """What a filter that is true or false asks for; None where it is not there.

    Raises `InvalidParameter` in Docker's words for another value, or for both at once.
    """
    values = filters.get(name)
    if not values:
        return None
    yes = not _YES.isdisjoint(values)
    if yes is not _NO.isdisjoint(values):
        raise InvalidParameter(f"invalid filter '{name}=[{' '.join(values)}]'")
    return yes


def prune_filter(
    filters: Filters, now_ns: int, allowed: Collection[str] = PRUNE
) -> Callable[[Mapping[str, str], int], bool]:
    """A predicate over (labels, created_ns) for `label`, `label!` and `until`."""
    check(filters, allowed)
    until = filters.get("until", ())
    if len(until) > 1:
        raise InvalidParameter("more than one until filter specified")
    before_ns = moment_ns(until[0], now_ns) if until else None
    return lambda labels, created_ns: (
        match_labels(labels, filters) and (before_ns is None or created_ns <= before_ns)
    )


def match_labels(labels: Mapping[str, str], filters: Filters) -> bool:
    """Whether labels pass `label` (all of them must match) and `label!` (not all may)."""
    if not all(has_label(labels, wanted) for wanted in filters.get("label", ())):
        return False
    unwanted = filters.get("label!", ())
    return not unwanted or not all(has_label(labels, one) for one in unwanted)


def match_event(event: EngineEvent, filters: Filters) -> bool:
    """Whether an event passes; raises `InvalidParameter` for an unknown filter."""
    check(filters, EVENT)
    return all(_event_passes(event, name, values) for name, values in filters.items() if values)


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
