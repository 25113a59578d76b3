from __future__ import annotations

import trio
import trio.testing

from sockerless_ecs.aws.budget import Budget
from sockerless_ecs.aws.operations import Rate


async def test_burst_is_at_once_and_the_rest_comes_at_the_sustained_rate(
    autojump_clock: trio.testing.MockClock,
) -> None:
    budget = Budget(Rate(burst=20, per_second=1))
    began = trio.current_time()
    for _ in range(20):
        await budget.take()
    assert trio.current_time() == began
    for _ in range(5):
        await budget.take()
    assert round(trio.current_time() - began, 3) == 5


async def test_idle_time_refills_no_more_than_the_burst(autojump_clock: trio.testing.MockClock) -> None:
    budget = Budget(Rate(burst=2, per_second=10))
    await budget.take()
    await trio.sleep(1000)
    began = trio.current_time()
    for _ in range(3):
        await budget.take()
    assert round(trio.current_time() - began, 3) == 0.1


async def test_takers_are_served_in_the_order_they_came(autojump_clock: trio.testing.MockClock) -> None:
    budget = Budget(Rate(burst=1, per_second=1))
    served: list[int] = []

    async def take(number: int) -> None:
        await budget.take()
        served.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(take, number)
            await trio.testing.wait_all_tasks_blocked()
    assert served == list(range(10))


async def test_taker_that_gives_up_spends_nothing(autojump_clock: trio.testing.MockClock) -> None:
    budget = Budget(Rate(burst=1, per_second=1))
    await budget.take()
    began = trio.current_time()
    with trio.move_on_after(0.5) as scope:
        await budget.take()
    assert scope.cancelled_caught
    await budget.take()
    assert round(trio.current_time() - began, 3) == 1


async def test_throttled_answer_empties_the_bucket(autojump_clock: trio.testing.MockClock) -> None:
    budget = Budget(Rate(burst=100, per_second=2))
    await budget.take()
    began = trio.current_time()
    budget.exhaust()
    await budget.take()
    assert round(trio.current_time() - began, 3) == 0.5
