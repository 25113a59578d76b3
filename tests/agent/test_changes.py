"""Which paths of the root file system were changed, as an agent finds them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import trio

from sockerless_ecs.agent import files
from tests.agent.conftest import StartAgent


async def test_changed_paths_are_told_with_what_is_in_their_directories(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/untouched").write_bytes(b"x")
    (tmp_path / "old/removed").write_bytes(b"x")
    (tmp_path / "old/changed").write_bytes(b"x")
    while time.time_ns() < (tmp_path / "old").stat().st_ctime_ns + 50_000_000:  # noqa: ASYNC110
        await trio.sleep(0.01)
    odd = os.fsdecode(b'odd\n\xff"\\')
    async with start_agent() as task:
        (tmp_path / "old/removed").unlink()
        (tmp_path / "old/changed").chmod(0o600)
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / odd).write_bytes(b"x")
        (tmp_path / "new/link").symlink_to("nowhere")
        os.utime(tmp_path / "new/link", (1, 1), follow_symlinks=False)  # its time cannot be forged
        below = f"{tmp_path}/"
        async with files.changed(task.client) as changes:
            found = {change.path: change async for change in changes if change.path.startswith(below)}
    assert set(found) >= {
        f"{tmp_path}/{name}" for name in ("old", "old/changed", "new", f"new/{odd}", "new/link")
    }
    assert f"{tmp_path}/old/untouched" not in found
    assert set(found[f"{tmp_path}/old"].entries) == {"changed", "untouched"}
    assert set(found[f"{tmp_path}/new"].entries) == {odd, "link"}
    assert found[f"{tmp_path}/new"].directory
    assert not found[f"{tmp_path}/new/link"].directory
    assert not [path for path in found if path.startswith(f"{tmp_path}/spool")]
