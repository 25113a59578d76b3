"""Execs as inspect shows them."""

from __future__ import annotations

from base64 import b64encode

from sockerless_ecs.http.shapes.exec import ExecView, ProcessView
from sockerless_ecs.model.detach import parse_keys
from sockerless_ecs.model.exec import Exec


def exec_view(instance: Exec) -> ExecView:
    """What inspect shows."""
    return ExecView(
        id=instance.id,
        container_id=instance.container_id,
        running=instance.running,
        exit_code=instance.exit_code,
        pid=instance.pid,
        open_stdin=instance.attach_stdin,
        open_stdout=instance.attach_stdout,
        open_stderr=instance.attach_stderr,
        process_config=ProcessView(
            tty=instance.tty,
            entrypoint=instance.argv[0] if instance.argv else "",
            arguments=list(instance.argv[1:]),
            privileged=instance.privileged,
            user=instance.user,
            env=list(instance.env),
            working_dir=instance.working_dir,
        ),
        can_remove=False,
        detach_keys=b64encode(parse_keys(instance.detach_keys)).decode() if instance.detach_keys else "",
    )
