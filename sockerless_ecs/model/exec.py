"""What an exec is: one more process in a container."""

from __future__ import annotations

from dataclasses import dataclass

from sockerless_ecs.model.container import ContainerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """An exec instance; `exit_code` is None until it has ended, `started` once it was asked to run."""

    id: str
    container_id: ContainerId
    argv: tuple[str, ...]
    created_ns: int
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    privileged: bool = False
    detach_keys: str = ""
    started: bool = False
    pid: int = 0
    exit_code: int | None = None

    @property
    def running(self) -> bool:
        """Whether its process lives, as far as is known."""
        return self.started and self.exit_code is None
