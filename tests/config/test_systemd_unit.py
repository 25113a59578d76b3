"""The systemd unit speaks of keys and paths that exist."""

from __future__ import annotations

from pathlib import Path

from sockerless_ecs.config.schema import StoreSettings, keys

_UNIT = Path(__file__).parents[2] / "conf" / "systemd" / "sockerless-backend.service"


def _values(name: str) -> list[str]:
    lines = _UNIT.read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def test_every_variable_it_sets_is_a_key() -> None:
    set_here = [value.partition("=")[0] for value in _values("Environment")]
    variables = {key.variable for key in keys().values()}
    assert [name for name in set_here if name.startswith("SOCKERLESS_") and name not in variables] == []


def test_its_folders_are_those_of_the_configuration() -> None:
    assert Path(StoreSettings().path).parent == Path("/var/lib") / _values("StateDirectory")[0]
    sockets = [value.split("=")[1] for value in _values("Environment") if "_SOCKET=" in value]
    folders = {Path(socket).parent for socket in sockets}
    assert folders == {Path("/run") / _values("RuntimeDirectory")[0]}


def test_it_leaves_time_for_the_drain() -> None:
    assert int(_values("TimeoutStopSec")[0]) > float(str(keys()["shutdown.grace_seconds"].default))
