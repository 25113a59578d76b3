"""Holds a runner with a few tasks, to be killed. argv: state folder, mode, user or -, tool, tasks."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from sockerless_ecs.sandbox.runner.client import Container, Mode, Runner, Started, Task


def main() -> None:
    """Start the tasks, say so, and wait for the end."""
    state, mode, user, tool, count = sys.argv[1:]
    runner = Runner(Path(state), mode=Mode(mode) if mode else None, user=None if user == "-" else int(user))
    data = Path(tool).read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("tool")
        info.mode, info.size = 0o755, len(data)
        tar.addfile(info, io.BytesIO(data))
    archive = Path(state).with_name("layer.tar")
    archive.write_bytes(buffer.getvalue())
    layer = runner.unpack(archive, f"sha256:{hashlib.sha256(data).hexdigest()}")
    words = ("/tool", "orphan", ";", "ignore-term", ";", "print", "ready", ";", "sleep", "600")
    for number in range(int(count)):
        runner.run(Task(f"t{number}", (Container("main", (layer,), words),)))
    started = 0
    for event in runner.events():
        started += isinstance(event, Started)
        if started == int(count):
            break
    logs = [runner.log_path(f"t{number}", "main") for number in range(int(count))]
    while not all("ready" in log.read_text() for log in logs):
        time.sleep(0.01)
    said = ("running", runner.mode, str(runner._process.pid), runner._prefix)
    sys.stdout.write("".join(f"{word}\n" for word in said))
    sys.stdout.flush()
    time.sleep(600)


main()
