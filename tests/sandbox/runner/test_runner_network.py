"""Who reaches whom: tasks, the machine, and what lies beyond."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.sandbox.runner.client import HOST, Container, Mode, Runner, Warned
from tests.sandbox.runner.box import PATIENCE_SECONDS, Box
from tests.sandbox.runner.conftest import require_mode

PORT = 9111


@pytest.fixture
def serve(box: Box) -> Iterator[Callable[..., tuple[str, str]]]:
    """Starts a task that says hello on 9111; returns its id and address once it listens."""
    made: list[str] = []

    def start(*groups: str) -> tuple[str, str]:
        task, address = box.start(box.container("listen", f":{PORT}", ";", "sleep", "600"), groups=groups)
        made.append(task)
        box.wait_for_line(task, "listening")
        return task, address

    yield start
    for task in made:
        box.runner.stop(task, kill_after=0)
        box.ended(task)


@pytest.fixture
def rule(box: Box) -> Iterator[Callable[..., None]]:
    """Allows something until the test ends."""
    made: list[tuple[str, str, int, int, str]] = []

    def allow(source: str, target: str, low: int = 0, high: int = 65535, protocol: str = "tcp") -> None:
        made.append((source, target, low, high, protocol))
        box.runner.allow(*made[-1])

    yield allow
    for what in made:
        box.runner.revoke(*what)


def reaches(address: str, port: int = PORT) -> bool:
    """Whether the machine gets an answer from a task."""
    try:
        with socket.create_connection((address, port), timeout=0.4) as connection:
            return bool(connection.recv(100))
    except OSError:
        return False


def task_reaches(box: Box, address: str, *groups: str, port: int = PORT) -> bool:
    """Whether a task with these groups gets an answer."""
    return "hello" in box.print("try", "connect", f"{address}:{port}", groups=groups)


@pytest.mark.mode("rootless")
def test_the_machine_reaches_a_task_only_where_a_rule_admits_it(
    box: Box, serve: Callable[..., tuple[str, str]], rule: Callable[..., None]
) -> None:
    """By a range that contains the machine's address, and the port; a closed task is unreachable."""
    _, address = serve("sg-agent")
    assert not reaches(address)
    rule("sg-other", "sg-agent", PORT, PORT)
    rule("192.0.2.0/24", "sg-agent", PORT, PORT)
    rule("0.0.0.0/0", "sg-agent", 80, 443)
    assert not reaches(address)
    rule("0.0.0.0/0", "sg-agent", 9000, 9200)
    assert reaches(address)
    box.runner.revoke("0.0.0.0/0", "sg-agent", 9000, 9200)
    assert not reaches(address)
    rule(box.runner.machine, "sg-agent", 0, 65535, "-1")
    assert reaches(address)


@pytest.mark.mode("rootless")
def test_a_rule_made_before_the_task_holds_too(
    serve: Callable[..., tuple[str, str]], rule: Callable[..., None]
) -> None:
    """Groups live longer than tasks."""
    rule("0.0.0.0/0", "sg-early", PORT, PORT)
    _, address = serve("sg-early")
    _, other = serve("sg-late")
    assert reaches(address)
    assert not reaches(other)


@pytest.mark.mode("rootless")
def test_tasks_reach_each_other_only_by_their_groups(
    box: Box, serve: Callable[..., tuple[str, str]], rule: Callable[..., None]
) -> None:
    """No shared group without a self rule, no group without a rule, exact ports."""
    _, address = serve("sg-one")
    assert not task_reaches(box, address, "sg-one")
    rule("sg-one", "sg-one", 0, 65535, "-1")
    assert task_reaches(box, address, "sg-one")
    assert not task_reaches(box, address, "sg-two")
    assert not task_reaches(box, address)
    rule("sg-two", "sg-one", 9112, 9999)
    assert not task_reaches(box, address, "sg-two")
    rule("sg-two", "sg-one", PORT, PORT)
    assert task_reaches(box, address, "sg-two")
    rule("sg-three", "sg-one", PORT, PORT, "udp")
    assert not task_reaches(box, address, "sg-three")


def test_the_agents_port_is_reached_on_the_tasks_own_address(box: Box) -> None:
    """Two tasks listen on the same port; each is found at its own address, in every mode."""
    box.runner.allow("0.0.0.0/0", "sg-agent", PORT, PORT)
    ids = []
    for name in ("one", "two"):
        words = ("listen-agent", ";", "print", "listening", ";", "sleep", "600")
        task, address = box.start(box.container(*words), groups=("sg-agent",), hostname=name)
        ids.append(task)
        box.wait_for_line(task, "listening")
        with socket.create_connection((address, PORT), timeout=5) as connection:
            answer = connection.recv(100)
        assert answer.startswith(b"hello")
        assert box.runner.mode is Mode.BARE or name.encode() in answer
    for task in ids:
        box.runner.stop(task, kill_after=0)
        box.ended(task)
    box.runner.revoke("0.0.0.0/0", "sg-agent", PORT, PORT)


def test_tasks_reach_exposed_ports_of_the_machine_and_nothing_else(box: Box) -> None:
    """The gateway stands for the machine's loopback; what is not exposed is refused at once."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as secret:
        for listener in (server, secret):
            threading.Thread(target=_greet, args=(listener,), daemon=True).start()
        box.runner.expose(server.getsockname()[1])
        gateway = box.runner.gateway
        assert "hello" in box.print("try", "connect", f"{gateway}:{server.getsockname()[1]}")
        if box.runner.mode is Mode.BARE:
            return
        for target in (f"{gateway}:{secret.getsockname()[1]}", "192.0.2.1:80", f"{box.runner.machine}:22"):
            assert box.print("try", "connect", target).startswith("failed")


def _greet(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"hello\n")


@pytest.mark.mode("rootless")
def test_the_resolver_knows_what_it_was_told(box: Box) -> None:
    """And of every other name, at once, that it does not exist."""
    box.runner.name("db.private", ["10.1.2.3", "10.1.2.4"])
    assert set(box.print("resolve", "db.private").split()) == {"10.1.2.3", "10.1.2.4"}
    box.runner.name("db.private", [])
    for name in ("db.private", "example.org"):
        assert "no such host" in box.print("try", "resolve", name)


@pytest.mark.mode("rootless")
def test_a_task_may_listen_on_the_resolvers_address_and_on_low_ports(box: Box) -> None:
    """The agent answers names on 127.0.0.11:53."""
    for network in ("tcp4", "udp4"):
        assert box.print("try", "bind", network, "127.0.0.11:53").startswith("ok")
    assert box.print("try", "bind", "tcp4", ":80").startswith("ok")


def test_names_of_a_task(box: Box) -> None:
    """Its hosts file has its own address, and can be rewritten in place."""
    task = box.new_id()
    address = box.runner.address(task)
    if box.runner.mode is Mode.BARE:
        return
    words = (
        "cat",
        "/etc/hosts",
        ";",
        "write",
        "/etc/hosts",
        "1.2.3.4 other",
        ";",
        "cat",
        "/etc/hosts",
        ";",
        "cat",
        "/etc/resolv.conf",
    )
    result = box.finish(box.container(*words), id=task, hostname="name")
    assert f"{address} name\n" in result.log
    assert "1.2.3.4 other\n" in result.log
    assert f"nameserver {box.runner.gateway}\n" in result.log


@pytest.mark.parametrize("mode", list(Mode))
def test_two_sandboxes_run_side_by_side(mode: Mode, places: Callable[[], Path], tool: Path) -> None:
    """Each has addresses of its own; one's end leaves the other alone."""
    require_mode(mode)
    with Runner(places(), mode=mode) as one, Runner(places(), mode=mode) as two:
        assert one.address("x") != two.address("x")
        boxes = [Box(runner, ()) for runner in (one, two)]
        found = []
        for box in boxes:
            box.runner.allow("0.0.0.0/0", "sg", PORT, PORT)
            script = "sleep 60" if mode is Mode.BARE else "echo ready; sleep 60"
            found.append(box.start(Container("main", HOST, ("sh", "-c", script)), groups=("sg",)))
        boxes[0].close()
        assert boxes[1].finish(Container("main", HOST, ("sh", "-c", "exit 4"))).codes == {"main": 4}
        boxes[1].close()


@pytest.mark.mode("rootless")
def test_ports_that_the_task_names_are_reached(box: Box) -> None:
    """In rootless mode somebody must listen for them."""
    box.runner.allow("0.0.0.0/0", "sg-ports", 8080, 8080)
    task, address = box.start(
        box.container("listen", ":8080", ";", "sleep", "600"), groups=("sg-ports",), ports=(PORT, 8080)
    )
    box.wait_for_line(task, "listening")
    assert reaches(address, 8080)
    box.runner.stop(task, kill_after=0)
    box.ended(task)
    assert not reaches(address, 8080)


@pytest.mark.mode("rootless")
def test_a_port_that_cannot_be_listened_on_is_a_warning(box: Box) -> None:
    """Not a crash, not silence."""
    if box.runner.mode is not Mode.ROOTLESS:
        return
    task, address = box.start(box.container("sleep", "600"), ports=(PORT,))
    with socket.socket() as occupied:
        occupied.settimeout(PATIENCE_SECONDS)
        other = box.new_id()
        occupied.bind((box.runner.address(other), 7777))
        occupied.listen()
        box.start(box.container("sleep", "600"), id=other, ports=(7777,))
        box.wait(lambda: any(isinstance(event, Warned) for event in box.heard), "a warning")
    for one in (task, other):
        box.runner.stop(one, kill_after=0)
        box.ended(one)
    assert address


def test_nonsense_rules_are_refused(box: Box) -> None:
    """At once, not by the kernel."""
    with pytest.raises(InvalidParameter):
        box.runner.allow("0.0.0.0/0", "sg", 1, 2, "sctp")
    with pytest.raises(InvalidParameter):
        box.runner.allow("0.0.0.0/0", "sg", 5, 70000)
    with pytest.raises(InvalidParameter):
        box.runner.allow("0.0.0.0/99", "sg")
