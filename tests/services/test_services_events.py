"""The events bus."""

from __future__ import annotations

import time

import pytest
import trio
import trio.testing

from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.services.events import EventBus


def everything(event: EngineEvent) -> bool:
    return True


async def collect(bus: EventBus, *, since_ns: int = 0, until_ns: int = 0) -> list[str]:
    async with bus.listen(since_ns=since_ns, until_ns=until_ns, wanted=everything) as events:
        return [event.action async for event in events]


async def test_listener_without_since_gets_only_what_comes() -> None:
    bus = EventBus()
    bus.emit("container", "create", "c", {})
    async with bus.listen(since_ns=0, until_ns=0, wanted=everything) as events:
        bus.emit("container", "start", "c", {"name": "web"})
        event = await anext(aiter(events))
    assert (event.action, event.actor_id, event.attributes) == ("start", "c", {"name": "web"})
    assert abs(event.time_ns - time.time_ns()) < 10**9


async def test_history_comes_first_and_nothing_comes_twice() -> None:
    bus = EventBus()
    for number in range(1, 4):
        bus.emit("container", f"old{number}", "c", {}, time_ns=number)
    async with bus.listen(since_ns=2, until_ns=0, wanted=everything) as events:
        bus.emit("container", "new", "c", {})
        iterator = aiter(events)
        assert [(await anext(iterator)).action for _ in range(3)] == ["old2", "old3", "new"]


async def test_filter_holds_for_history_and_for_what_comes() -> None:
    bus = EventBus()
    bus.emit("container", "create", "c", {}, time_ns=1)
    bus.emit("image", "pull", "i", {}, time_ns=2)
    async with bus.listen(since_ns=1, until_ns=0, wanted=lambda event: event.type == "image") as events:
        bus.emit("container", "start", "c", {})
        bus.emit("image", "tag", "i", {})
        iterator = aiter(events)
        assert [(await anext(iterator)).action for _ in range(2)] == ["pull", "tag"]


async def test_until_in_the_past_ends_after_history() -> None:
    bus = EventBus()
    for number in range(1, 5):
        bus.emit("container", f"old{number}", "c", {}, time_ns=number)
    assert await collect(bus, since_ns=2, until_ns=3) == ["old2", "old3"]


async def test_until_in_the_future_ends_then(autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    assert await collect(EventBus(), until_ns=time.time_ns() + 10 * 10**9) == []
    assert trio.current_time() - began == pytest.approx(10, abs=1)


async def test_listener_that_falls_too_far_behind_is_let_go_after_what_it_has() -> None:
    bus = EventBus()
    async with bus.listen(since_ns=0, until_ns=0, wanted=everything) as slow:
        for number in range(5000):
            bus.emit("container", str(number), "c", {})
        assert [event.action async for event in slow] == [str(number) for number in range(4096)]
    assert not bus._listeners


async def test_listener_that_reads_is_not_disturbed_by_one_that_does_not() -> None:
    bus, got = EventBus(), 0
    listen = bus.listen(since_ns=0, until_ns=0, wanted=everything)
    async with bus.listen(since_ns=0, until_ns=0, wanted=everything), listen as fast:
        iterator = aiter(fast)
        for number in range(6000):
            bus.emit("container", str(number), "c", {})
            got += (await anext(iterator)).action == str(number)
    assert got == 6000


async def test_listener_that_leaves_is_forgotten() -> None:
    bus = EventBus()
    with trio.CancelScope() as scope:
        async with bus.listen(since_ns=0, until_ns=0, wanted=everything) as events:
            scope.cancel()
            await anext(aiter(events))
    assert not bus._listeners
    bus.emit("container", "start", "c", {})


async def test_history_is_bounded() -> None:
    bus = EventBus()
    for number in range(1, 3000):
        bus.emit("container", str(number), "c", {}, time_ns=number)
    assert len(await collect(bus, since_ns=1, until_ns=3000)) == 1024
