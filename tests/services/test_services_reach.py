"""Reaching an agent that is not there yet: on real sockets, and where every await is cancelled."""

from __future__ import annotations

import ssl
import time
from functools import partial

import pytest
import trio
import trio.testing

from sockerless_ecs.agent import AgentClient, WrongAgent, client_context
from sockerless_ecs.services.reach import reach_unless
from sockerless_ecs.store import new_identity
from tests.services.fake_agent import FakeAgent, FakeClient


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    identity = new_identity()
    return client_context(identity.certificate_pem, identity.key_pem)


class Scripted(FakeClient):
    """A client whose connect takes a time, or for ever."""

    def __init__(self, agent: FakeAgent, seconds: float) -> None:
        super().__init__(agent)
        self.seconds = seconds

    async def connect(self) -> None:
        await trio.sleep(self.seconds)
        await super().connect()


async def test_refusing_address_is_tried_every_few_milliseconds_until_somebody_listens(
    context: ssl.SSLContext,
) -> None:
    """Once it listens it sees a connection at once."""
    with trio.socket.socket() as address:
        await address.bind(("127.0.0.1", 0))
        port = int(address.getsockname()[1])
        tries = 0

        def make() -> AgentClient:
            nonlocal tries
            tries += 1
            return AgentClient("127.0.0.1", port, bytes(32), context)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reach_unless, make, trio.sleep_forever)
            while tries < 5:
                await trio.lowlevel.checkpoint()
            address.listen()
            began = time.monotonic()
            connection, _ = await address.accept()
            connection.close()
            assert time.monotonic() - began < 0.2
            nursery.cancel_scope.cancel()


async def test_address_that_is_silent_at_first_is_reached_by_a_later_connect(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The first connects hang, as packets to an address that is not up yet; a new one does not."""
    agent = FakeAgent()
    waits = iter([1000.0] * 4 + [0.001] * 100)
    began = trio.current_time()
    winner = await reach_unless(lambda: Scripted(agent, next(waits)), trio.sleep_forever)
    assert winner is not None
    assert trio.current_time() - began == pytest.approx(0.02 + 0.03 + 0.045 + 0.0675, abs=0.01)
    assert agent.open_clients == 1


async def test_hanging_connects_are_bounded_in_number_and_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    made: list[float] = []

    def make() -> FakeClient:
        made.append(trio.current_time())
        return Scripted(FakeAgent(), 1000)

    assert await reach_unless(make, partial(trio.sleep, 60)) is None
    assert 60 <= len(made) <= 60 / 0.25 + 20


async def test_wrong_agent_is_tried_again(autojump_clock: trio.testing.MockClock) -> None:
    """The address has just changed hands: the right one answers in a moment."""
    agent = FakeAgent()
    agent.faults["connect"] += [WrongAgent("another's")] * 5
    assert await reach_unless(lambda: FakeClient(agent), trio.sleep_forever) is not None


async def test_reason_to_give_up_ends_it_and_leaves_nothing_open(
    autojump_clock: trio.testing.MockClock,
) -> None:
    agent = FakeAgent()
    agent.reachable = False
    assert await reach_unless(lambda: FakeClient(agent), partial(trio.sleep, 3)) is None
    assert agent.open_clients == 0


@pytest.mark.parametrize("moments", range(16))
async def test_cancelled_at_any_moment_it_leaves_nothing_open(moments: int) -> None:
    agent = FakeAgent()
    got: list[AgentClient | None] = []
    async with trio.open_nursery() as nursery:

        async def reach() -> None:
            got.append(await reach_unless(lambda: FakeClient(agent), trio.sleep_forever))

        nursery.start_soon(reach)
        for _ in range(moments):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert agent.open_clients == len(got)
