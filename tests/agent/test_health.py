"""Health checks by Docker's rules, run by the agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from sockerless_ecs.agent import AgentEvent, HealthCheck, StartRefused, StartRequest, sights
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.health import Health, HealthStatus
from tests.agent.conftest import AgentTask, StartAgent

_MS = 1_000_000


def _check(line: str, **wishes: int) -> HealthCheck:
    times = {"interval": 30, "timeout": 20_000, "start_period": 0, "start_interval": 30, **wishes}
    retries = times.pop("retries", 1)
    return HealthCheck(
        test=("CMD-SHELL", line), retries=retries, **{name: ms * _MS for name, ms in times.items()}
    )


async def _start(task: AgentTask, check: HealthCheck, *argv: str, run: str = "r1", **wishes: object) -> None:
    await task.client.start(
        StartRequest(run=run, argv=argv or ("sleep", "1000"), health=check, **wishes)  # type: ignore[arg-type]
    )


async def _health(events: AsyncIterator[AgentEvent]) -> Health:
    async for event in events:
        if event.type == "health":
            assert event.health is not None
            return event.health
    raise AssertionError("the agent went away")


async def _becomes(events: AsyncIterator[AgentEvent], status: HealthStatus) -> Health:
    with trio.fail_after(30):
        while (health := await _health(events)).status != status:
            pass
    return health


async def test_health_follows_what_the_probe_says(start_agent: StartAgent, tmp_path: Path) -> None:
    async with start_agent() as task, task.client.events() as events:
        assert (await task.client.health()).container_health == "none"
        await _start(task, _check(f"echo looking; test -e {tmp_path}/well", retries=2))
        first = await _health(events)
        assert (first.status, first.log) == (HealthStatus.STARTING, ())
        ill = await _becomes(events, HealthStatus.UNHEALTHY)
        assert ill.failing_streak == 2
        assert [(probe.exit_code, probe.output) for probe in ill.log] == [(1, "looking\n")] * 2
        assert ill.log[0].start_ns <= ill.log[0].end_ns <= ill.log[1].start_ns
        (tmp_path / "well").touch()
        well = await _becomes(events, HealthStatus.HEALTHY)
        assert (well.failing_streak, well.log[-1].exit_code) == (0, 0)
        assert (await task.client.health()).container_health == "healthy"
        for _ in range(5):
            well = await _health(events)
        assert len(well.log) == 5


async def test_probe_that_takes_too_long_is_killed_with_its_children(start_agent: StartAgent) -> None:
    line = "echo began; sleep 1001 & setsid sleep 1001 & wait"
    async with start_agent() as task, task.client.events() as events:
        await _start(task, _check(line, timeout=700, interval=100))
        ill = await _becomes(events, HealthStatus.UNHEALTHY)
        assert ill.log[0].exit_code == -1
        assert ill.log[0].output == "Health check exceeded timeout (700ms): began\n"
        await _becomes(events, HealthStatus.UNHEALTHY)
        left = [p for p in await sights.processes(task.client) if p.arguments == "sleep 1001"]
        assert len(left) <= 2  # of the probe that is under way, if one is


async def test_probe_that_cannot_start_is_a_failure_that_says_why(start_agent: StartAgent) -> None:
    check = HealthCheck(
        test=("CMD", "no-such-probe"),
        interval=20 * _MS, timeout=1000 * _MS, start_period=0, start_interval=20 * _MS, retries=1,
    )  # fmt: skip
    async with start_agent() as task, task.client.events() as events:
        await _start(task, check)
        ill = await _becomes(events, HealthStatus.UNHEALTHY)
        assert ill.log[0].exit_code == -1
        assert "executable file not found in $PATH" in ill.log[0].output


async def test_output_of_a_probe_is_bounded(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.events() as events:
        await _start(task, _check("head -c 1000000 /dev/zero | tr '\\0' x; echo >&2 y"))
        well = await _becomes(events, HealthStatus.HEALTHY)
        assert well.log[0].output == "x" * 4096 + "..."


async def test_failures_in_the_start_period_do_not_count(start_agent: StartAgent) -> None:
    check = _check("false", start_period=600_000, interval=600_000, start_interval=20)
    async with start_agent() as task, task.client.events() as events:
        await _start(task, check)
        with trio.fail_after(30):
            for _ in range(4):
                health = await _health(events)
        assert (health.status, health.failing_streak, len(health.log)) == (HealthStatus.STARTING, 0, 3)


async def test_probe_runs_as_the_container_does(start_agent: StartAgent, tmp_path: Path) -> None:
    async with start_agent() as task, task.client.events() as events:
        await _start(
            task,
            _check('echo "$WISH $(pwd)"; test ! -t 0'),
            env=("WISH=granted",),
            cwd=str(tmp_path),
            tty=True,
        )
        well = await _becomes(events, HealthStatus.HEALTHY)
        assert well.log[0].output == f"granted {tmp_path}\n"


async def test_late_reader_learns_the_newest_health_only(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.events() as events:
        await _start(task, _check("true"))
        await _becomes(events, HealthStatus.HEALTHY)
        for after in (0, 10**9):
            async with task.client.events(after=after) as late:
                assert (await _health(late)).status == HealthStatus.HEALTHY


async def test_no_probe_while_it_is_paused_and_none_after_the_exit(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    line = f"echo x >> {tmp_path}/probes"
    async with start_agent() as task, task.client.events() as events:
        await _start(task, _check(line, interval=20), linger_seconds=1000)
        await _becomes(events, HealthStatus.HEALTHY)
        await task.client.pause("r1")
        before = (tmp_path / "probes").read_bytes()
        await trio.sleep(0.3)  # that nothing happens can only be waited for
        assert (tmp_path / "probes").read_bytes() == before
        await task.client.unpause("r1")
        await _health(events)
        await _health(events)
        assert len((tmp_path / "probes").read_bytes()) > len(before)
        await task.client.signal("r1", "SIGKILL")
        await task.drained()
        assert (await task.client.health()).container_health == "none"
        before = (tmp_path / "probes").read_bytes()
        await trio.sleep(0.2)
        assert (tmp_path / "probes").read_bytes() == before


@pytest.mark.parametrize("wishes", [{"interval": 0}, {"timeout": 0}, {"retries": 0}])
async def test_check_without_its_defaults_is_refused(start_agent: StartAgent, wishes: dict[str, int]) -> None:
    async with start_agent() as task:
        with pytest.raises((InvalidParameter, StartRefused), match="health: "):
            await _start(task, _check("true", **wishes))
