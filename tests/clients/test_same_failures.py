"""`docker run` of what cannot run exits and speaks as on a real dockerd."""

from __future__ import annotations

import re

import pytest

from tests.clients.cli import DockerCli
from tests.clients.engines import IMAGE, Target

_RUNTIME = re.compile(r"failed to create (shim )?task.*(?=exec: )")

_CANNOT_RUN = {
    "a missing command": ((), ("nothing",)),
    "a missing path": ((), ("/nothing/here",)),
    "a directory": ((), ("/etc",)),
    "a missing user": (("--user", "ghost"), ("/bin/program", "id")),
    "a missing group": (("--user", "0:ghosts"), ("/bin/program", "id")),
    "a missing entrypoint": (("--entrypoint", "/no/entry"), ()),
    "a relative folder": (("--workdir", "relative"), ("/bin/program", "id")),
    "an unknown option value": (("--stop-signal", "NONSENSE"), ("/bin/program", "id")),
}


@pytest.mark.parametrize("what", _CANNOT_RUN)
def test_docker_run_fails_as_on_a_real_dockerd(
    what: str, ours: Target, real: Target, docker_cli: str
) -> None:
    options, words = _CANNOT_RUN[what]
    mine, theirs = (_failed(DockerCli(docker_cli, engine), options, words) for engine in (ours, real))
    assert mine == theirs


def _failed(docker: DockerCli, options: tuple[str, ...], words: tuple[str, ...]) -> tuple[int, str]:
    """The exit code, and the words that are not the runtime's own."""
    done = docker.try_("run", "--rm", *docker.places(options), IMAGE, *words)
    said = done.err.decode().partition("\n")[0].removeprefix("docker: Error response from daemon: ")
    said = said.removesuffix(".").removesuffix(": unknown").replace("permission denied", "is a directory")
    return done.code, _RUNTIME.sub("", said)
