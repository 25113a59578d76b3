"""docker-py on our daemon and on a real dockerd."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from typing import Any

import docker
import docker.errors
import pytest

from tests.clients.engines import IMAGE, VERSION, Target, tar_of

_MEGABYTE = 1 << 20


@pytest.fixture
def client(engine: Target) -> Iterator[Any]:
    """docker-py's high-level client."""
    made = docker.DockerClient(base_url=engine.host, version=VERSION.removeprefix("v"), timeout=60)
    yield made
    made.close()


@pytest.fixture
def place(engine: Target) -> dict[str, str]:
    """What every create needs there."""
    return {} if engine.is_ours else {"network_mode": engine.network}


@pytest.fixture
def container(client: Any, place: dict[str, str]) -> Iterator[Any]:
    """A container that runs until the test is over."""
    made = client.containers.run(IMAGE, ["/bin/program", "forever"], detach=True, **place)
    yield made
    made.remove(force=True)


def test_version_is_negotiated(engine: Target) -> None:
    made = docker.DockerClient(base_url=engine.host, version="auto")
    assert made.ping()
    assert made.version()["Os"] == "linux"
    made.close()


def test_run_answers_with_the_output(client: Any, place: dict[str, str]) -> None:
    assert client.containers.run(IMAGE, ["/bin/program", "print", "hi"], remove=True, **place) == b"hi\n"


def test_failed_run_carries_the_exit_code_and_the_error_stream(client: Any, place: dict[str, str]) -> None:
    with pytest.raises(docker.errors.ContainerError) as caught:
        client.containers.run(
            IMAGE, ["/bin/program", "complain", "oh", ";", "exit", "6"], remove=True, **place
        )
    assert (caught.value.exit_status, caught.value.stderr) == (6, b"oh\n")


def test_exec_has_output_streams_and_exit_code(container: Any) -> None:
    command = ["/bin/program", "print", "out", ";", "complain", "err", ";", "exit", "3"]
    assert container.exec_run(command, demux=True) == (3, (b"out\n", b"err\n"))
    assert container.exec_run(["/bin/program", "env", "A"], environment={"A": "b"}).output == b"b\n"
    assert container.exec_run(["/bin/program", "id"], user="7:8", workdir="/etc").output == b"7 8 [8] /etc\n"


def test_exec_over_a_socket_takes_input(client: Any, container: Any) -> None:
    made = client.api.exec_create(container.id, ["/bin/program", "line"], stdin=True)
    sock = client.api.exec_start(made["Id"], socket=True)
    sock._sock.sendall(b"typed\n")
    data = b""
    while b"]\n" not in data:
        data += sock.read(4096)
    assert data.endswith(b"[typed]\n")
    sock.close()


def test_exec_of_nothing_known_ends_with_its_reason(container: Any) -> None:
    code, output = container.exec_run(["nonsense"])
    assert code in (126, 127)
    assert b'exec: "nonsense": executable file not found in $PATH' in output


def test_attached_socket_sees_the_first_byte_and_input_outlives_the_client(
    client: Any, place: dict[str, str]
) -> None:
    host = client.api.create_host_config(**place)
    command = ["/bin/program", "print", "ready", ";", "line", ";", "await", "/go", ";", "line"]
    config = client.api.create_container_config(IMAGE, command)
    config |= {"OpenStdin": True, "AttachStdin": False, "HostConfig": host}
    made = client.api.create_container_from_config(config)["Id"]
    client.api.inspect_container(made)  # the attach comes on a connection that was used before
    sock = client.api.attach_socket(made, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    client.api.start(made)
    sock._sock.sendall(b"typed\n")
    seen = b""
    while b"[typed]\n" not in seen:
        seen += sock.read(4096)
    assert b"ready\n" in seen
    sock._sock.shutdown(1)  # without stdin_once the process's input goes on, and this client's output ends
    assert sock.read(4096) == b""
    sock.close()
    client.api.put_archive(made, "/", tar_of({"go": b""}))
    again = client.api.attach_socket(made, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    again._sock.sendall(b"more\n")
    assert again.read(4096).endswith(b"[more]\n")
    again.close()
    client.api.remove_container(made, force=True)


def test_input_with_stdin_once_ends_with_the_client(client: Any, place: dict[str, str]) -> None:
    host = client.api.create_host_config(**place)
    config = client.api.create_container_config(IMAGE, ["/bin/program", "digest"], stdin_open=True)
    config |= {"StdinOnce": True, "AttachStdin": True, "AttachStdout": True, "HostConfig": host}
    made = client.api.create_container_from_config(config)["Id"]
    sock = client.api.attach_socket(made, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    client.api.start(made)
    data = bytes(range(256)) * (10 * _MEGABYTE // 256)
    sock._sock.sendall(data)
    sock._sock.shutdown(1)
    seen = b"".join(iter(lambda: sock.read(4096), b""))
    assert seen.endswith(f"{len(data)} {hashlib.sha256(data).hexdigest()}\n".encode())
    assert client.api.wait(made)["StatusCode"] == 0
    sock.close()
    client.api.remove_container(made)


def test_hundred_megabytes_in_and_out_are_the_same(client: Any, place: dict[str, str]) -> None:
    host = client.api.create_host_config(**place)
    config = client.api.create_container_config(IMAGE, ["/bin/program", "echo"], stdin_open=True)
    config |= {"StdinOnce": True, "AttachStdin": True, "HostConfig": host}
    made = client.api.create_container_from_config(config)["Id"]
    sock = client.api.attach_socket(made, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    client.api.start(made)
    block, blocks = bytes(range(256)) * 4096, 100
    sent, came = hashlib.sha256(), hashlib.sha256()

    def send() -> None:
        for number in range(blocks):
            piece = number.to_bytes(8, "big") + block[8:]
            sent.update(piece)
            sock._sock.sendall(piece)
        sock._sock.shutdown(1)

    sender = threading.Thread(target=send)
    sender.start()
    length = 0
    raw = sock._sock.makefile("rb")
    while head := raw.read(8):
        size = int.from_bytes(head[4:], "big")
        came.update(raw.read(size))
        length += size
    sender.join()
    assert (length, came.hexdigest()) == (blocks * _MEGABYTE, sent.hexdigest())
    sock.close()
    client.api.remove_container(made)


def test_logs_are_streamed_and_demultiplexed(client: Any, place: dict[str, str]) -> None:
    pause = [";", "sleep", "0.2", ";"]  # the two streams have no order of their own
    command = ["/bin/program", "print", "one", *pause, "complain", "two", *pause, "print", "three"]
    made = client.containers.run(IMAGE, command, detach=True, **place)
    assert b"".join(made.logs(stream=True, follow=True, stderr=False)) == b"one\nthree\n"
    assert made.logs(stdout=False) == b"two\n"
    assert made.logs(tail=1, stderr=False) == b"three\n"
    stamped = made.logs(stderr=False, timestamps=True).split(b"\n")[0]
    assert stamped.endswith(b"Z one")
    made.remove()


def test_archive_goes_in_and_comes_out(container: Any) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("one/two words")
        entry.size, entry.mode, entry.uid, entry.gid, entry.mtime = 4, 0o640, 12, 34, 1_000_000
        tar.addfile(entry, io.BytesIO(b"data"))
    assert container.put_archive("/etc", packed.getvalue())
    chunks, stat = container.get_archive("/etc/one")
    assert (stat["name"], stat["linkTarget"]) == ("one", "")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.getnames() == ["one", "one/two words"]
        back = tar.getmember("one/two words")
        assert (back.mode & 0o7777, back.mtime, back.size) == (0o640, 1_000_000, 4)
    with pytest.raises(docker.errors.NotFound, match="Could not find the file /nothing in container"):
        container.get_archive("/nothing")
    with pytest.raises(docker.errors.NotFound):
        container.put_archive("/nothing", packed.getvalue())


def test_wait_answers_with_each_condition(client: Any, place: dict[str, str]) -> None:
    made = client.containers.create(IMAGE, ["/bin/program", "exit", "5"], **place)
    assert client.api.wait(made.id, condition="not-running")["StatusCode"] == 0
    # The head of the answer comes at once: from then on the wait sees every exit.
    url = client.api._url("/containers/{0}/wait", made.id)
    waits = {
        name: client.api._post(url, params={"condition": name}, stream=True)
        for name in ("next-exit", "removed")
    }
    made.start()
    assert waits["next-exit"].json()["StatusCode"] == 5
    made.remove()
    assert waits["removed"].json()["StatusCode"] == 5


def test_stats_have_what_clients_compute_with(container: Any) -> None:
    first = container.stats(stream=False)
    assert first["memory_stats"]["usage"] > 0
    assert first["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert first["cpu_stats"]["system_cpu_usage"] > first["precpu_stats"].get("system_cpu_usage", 0)
    stream = container.stats(stream=True, decode=True)
    assert next(stream)["read"] < next(stream)["read"]
    stream.close()


def test_top_and_diff_and_export(container: Any) -> None:
    assert container.top()["Titles"][0] == "UID"
    container.exec_run(["/bin/program", "write", "/etc/new", "x"])
    assert {"Path": "/etc/new", "Kind": 1} in container.diff()
    with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as tar:
        assert "etc/new" in {name.strip("/") for name in tar.getnames()}


def test_events_are_told_while_they_happen(client: Any, place: dict[str, str]) -> None:
    stream = client.events(decode=True, filters={"label": "of=events"})
    made = client.containers.run(
        IMAGE, ["/bin/program", "exit", "2"], labels={"of": "events"}, detach=True, **place
    )
    told = []
    for event in stream:
        told.append(event["Action"])
        if event["Action"] == "die":
            assert event["Actor"]["Attributes"]["exitCode"] == "2"
            break
    stream.close()
    assert [action for action in told if action != "attach"] == ["create", "start", "die"]
    made.remove()


def test_image_is_found_and_unknown_ones_are_not(client: Any) -> None:
    image = client.images.get(IMAGE)
    assert IMAGE in image.tags
    assert client.images.get(image.id).id == image.id
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nobody/has:this")


def test_rename_pause_and_kill_answers(client: Any, container: Any) -> None:
    container.rename("renamed-by-docker-py")
    container.reload()
    assert container.name == "renamed-by-docker-py"
    with pytest.raises(docker.errors.APIError, match="not paused"):
        container.unpause()
    container.kill("SIGTERM")
    container.wait()
    with pytest.raises(docker.errors.APIError, match="is not running"):
        container.kill()
