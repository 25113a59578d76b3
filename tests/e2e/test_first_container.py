"""A container runs as a task: started, printed, ended with its code, gone."""

from __future__ import annotations

import pytest

from tests.e2e.world import Api, Daemon


async def test_exit_code_is_the_process_s_own(api: Api) -> None:
    """`sh -c 'exit 7'` ends with 7, not with whatever ECS thinks of it."""
    container = await api.run("sh", "-c", "exit 7")
    assert await api.wait(container) == 7
    state = (await api.inspect(container))["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 7)
    await api.remove(container)
    assert (await api.http.get(f"/containers/{container}")).status_code == 404


async def test_output_comes_back_on_its_own_streams(api: Api) -> None:
    """What was written to stdout and stderr is told apart, byte for byte."""
    container = await api.run("sh", "-c", "echo out; echo err >&2; printf end")
    assert await api.wait(container) == 0
    assert await api.logs(container) == (b"out\nend", b"err\n")
    await api.remove(container)


@pytest.mark.parametrize(
    ("cmd", "code", "words"),
    [
        (("no-such-command",), 127, "executable file not found in $PATH"),
        (("/etc/passwd",), 126, "permission denied"),
    ],
)
async def test_command_that_cannot_start_says_why(
    api: Api, cmd: tuple[str, ...], code: int, words: str
) -> None:
    """The start fails in Docker's words and the container keeps Docker's exit code."""
    container = await api.create(*cmd)
    answer = await api.http.post(f"/containers/{container}/start")
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    state = (await api.inspect(container))["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", code)
    assert words in state["Error"]
    await api.remove(container)


async def test_missing_image_is_named(api: Api, daemon: Daemon) -> None:
    """Create answers 404 `No such image`, so that clients pull it."""
    answer = await api.http.post("/containers", json={"Image": "nothing:1", "Cmd": ["true"]})
    assert (answer.status_code, answer.json()) == (404, {"message": "No such image: nothing:1"})
