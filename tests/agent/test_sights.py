"""What an agent sees of its container: processes and what they use."""

from __future__ import annotations

import time

import trio

from sockerless_ecs.agent import StartRequest, sights
from tests.agent.conftest import StartAgent

_SECOND = 1_000_000_000


async def test_processes_are_told_without_the_agent(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        assert await sights.processes(task.client) == []
        before = time.time_ns()
        started = await task.client.start(
            StartRequest(run="r1", argv=("sh", "-c", "nice -n 3 sleep 1000 & echo up; wait"), tty=True)
        )
        async with task.client.logs("r1", follow=True) as lines:
            await anext(lines)
        with trio.fail_after(20):
            while "sleep" not in [p.command for p in await sights.processes(task.client)]:  # noqa: ASYNC110
                await trio.sleep(0.01)
        found = {process.command: process for process in await sights.processes(task.client)}
        assert set(found) == {"sh", "sleep"}
        shell, sleep = found["sh"], found["sleep"]
        assert shell.pid == started.pid
        assert shell.arguments == "sh -c nice -n 3 sleep 1000 & echo up; wait"
        assert (sleep.ppid, sleep.nice) == (shell.pid, 3)
        assert sleep.state in "RS"
        assert (shell.uid, shell.user, shell.gid) == (0, "root", 0)
        assert shell.tty.startswith("pts/")
        assert abs(shell.start_ns - before) < 20 * _SECOND
        assert 0 < shell.rss_kib <= shell.vsz_kib


async def test_usage_counts_what_the_container_uses(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        before = await sights.usage(task.client)
        assert before.online_cpus > 0
        await task.run("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done", linger_seconds=1000)
        await task.client.start(StartRequest(run="r2", argv=("sh", "-c", "echo up; sleep 1000; :")))
        async with task.client.logs("r2", follow=True) as lines:
            await anext(lines)  # its memory is counted once it has run a little
        after = await sights.usage(task.client)
        assert before.read_ns < after.read_ns
        assert after.cpu_total_ns > before.cpu_total_ns
        assert after.system_cpu_ns > before.system_cpu_ns
        assert after.memory_bytes > 0
        assert after.memory_limit_bytes > after.memory_bytes
        assert after.pids >= 1
        assert "lo" not in after.networks
        assert after.cgroup_version in (1, 2)
