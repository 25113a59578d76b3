"""What may happen to a container, and what it becomes."""

from __future__ import annotations

from enum import StrEnum

from sockerless_ecs.errors import Conflict


class State(StrEnum):
    """A container's state as the daemon keeps it."""

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    PAUSED = "paused"
    EXITED = "exited"
    DEAD = "dead"

    @property
    def shown(self) -> str:
        """What clients are told: Docker knows no `starting`."""
        return "created" if self is State.STARTING else self.value

    @property
    def alive(self) -> bool:
        """Whether a process of the user's runs."""
        return self in (State.RUNNING, State.PAUSED)

    @property
    def active(self) -> bool:
        """What Docker calls running: a process runs, or will again by the restart policy."""
        return self.alive or self is State.RESTARTING


class Event(StrEnum):
    """What can happen to a container."""

    BEGIN = "begin"
    STARTED = "started"
    FAILED = "failed"
    FAILED_AGAIN = "failed again"
    FAILED_TO_RESTART = "failed to be restarted"
    EXITED = "exited"
    EXITED_TO_RESTART = "exited to be restarted"
    STAY_DOWN = "stay down"
    WANTED_UP = "be wanted up again"
    LOST = "lost"
    PAUSE = "pause"
    UNPAUSE = "unpause"


# Rule 1: a state changes only here. Rule 2: what is not in the table is refused, not ignored.
_NEXT: dict[tuple[State, Event], State] = {
    (State.CREATED, Event.BEGIN): State.STARTING,
    (State.EXITED, Event.BEGIN): State.STARTING,
    (State.DEAD, Event.BEGIN): State.STARTING,
    (State.STARTING, Event.STARTED): State.RUNNING,
    (State.STARTING, Event.FAILED): State.CREATED,
    (State.STARTING, Event.FAILED_AGAIN): State.EXITED,
    (State.STARTING, Event.FAILED_TO_RESTART): State.RESTARTING,
    (State.RUNNING, Event.EXITED): State.EXITED,
    (State.RUNNING, Event.EXITED_TO_RESTART): State.RESTARTING,
    (State.PAUSED, Event.EXITED_TO_RESTART): State.RESTARTING,
    (State.RESTARTING, Event.BEGIN): State.STARTING,
    (State.RESTARTING, Event.STAY_DOWN): State.EXITED,
    (State.EXITED, Event.WANTED_UP): State.RESTARTING,
    (State.DEAD, Event.WANTED_UP): State.RESTARTING,
    (State.RUNNING, Event.LOST): State.DEAD,
    (State.RUNNING, Event.PAUSE): State.PAUSED,
    (State.PAUSED, Event.UNPAUSE): State.RUNNING,
    (State.PAUSED, Event.EXITED): State.EXITED,
    (State.PAUSED, Event.LOST): State.DEAD,
}


def after(state: State, event: Event) -> State:
    """The state that follows; raises `Conflict` for what cannot happen."""
    try:
        return _NEXT[state, event]
    except KeyError:
        raise Conflict(f"a container that is {state} cannot {event}") from None
