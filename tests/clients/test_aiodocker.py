"""aiodocker on our daemon and on a real dockerd."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiodocker
import pytest

from tests.clients.engines import IMAGE, VERSION, Target

Use = Callable[[aiodocker.Docker], Awaitable[Any]]


@pytest.fixture
def use(engine: Target) -> Callable[[Use], Any]:
    """Runs a coroutine with a client of each engine, in an event loop of its own."""

    async def used(body: Use) -> Any:
        async with aiodocker.Docker(url=engine.host, api_version=VERSION) as client:
            return await asyncio.wait_for(body(client), 60)

    return lambda body: asyncio.run(used(body))


@pytest.fixture
def config(engine: Target) -> Callable[..., dict[str, Any]]:
    """A create's body."""

    def made(*command: str, **more: Any) -> dict[str, Any]:
        host = {} if engine.is_ours else {"NetworkMode": engine.network}
        return {"Image": IMAGE, "Cmd": ["/bin/program", *command], "HostConfig": host, **more}

    return made


def test_life_with_logs(use: Callable[[Use], Any], config: Callable[..., dict[str, Any]]) -> None:
    async def body(client: aiodocker.Docker) -> None:
        container = await client.containers.create(config("print", "hi", ";", "exit", "3"))
        await container.start()
        assert (await container.wait())["StatusCode"] == 3
        assert await container.log(stdout=True) == ["hi\n"]
        shown = await container.show()
        assert (shown["State"]["Status"], shown["State"]["ExitCode"]) == ("exited", 3)
        await container.delete()

    use(body)


def test_attach_by_upgrade_and_resize(
    use: Callable[[Use], Any], config: Callable[..., dict[str, Any]]
) -> None:
    async def body(client: aiodocker.Docker) -> None:
        container = await client.containers.create(config("line", ";", "resized", Tty=True, OpenStdin=True))
        async with container.attach(stdin=True, stdout=True, stderr=True) as stream:
            await container.start()
            await container.resize(w=70, h=30)
            await stream.write_in(b"typed\n")
            seen = b""
            while b"[typed]" not in seen or b"30 70" not in seen:
                message = await stream.read_out()
                assert message is not None, seen
                seen += message.data
        await container.delete(force=True)

    use(body)


def test_exec_is_inspected_after_its_end(
    use: Callable[[Use], Any], config: Callable[..., dict[str, Any]]
) -> None:
    async def body(client: aiodocker.Docker) -> None:
        container = await client.containers.create(config("forever"))
        await container.start()
        made = await container.exec(["/bin/program", "print", "hi", ";", "exit", "4"])
        async with made.start(detach=False) as stream:
            message = await stream.read_out()
            assert message is not None
            assert (message.stream, message.data) == (1, b"hi\n")
            assert await stream.read_out() is None
        assert (await made.inspect())["ExitCode"] == 4
        detached = await container.exec(["/bin/program", "write", "/made", "x"])
        await detached.start(detach=True)
        while (await detached.inspect())["Running"]:
            pass
        assert (await detached.inspect())["ExitCode"] == 0
        await container.delete(force=True)

    use(body)


def test_events_and_concurrent_lives(
    use: Callable[[Use], Any], config: Callable[..., dict[str, Any]]
) -> None:
    async def body(client: aiodocker.Docker) -> None:
        listener = client.events.subscribe()  # type: ignore[no-untyped-call]

        async def life(number: int) -> int:
            container = await client.containers.create(config("exit", str(number), Labels={"of": "crowd"}))
            await container.start()
            code = int((await container.wait())["StatusCode"])
            await container.delete()
            return code

        assert await asyncio.gather(*(life(number) for number in range(8))) == list(range(8))
        died: set[str] = set()
        while len(died) < 8:
            event = await listener.get()
            if event["Action"] == "die" and event["Actor"]["Attributes"].get("of") == "crowd":
                died.add(event["Actor"]["Attributes"]["exitCode"])
        assert died == {str(number) for number in range(8)}

    use(body)


def test_unknown_things_are_docker_errors(use: Callable[[Use], Any]) -> None:
    async def body(client: aiodocker.Docker) -> None:
        with pytest.raises(aiodocker.exceptions.DockerError) as caught:
            await client.containers.get("nobody")
        assert caught.value.status == 404
        with pytest.raises(aiodocker.exceptions.DockerError) as caught:
            await client.images.inspect("nobody/has:this")
        assert caught.value.status == 404
        assert (await client.version())["ApiVersion"]
        assert (await client.system.info())["OSType"] == "linux"

    use(body)
