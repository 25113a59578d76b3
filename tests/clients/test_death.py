"""The daemon is killed while its clients do everything at once: the next one finds every container true."""

from __future__ import annotations

import io
import os
import tarfile

import trio

from tests.clients.engines import VERSION, load
from tests.clients.wire import Wire, contents
from tests.e2e.world import Cloud, Daemon, eventually

_MB = 1 << 20


def _reborn(daemon: Daemon) -> None:
    daemon.kill()
    daemon.start()


def _left(daemon: Daemon) -> list[str]:
    """What the daemon keeps beside its store."""
    known = ("api.sock", "docker.sock", "daemon.log", "config.yaml", "identity.json", "state.db")
    found = [path for path in daemon.folder.rglob("*") if path.is_file() and not path.name.startswith(known)]
    return sorted(str(path.relative_to(daemon.folder)) for path in found)


def _tar(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


async def _half(wire: Wire, request: str, body: bytes) -> trio.SocketStream:
    """A request whose body stops half-way."""
    stream = await trio.open_unix_socket(wire.socket)
    head = f"{request} HTTP/1.1\r\nHost: docker\r\nContent-Length: {len(body)}\r\n\r\n"
    await stream.send_all(head.encode() + body[: len(body) // 2])
    return stream


async def test_streams_end_with_the_daemon_and_their_containers_go_on(daemon: Daemon, wire: Wire) -> None:
    talker = await wire.create("echo", OpenStdin=True)
    attached = await wire.attach(talker)
    await wire.call("POST", f"/containers/{talker}/start")
    await attached.send_all(b"before\n")
    assert (await attached.receive_some(100))[8:] == b"before\n"
    host = await wire.run("forever")
    _, typing = await wire.exec(host, "echo", stdin=True)
    _, watching = await wire.exec(host, "forever")
    _, stalled = await wire.exec(host, "produce", "1000000000")
    stats = await trio.open_unix_socket(wire.socket)
    await stats.send_all(f"GET /{VERSION}/containers/{host}/stats HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
    assert await stats.receive_some(100)
    _reborn(daemon)
    for stream in (attached, typing, watching, stats):
        with trio.fail_after(5):
            while await stream.receive_some(_MB):
                pass
        await stream.aclose()
    await stalled.aclose()

    async def only_what_needs_no_client() -> bool:
        return sorted(await wire.processes(host)) == ["/bin/program forever"] * 2

    await eventually(only_what_needs_no_client)
    again = await wire.attach(talker)
    await again.send_all(b"after\n")
    assert (await again.receive_some(100))[8:] == b"after\n"
    await again.aclose()
    logs = await wire.http.get(f"/containers/{talker}/logs", params={"stdout": 1})
    assert [line[8:] for line in logs.content.splitlines()] == [b"before", b"after"]
    for container in (talker, host):
        await wire.remove(container)


async def test_every_state_is_true_after_the_death(daemon: Daemon, cloud: Cloud, wire: Wire) -> None:
    paused = await wire.run("ticks", "20")
    await wire.call("POST", f"/containers/{paused}/pause")
    check = {"Test": ["CMD", "/bin/program", "exists", "/well"], "Interval": 100_000_000, "Retries": 1}
    checked = await wire.run("write", "/well", "x", ";", "forever", Healthcheck=check)
    policy = {"RestartPolicy": {"Name": "always"}}
    failing = await wire.run("sleep", "0.05", ";", "exit", "4", HostConfig=policy)
    plain = await wire.run(
        "print", "plain", ";", "sleep", "2", ";", "exit", "5", Labels={"sockerless.agent": "off"}
    )
    ending = await wire.run("sleep", "0.5", ";", "print", "ended", ";", "exit", "6")

    async def state(container: str) -> dict[str, object]:
        found: dict[str, object] = (await wire.call("GET", f"/containers/{container}/json"))["State"]
        return found

    async def health(wanted: str) -> bool:
        found = await state(checked)
        return bool(found["Health"]["Status"] == wanted)  # type: ignore[index]

    async def restarts() -> int:
        return int((await wire.call("GET", f"/containers/{failing}/json"))["RestartCount"])

    async def waits() -> bool:
        return await restarts() >= 4 and (await state(failing))["Status"] == "restarting"

    await eventually(lambda: health("healthy"))
    await eventually(waits)
    _reborn(daemon)
    assert (await state(paused))["Status"] == "paused"
    await wire.call("POST", f"/containers/{paused}/unpause")
    assert await health("healthy")
    _, stream = await wire.exec(checked, "remove", "/well")
    await contents(stream)
    await stream.aclose()
    await eventually(lambda: health("unhealthy"))
    count = await restarts()
    await eventually(lambda: _more(restarts, count))
    for container, code in ((plain, 5), (ending, 6)):
        waited = await wire.call("POST", f"/containers/{container}/wait", condition="not-running")
        assert waited["StatusCode"] == code
    logs = await wire.http.get(f"/containers/{ending}/logs", params={"stdout": 1})
    assert logs.content[8:] == b"ended\n"
    for container in (paused, checked, failing, plain, ending):
        await wire.remove(container)
    await eventually(lambda: _no_task_runs(daemon))


async def _more(count: object, than: int) -> bool:
    return bool(await count() > than)  # type: ignore[operator]


async def test_what_was_on_its_way_is_kept_whole_or_not_at_all(
    daemon: Daemon, cloud: Cloud, wire: Wire, archive: bytes
) -> None:
    """Uploads, an image, and a task that was being prepared for an upload."""
    kept, halved, preparing = [await wire.create("read", "/file") for _ in range(3)]
    put = f"PUT /{VERSION}/containers/{{}}/archive?path=/"
    await wire.http.put(f"/containers/{kept}/archive", params={"path": "/"}, content=_tar("file", b"kept"))
    cloud.fault(operation="RunTask", kind="latency", seconds=3)
    halves = [
        await _half(wire, put.format(halved), _tar("file", os.urandom(8 * _MB))),
        await _half(wire, f"POST /{VERSION}/images/load", archive),
    ]
    whole = await trio.open_unix_socket(wire.socket)
    body = _tar("file", b"prepared")
    head = f"{put.format(preparing)} HTTP/1.1\r\nHost: docker\r\nContent-Length: {len(body)}\r\n\r\n"
    await whole.send_all(head.encode() + body)
    await eventually(lambda: len(_left(daemon)) == 4)  # two parts beside what is kept
    _reborn(daemon)
    assert _left(daemon) == [f"uploads/{kept}-000001.json", f"uploads/{kept}-000001.tar"]
    for stream in [*halves, whole]:
        await stream.aclose()
    load(daemon.docker_socket, archive)
    for container, code in ((kept, 0), (halved, 1), (preparing, 1)):
        await wire.call("POST", f"/containers/{container}/start")
        waited = await wire.call("POST", f"/containers/{container}/wait", condition="not-running")
        assert waited["StatusCode"] == code
        await wire.remove(container)
    assert _left(daemon) == []
    await eventually(lambda: _no_task_runs(daemon))


def _no_task_runs(daemon: Daemon) -> bool:
    return all(task["lastStatus"] == "STOPPED" for task in daemon.cloud.tasks(daemon.instance))
