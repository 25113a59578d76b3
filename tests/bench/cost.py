"""What containers cost: calls to AWS, and the daemon's time and memory."""

from __future__ import annotations

from collections import Counter
from functools import partial

import trio

from tests.bench.figure import Figure
from tests.bench.machine import cpu_seconds, memory
from tests.bench.world import World

_AT_ONCE = 10
_CALM_SECONDS = 3


async def memory_kept(world: World) -> list[Figure]:
    """The idle daemon, before anything and after containers came and went."""
    count = world.scale.memory_lives
    limiter = trio.CapacityLimiter(_AT_ONCE)

    async def come_and_go() -> None:
        async with limiter:
            container = await world.ours.create("true")
            await world.ours.start(container)
            await world.ours.wait(container)
            await world.ours.remove(container)

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(come_and_go)
    await world.settled()
    await trio.sleep(_CALM_SECONDS)
    after = memory(world.daemon.pid)
    return [
        Figure(
            name="idle daemon, just started", unit="MB PSS", samples=(world.idle.pss,), target="<= 130",
            note=f"RSS {world.idle.rss:.0f}",
        ),
        Figure(
            name=f"  after {count} containers", unit="MB PSS", samples=(after.pss,), target="<= 130",
            note=f"RSS {after.rss:.0f}",
        ),
    ]  # fmt: skip


async def calls(world: World) -> list[Figure]:
    """What AWS is asked for by containers of an image that is known, one after the other."""
    count = world.scale.exits
    other = await world.pulled("bench-calls")
    first, second = await _calls_of(world, 1, other), await _calls_of(world, 1, other)
    many = await _calls_of(world, count, world.image)
    told = ", ".join(f"{name} {number / count:.3g}" for name, number in sorted(many.items()))
    mutations = sum(number for name, number in many.items() if name != "ecs:DescribeTasks")
    return [
        Figure(
            name="RegisterTaskDefinition for a second container",
            unit="calls",
            samples=(float(second["ecs:RegisterTaskDefinition"]),),
            target="0",
            note=f"for the first of an image: {first['ecs:RegisterTaskDefinition']}",
        ),
        Figure(
            name="AWS calls in a life but DescribeTasks",
            unit="calls",
            samples=(mutations / count,),
            target="<= 3",
            note=told,
        ),
    ]


async def _calls_of(world: World, count: int, image: str) -> Counter[str]:
    await world.settled()
    world.cloud.reset_counts()
    for _ in range(count):
        container = await world.ours.create("true", Image=image)
        await world.ours.start(container)
        await world.ours.wait(container)
        await world.ours.remove(container)
    await world.settled()
    return Counter(world.cloud.state()["counts"])


async def crowd(world: World) -> list[Figure]:
    """Many containers that run, each waited for and followed: what their quiet costs."""
    count, seconds, ours = world.scale.crowd, world.scale.crowd_seconds, world.ours
    limiter = trio.CapacityLimiter(_AT_ONCE)
    containers: list[str] = []
    attached = trio.Event()
    left = count

    async def run() -> None:
        async with limiter:
            container = await ours.create("sleep", "3600")
            containers.append(container)
            await ours.start(container)

    async def follow(container: str) -> None:
        nonlocal left
        async with ours.follow(container) as chunks:
            left -= 1
            if not left:
                attached.set()
            async for _ in chunks:
                pass

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(run)
    try:
        async with trio.open_nursery() as clients:
            for container in containers:
                clients.start_soon(ours.wait, container)
                clients.start_soon(follow, container)
            await attached.wait()
            await trio.sleep(_CALM_SECONDS)
            world.cloud.reset_counts()
            used, began = cpu_seconds(world.daemon.pid), trio.current_time()
            await trio.sleep(seconds)
            elapsed = trio.current_time() - began
            counts = Counter(world.cloud.state()["counts"])
            used = cpu_seconds(world.daemon.pid) - used
            held = memory(world.daemon.pid)
            clients.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for container in containers:
                    nursery.start_soon(partial(ours.remove, container, force=True))
    describes = counts.pop("ecs:DescribeTasks", 0)
    return [
        Figure(
            name=f"{count} waiting and followed: DescribeTasks", unit="per s",
            samples=(describes / elapsed,), target="<= 2",
            note=f"other calls: {dict(counts) or 'none'}",
        ),
        Figure(name="  the daemon's CPU", unit="ms per s", samples=(used / elapsed * 1000,)),
        Figure(name="  the daemon's memory", unit="MB PSS", samples=(held.pss,), note=f"RSS {held.rss:.0f}"),
    ]  # fmt: skip
