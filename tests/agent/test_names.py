"""What the container calls itself and its peers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockerless_ecs.agent import Names
from sockerless_ecs.errors import InvalidParameter, Unimplemented
from tests.agent.conftest import StartAgent


async def test_hosts_file_is_rewritten_in_place(start_agent: StartAgent, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("old content that is much longer than anything that follows\n" * 50)
    inode = hosts.stat().st_ino
    async with start_agent() as task:
        await task.client.set_names(
            Names(
                hostname="box.example",
                address="10.0.0.9",
                names={"10.0.0.5": ("db", "db.net"), "fd00::1": ("six",)},
                extra_hosts=(("build", "192.0.2.1"),),
            )
        )
        assert hosts.stat().st_ino == inode
        entries = [line.split("\t") for line in hosts.read_text().splitlines()]
        assert entries[0] == ["127.0.0.1", "localhost"]
        assert entries[6:] == [
            ["192.0.2.1", "build"],
            ["10.0.0.9", "box.example box"],
            ["10.0.0.5", "db db.net"],
            ["fd00::1", "six"],
        ]
        await task.client.set_names(Names(hostname="box", address="10.0.0.9"))
        assert hosts.read_text().endswith("10.0.0.9\tbox\n")


@pytest.mark.parametrize(
    "names",
    [
        Names(hostname="box\nevil 10.0.0.1", address="10.0.0.9"),
        Names(hostname="box", address="nowhere"),
        Names(hostname="box", address="10.0.0.9", names={"10.0.0.5": ("two words",)}),
        Names(hostname="box", address="10.0.0.9", extra_hosts=(("name", "host-gateway"),)),
    ],
)
async def test_what_is_no_name_or_address_changes_nothing(
    start_agent: StartAgent, tmp_path: Path, names: Names
) -> None:
    async with start_agent() as task:
        with pytest.raises(InvalidParameter):
            await task.client.set_names(names)
        assert not (tmp_path / "hosts").exists()


async def test_dns_is_not_built(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        with pytest.raises(Unimplemented):
            await task.client.set_names(Names(hostname="box", address="10.0.0.9", dns=True))
