"""The sandbox and a guided run of three containers, each step with its time.

One prints and ends well, one fails with 7, one runs on and is followed, stopped and removed. The exit code
is 0 only if everything was as it should be.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar

import trio

from sockerless_ecs.commands.client import ApiClient, container_path, open_client
from sockerless_ecs.commands.pulling import pulling
from sockerless_ecs.commands.sandbox import describe
from sockerless_ecs.commands.sandboxed import (
    add_sandbox_arguments,
    last_lines,
    options_of,
    sandboxed_daemon,
)
from sockerless_ecs.commands.streams import FrameReader
from sockerless_ecs.commands.watching import follow, watched
from sockerless_ecs.errors import SockerlessError

T = TypeVar("T")

_IMAGE: Final = "host"
_LONGEST_SECONDS: Final = 50
_FOLLOWED_LINES: Final = 3
_EXIT_CODE: Final = 7
_ON_SIGTERM: Final = 143
_TICKING: Final = (
    "trap 'echo told to stop; exit 143' TERM; n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.2; done"
)


class DemoFailed(SockerlessError):
    """Something was not as it should be."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `demo`: the sandbox's."""
    add_sandbox_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """0 if everything was as it should be; raises `SockerlessError` otherwise."""
    return trio.run(_demo, arguments)


async def _demo(arguments: argparse.Namespace) -> int:
    tour = _Tour()
    with trio.move_on_after(_LONGEST_SECONDS) as patience:
        tour.say("Starting an embedded AWS and the daemon on it …")
        async with sandboxed_daemon(options_of(arguments), log_to_file=True) as sandboxed:
            tour.took("ready")
            describe(sandboxed, sys.stdout)
            try:
                async with open_client(sandboxed.socket) as client:
                    await _three_containers(tour, client)
            except SockerlessError as error:
                log = last_lines(sandboxed.info.state_dir / "daemon" / "daemon.log")
                raise DemoFailed(f"{error} (the daemon's log is kept with --state-dir{log})") from error
            tour.say("\nEnding the sandbox and all that is in it …")
        tour.took("ended")
    if patience.cancelled_caught:
        raise DemoFailed(f"not done after {_LONGEST_SECONDS} s, in step: {tour.step}")
    tour.say(f"\nAll as it should be, in {tour.seconds:.1f} s. Next: sockerless-backend-ecs sandbox")
    return 0


async def _three_containers(tour: _Tour, client: ApiClient) -> None:
    tour.say(f"\nPulling image {_IMAGE}: this machine's own files, as the sandbox's registry offers them")
    await tour.timed("pulled", _pull(client))

    tour.say("\n1. A container that prints and ends well")
    output, code = await _run(tour, client, ["sh", "-c", "echo hello from $(hostname)"])
    tour.expect(code == 0, f"exit code {code}, not 0")
    tour.expect(output.startswith("hello from "), f"output {output!r}")

    tour.say(f"\n2. A container that fails with {_EXIT_CODE}")
    _, code = await _run(tour, client, ["sh", "-c", f"echo this goes wrong >&2; exit {_EXIT_CODE}"])
    tour.expect(code == _EXIT_CODE, f"exit code {code}, not {_EXIT_CODE}")

    tour.say("\n3. A container that runs on: followed, stopped, removed")
    await _follow_and_stop(tour, client)
    left: list[object] = await client.call("GET", "/containers", all="1")
    tour.expect(not left, f"{len(left)} containers are left")


async def _pull(client: ApiClient) -> None:
    async with pulling(client, _IMAGE) as progress:
        async for _ in progress:
            pass


async def _run(tour: _Tour, client: ApiClient, command: Sequence[str]) -> tuple[str, int]:
    """Create to remove; the output and the exit code."""
    container = await _create(tour, client, command)
    async with watched(client, container, "next-exit") as watch:
        await tour.timed("started: a task runs it", client.call("POST", container_path(container, "start")))
        reader, text = FrameReader(), ""
        async for chunk in watch.output.chunks:
            for _, payload in reader.feed(chunk):
                text += tour.show(payload)
        status = await watch.exit()
    tour.took(f"ended with exit code {status['StatusCode']}")
    await tour.timed("removed", client.call("DELETE", container_path(container)))
    return text, int(status["StatusCode"])


async def _follow_and_stop(tour: _Tour, client: ApiClient) -> None:
    container = await _create(tour, client, ["sh", "-c", _TICKING])
    await tour.timed("started: a task runs it", client.call("POST", container_path(container, "start")))
    async with follow(client, container) as output:
        reader, lines = FrameReader(), 0
        async for chunk in output.chunks:
            for _, payload in reader.feed(chunk):
                lines += tour.show(payload).count("\n")
            if lines >= _FOLLOWED_LINES:
                break
    tour.expect(lines >= _FOLLOWED_LINES, f"only {lines} lines could be followed")
    tour.took(f"followed {lines} lines")
    await tour.timed("stopped", client.call("POST", container_path(container, "stop"), t="5"))
    record: dict[str, Any] = await client.call("GET", container_path(container))
    tour.expect(record["State"]["ExitCode"] == _ON_SIGTERM, f"exit code {record['State']['ExitCode']}")
    await tour.timed("removed", client.call("DELETE", container_path(container)))


async def _create(tour: _Tour, client: ApiClient, command: Sequence[str]) -> str:
    tour.say(f"   $ {shlex.join(command)}")
    body = {"Image": _IMAGE, "Cmd": command}
    created = await tour.timed("created", client.call("POST", "/containers", body=body))
    return str(created["Id"])


class _Tour:
    """Tells each step and its time."""

    def __init__(self) -> None:
        self._begun = self._last = trio.current_time()
        self.step = "start"

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return trio.current_time() - self._begun

    def say(self, text: str) -> None:
        """What comes now."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
        self.step = text.strip()
        self._last = trio.current_time()

    def took(self, what: str) -> None:
        """What has just been done, with the time since the last step."""
        now = trio.current_time()
        sys.stdout.write(f"   {now - self._last:7.3f} s  {what}\n")
        sys.stdout.flush()
        self._last = now

    async def timed(self, what: str, work: Awaitable[T]) -> T:
        """Await `work` and tell how long it took."""
        self._last = trio.current_time()
        result = await work
        self.took(what)
        return result

    def show(self, payload: bytes) -> str:
        """Some of a container's output, for people."""
        text = payload.decode(errors="replace")
        sys.stdout.writelines(f"   | {line}\n" for line in text.splitlines())
        sys.stdout.flush()
        return text

    def expect(self, fulfilled: bool, otherwise: str) -> None:
        """Raise `DemoFailed` unless it is so."""
        if not fulfilled:
            raise DemoFailed(f"the demo failed: {self.step}: {otherwise}")
