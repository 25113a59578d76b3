"""The tests of the agent leave no process behind, whatever becomes of an agent."""

from __future__ import annotations

import os
from pathlib import Path

from sockerless_ecs.agent import StartRequest
from tests.agent.conftest import StartAgent
from tests.agent.orphans import orphans_ended
from tests.e2e.world import eventually


async def test_killed_agent_leaves_no_process_of_its_container(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    """Neither the first process nor what left its session; a paused one neither."""
    script = "setsid sleep 1000 & echo up; sleep 1000; :"
    with orphans_ended():
        async with start_agent() as task:
            await task.client.start(
                StartRequest(run="r1", argv=("sh", "-c", script), env=(f"OF={tmp_path}",))
            )
            await eventually(lambda: task.log() and _of(tmp_path))
            await task.client.pause("r1")
            task.process.kill()
    assert not _of(tmp_path)


def _of(folder: Path) -> list[str]:
    """The processes that have inherited the test's own folder as the place of their files."""
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdecimal() and one.name != str(os.getpid()):
            try:
                environment = (one / "environ").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in environment:
                found.append(one.name)
    return found
