"""What may happen to a container is one table, and nothing else may."""

from __future__ import annotations

import itertools

import pytest

from sockerless_ecs.errors import Conflict
from sockerless_ecs.model.lifecycle import Event, State, after

_LIFE = [
    (State.CREATED, Event.BEGIN, State.STARTING),
    (State.EXITED, Event.BEGIN, State.STARTING),
    (State.DEAD, Event.BEGIN, State.STARTING),
    (State.STARTING, Event.STARTED, State.RUNNING),
    (State.STARTING, Event.FAILED, State.CREATED),
    (State.STARTING, Event.FAILED_AGAIN, State.EXITED),
    (State.RUNNING, Event.EXITED, State.EXITED),
    (State.RUNNING, Event.EXITED_TO_RESTART, State.RESTARTING),
    (State.PAUSED, Event.EXITED_TO_RESTART, State.RESTARTING),
    (State.RESTARTING, Event.BEGIN, State.STARTING),
    (State.RESTARTING, Event.STAY_DOWN, State.EXITED),
    (State.STARTING, Event.FAILED_TO_RESTART, State.RESTARTING),
    (State.EXITED, Event.WANTED_UP, State.RESTARTING),
    (State.DEAD, Event.WANTED_UP, State.RESTARTING),
    (State.RUNNING, Event.LOST, State.DEAD),
    (State.RUNNING, Event.PAUSE, State.PAUSED),
    (State.PAUSED, Event.UNPAUSE, State.RUNNING),
    (State.PAUSED, Event.EXITED, State.EXITED),
    (State.PAUSED, Event.LOST, State.DEAD),
]


@pytest.mark.parametrize(("state", "event", "expected"), _LIFE)
def test_life_goes_on_as_designed(state: State, event: Event, expected: State) -> None:
    assert after(state, event) is expected


@pytest.mark.parametrize(
    ("state", "event"),
    [
        pair
        for pair in itertools.product(State, Event)
        if pair not in {(one, event) for one, event, _ in _LIFE}
    ],
)
def test_what_is_not_in_the_table_is_a_conflict(state: State, event: Event) -> None:
    with pytest.raises(Conflict):
        after(state, event)


def test_every_state_can_be_reached_and_left() -> None:
    assert {expected for _, _, expected in _LIFE} == set(State)
    assert {state for state, _, _ in _LIFE} == set(State)


def test_docker_is_never_shown_a_starting_container() -> None:
    assert State.STARTING.shown == "created"
    assert {state.shown for state in State} == {
        *("created", "running", "restarting", "paused", "exited", "dead")
    }


def test_a_process_lives_only_in_running_and_paused() -> None:
    assert {state for state in State if state.alive} == {State.RUNNING, State.PAUSED}
