"""Output while the process runs, at its end, and from CloudWatch Logs afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.e2e.world import Api, Daemon, demultiplexed, eventually


async def _follow(api: Api, container: str, **query: Any) -> bytes:
    """All of a followed log, to its end."""
    params = {"stdout": 1, "stderr": 1, "follow": 1, **query}
    async with api.http.stream("GET", f"/containers/{container}/logs", params=params) as answer:
        assert answer.status_code == 200
        return b"".join([chunk async for chunk in answer.aiter_raw()])


async def test_follower_gets_every_line_and_the_end(api: Api) -> None:
    """20,000 lines, none lost, none twice, and the stream ends when the output has drained."""
    container = await api.run("seq", "1", "20000")
    out, err = demultiplexed(await _follow(api, container))
    assert out == b"".join(b"%d\n" % number for number in range(1, 20001))
    assert err == b""
    await api.remove(container)


async def test_log_asked_for_right_after_the_exit_is_whole(api: Api) -> None:
    """The process has ended, its last output is still on its way: it comes all the same."""
    container = await api.run("seq", "1", "60000")
    await api.wait(container)
    assert (await api.logs(container))[0].endswith(b"\n59999\n60000\n")
    assert (await api.logs(container, tail=1))[0] == b"60000\n"
    await api.remove(container)


async def test_follower_that_came_before_the_start_misses_nothing(api: Api) -> None:
    container = await api.create("sh", "-c", "echo first; sleep 0.2; echo last")
    got: list[bytes] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            got.append(demultiplexed(await _follow(api, container))[0])

        nursery.start_soon(follow)
        await trio.testing.wait_all_tasks_blocked(0.1)
        await api.start(container)
    assert got == [b"first\nlast\n"]
    await api.remove(container)


async def test_many_followers_share_one_reader(api: Api) -> None:
    container = await api.create(
        "sh", "-c", "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; sleep 0.3; echo end"
    )
    got: list[bytes] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            got.append(demultiplexed(await _follow(api, container))[0])

        for _ in range(20):
            nursery.start_soon(follow)
        await api.start(container)
    expected = b"".join(b"line %d\n" % number for number in range(300)) + b"end\n"
    assert got == [expected] * 20
    await api.remove(container)


async def test_output_survives_its_task(api: Api) -> None:
    """After the task has gone the log comes from the kept tail and CloudWatch Logs."""
    container = await api.run("sh", "-c", "seq 1 3000; echo err >&2", Labels={"sockerless.linger": "0"})
    await api.wait(container)
    await eventually(lambda: _gone(api, container))
    out, err = await api.logs(container)
    assert out == b"".join(b"%d\n" % number for number in range(1, 3001))
    assert err == b"err\n"
    assert (await api.logs(container, tail=2, stderr=0))[0] in (b"2999\n3000\n", b"3000\n")
    await api.remove(container)


async def _gone(api: Api, container: str) -> bool:
    return not (await api.inspect(container)).get("AgentAddress")


async def test_log_is_whole_after_a_daemon_s_death(api: Api, new_daemon: object) -> None:
    """The kept tail dies with the daemon; CloudWatch Logs has everything, line for line."""
    daemon: Daemon = new_daemon()  # type: ignore[operator]
    daemon.start()
    mine = Api(daemon.socket)
    script = "echo; echo '[stderr] mine'; seq 1 2500; echo oops >&2; printf tail"
    container = await mine.run("sh", "-c", script, Labels={"sockerless.linger": "0"})
    await mine.wait(container)
    before = await mine.logs(container)
    daemon.kill()
    daemon.start()
    mine = Api(daemon.socket)
    await eventually(lambda: _gone(mine, container))
    assert await mine.logs(container) == before
    assert before[0].endswith(b"2500\ntail")
    await mine.remove(container)
    assert daemon.stop() == 0


async def test_timestamps_and_streams_are_chosen(api: Api) -> None:
    container = await api.run("sh", "-c", "echo out; echo err >&2")
    await api.wait(container)
    assert await api.logs(container, stdout=0) == (b"", b"err\n")
    stamped = (await api.logs(container, stderr=0, timestamps=1))[0]
    moment, _, text = stamped.partition(b" ")
    assert text == b"out\n"
    assert moment.endswith(b"Z")
    answer = await api.http.get(f"/containers/{container}/logs")
    assert answer.status_code == 400
    await api.remove(container)


@pytest.mark.mode("rootless")
async def test_logs_reach_back_past_what_the_agent_keeps(api: Api) -> None:
    """Six runs in one task: the agent keeps the newest four, CloudWatch Logs has the others."""
    container = await api.run("sh", "-c", "echo run >> /tmp/n; wc -l < /tmp/n")
    for _ in range(5):
        await api.wait(container)
        await api.start(container)
    await api.wait(container)
    assert (await api.logs(container))[0] == b"1\n2\n3\n4\n5\n6\n"
    await api.remove(container)
