"""What a container must not see or do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sockerless_ecs.sandbox.runner import kernel
from sockerless_ecs.sandbox.runner.client import HOST, Container, Mode, Mount
from tests.sandbox.runner.box import Box

pytestmark = pytest.mark.mode("rootless")


def shell(box: Box, script: str) -> str:
    """What a script prints in image host."""
    return box.finish(Container("main", HOST, ("sh", "-c", script))).log


def test_devices_mounts_and_the_kernels_switches_are_closed(box: Box) -> None:
    """Docker's default capabilities, and nodev everywhere."""
    for words in (
        ("mknod", "/disk", "254", "0"),
        ("mknod", "/dev/disk", "254", "0"),
        ("mknod", "/dev/shm/disk", "254", "0"),
        ("mount", "/tmp"),
        ("write", "/proc/sys/kernel/panic", "1"),
        ("write", "/proc/sysrq-trigger", "h"),
        ("write", "/sys/kernel/uevent_helper", "x"),
    ):
        assert box.print("try", *words).startswith("failed"), words
    assert box.print("try", "write", "/dev/null", "x").startswith("ok")


@pytest.mark.parametrize("flag", [kernel.NEWUSER, kernel.NEWNET, kernel.NEWUSER | kernel.NEWNS])
def test_no_new_namespaces_can_be_made(box: Box, flag: int) -> None:
    """As on Fargate, where a user namespace would hand out every capability again."""
    assert "operation not permitted" in box.print("try", "unshare", str(flag))


def test_a_container_sees_only_its_own_processes(box: Box) -> None:
    """PID 1 is its program."""
    if any("see all processes" in limit for limit in box.runner.limits):
        pytest.skip("needs a /proc that is not masked")
    assert box.print("processes") == "1\n"
    assert shell(box, "echo $$") == "1\n"


def test_image_host_shows_no_home_no_temporary_file_and_not_the_sandbox(box: Box) -> None:
    """Whatever else the machine has is there, under an overlay."""
    state = str(box.runner._state)
    log = shell(
        box, f"ls -A /tmp /run /root /home/* 2>/dev/null; ls {state} 2>&1; test -e /bin/sh && echo a machine"
    )
    assert "a machine" in log
    for name in ("layers", "tasks", ".ssh", ".bashrc", ".profile", ".aws", "runner", "pytest"):
        assert name not in log.replace(state, "")


def test_what_a_task_writes_into_image_host_stays_in_the_task(box: Box) -> None:
    """The machine's own file is as it was; the next task sees nothing."""
    before = Path("/etc/passwd").read_bytes()
    log = shell(
        box,
        "echo mine > /etc/passwd && cat /etc/passwd; "
        "echo mine > /etc/sockerless-was-here; ls /etc/sockerless-was-here",
    )
    assert "mine" in log or any("not changed in place" in limit for limit in box.runner.limits)
    assert log.endswith("/etc/sockerless-was-here\n")
    assert Path("/etc/passwd").read_bytes() == before
    assert not Path("/etc/sockerless-was-here").exists()
    assert "mine" not in shell(box, "cat /etc/passwd")


def test_a_read_only_root_has_writable_volumes_and_hosts(box: Box) -> None:
    """As readonlyRootFilesystem has it."""
    words = (
        "try",
        "write",
        "/x",
        "x",
        ";",
        "try",
        "write",
        "/v/x",
        "x",
        ";",
        "try",
        "write",
        "/r/x",
        "x",
        ";",
        "try",
        "write",
        "/etc/hosts",
        "x",
    )
    mounts = (Mount("v", "/v"), Mount("v", "/r", readonly=True))
    log = box.print(*words, readonly_root=True, mounts=mounts, volumes={"v": None})
    assert [line.split()[0] for line in log.splitlines()] == ["failed", "ok", "failed", "ok"]


@pytest.mark.mode("full")
def test_a_container_runs_as_the_user_it_names(box: Box) -> None:
    """By number without a passwd file, by name with one; such a user has no rights left."""
    assert box.print("id", user="1234") == "1234 0 [] /\n"
    assert box.print("id", user="1234:99") == "1234 99 [] /\n"
    result = box.finish(
        Container(
            "main",
            HOST,
            ("sh", "-c", "id -u; id -g; echo $HOME; echo x >> /dev/stdout; grep CapEff /proc/self/status"),
            user="nobody",
        )
    )
    assert result.codes == {"main": 0}, result
    lines = result.log.splitlines()
    assert lines[0] == "65534"
    assert "CapEff:\t0000000000000000" in lines


def test_no_capability_beyond_dockers_is_left(box: Box) -> None:
    """Not even in the bounding set."""
    log = shell(box, "grep Cap /proc/self/status")
    sets = {line.split(":")[0]: int(line.split()[1], 16) for line in log.splitlines()}
    docker = sum(1 << n for n in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31))
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert sets[name] & ~docker == 0, name


def test_rootless_has_one_user_and_says_so(box: Box) -> None:
    """Instead of running the program as somebody else."""
    if box.runner.mode is not Mode.ROOTLESS:
        return
    result = box.finish(box.container("id", user="1234"))
    assert result.codes == {"main": 125}
    assert "rootless" in result.exits["main"].error


def test_a_symlink_in_an_image_does_not_lead_a_mount_out_of_it(box: Box, tmp_path: Path) -> None:
    """resolv.conf is often one, dangling; a volume's target may be one on purpose."""
    from tests.sandbox.runner.box import archive  # noqa: PLC0415

    victim = Path("/tmp") / f"sockerless-victim-{os.getpid()}"
    link = {"type": b"2", "linkname": "../../../../../../run/systemd/resolve/stub-resolv.conf"}
    out = {"type": b"2", "linkname": f"../../../../../..{victim}"}
    layer = box.runner.unpack(
        *archive(tmp_path, ("etc", {"type": b"5"}, b""), ("etc/resolv.conf", link, b""), ("out", out, b""))
    )
    log = box.print(
        "cat",
        "/etc/resolv.conf",
        ";",
        "write",
        "/out/x",
        "y",
        layers=(*box.tool, layer),
        mounts=(Mount("v", "/out"),),
        volumes={"v": None},
    )
    assert f"nameserver {box.runner.gateway}" in log
    assert not victim.exists()
