"""A container's output and exit, asked for before its start so that nothing is missed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sockerless_ecs.commands.client import Answer, ApiClient, container_path


class Watched:
    """A container's output as it comes, then its exit."""

    def __init__(self, output: Answer, exited: Answer) -> None:
        self.output = output
        self._exited = exited

    async def exit(self) -> dict[str, Any]:
        """The wait's answer: `StatusCode`, and `Error` if there was one."""
        answer: dict[str, Any] = json.loads(await self._exited.read())
        return answer


@asynccontextmanager
async def watched(client: ApiClient, container: str, condition: str) -> AsyncIterator[Watched]:
    """Entered once the daemon has accepted both requests; `condition` is `next-exit` or `removed`."""
    wait = client.stream("POST", container_path(container, "wait"), condition=condition)
    async with wait as exited, follow(client, container) as output:
        yield Watched(output, exited)


def follow(client: ApiClient, container: str) -> AbstractAsyncContextManager[Answer]:
    """Both streams of output, until the container ends."""
    return client.stream("GET", container_path(container, "logs"), follow="1", stdout="1", stderr="1")
