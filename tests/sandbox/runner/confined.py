"""Runs a command as a container's process would run. argv: docker or nothing (rights left), command.

No new user namespace can be made, and only Docker's default capabilities, or none, are left.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from sockerless_ecs.sandbox.runner import kernel

user, group = os.geteuid(), os.getegid()
kernel.unshare(kernel.NEWUSER)
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"0 {user} 1")
Path("/proc/self/gid_map").write_text(f"0 {group} 1")
Path("/proc/sys/user/max_user_namespaces").write_text("0")
kernel.keep_only(kernel.DOCKER_CAPABILITIES if sys.argv[1] == "docker" else frozenset())
os.execvp(sys.argv[2], sys.argv[2:])
