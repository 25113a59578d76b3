"""Who waits for hang-ups hears of its own socket only."""

from __future__ import annotations

import socket

import pytest
import trio
import trio.testing

from sockerless_ecs.http.hangups import HangUps
from tests.e2e.world import eventually


async def test_socket_with_the_number_of_a_closed_one_is_waited_for_by_itself() -> None:
    """A connection may be closed while somebody still waits for its client; the next one gets its number."""
    async with trio.open_nursery() as nursery:
        with HangUps().opened() as hang_ups:
            nursery.start_soon(hang_ups.watch)
            told: list[str] = []

            async def wait(name: str, descriptor: int) -> None:
                await hang_ups.wait(descriptor)
                told.append(name)

            first, first_peer = socket.socketpair()
            number = first.fileno()
            nursery.start_soon(wait, "first", number)
            await trio.testing.wait_all_tasks_blocked()
            first.close()
            second, second_peer = socket.socketpair()
            with first_peer, second, second_peer:
                assert second.fileno() == number
                nursery.start_soon(wait, "second", number)
                await trio.testing.wait_all_tasks_blocked()
                assert told == ["first"]
                second_peer.close()
                await eventually(lambda: told == ["first", "second"])
            nursery.cancel_scope.cancel()


async def test_only_one_waits_for_a_socket() -> None:
    with HangUps().opened() as hang_ups:
        one, peer = socket.socketpair()
        with one, peer:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hang_ups.wait, one.fileno())
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(FileExistsError):
                    await hang_ups.wait(one.fileno())
                nursery.cancel_scope.cancel()
