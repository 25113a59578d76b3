"""A pull's progress: JSON lines from the daemon, an error among them as one of ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sockerless_ecs.commands.client import ApiClient, ApiError

_FAILED_STATUS: Final = 500


@asynccontextmanager
async def pulling(client: ApiClient, image: str) -> AsyncIterator[AsyncIterator[str]]:
    """Lines for people, until the image is there; raises `ApiError` when it cannot be pulled."""
    async with client.stream("POST", "/images/pull", body={"Reference": image}) as answer:
        yield _told(answer.chunks)


async def _told(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    async for line in _lines(chunks):
        progress = json.loads(line)
        if "error" in progress:
            raise ApiError(_FAILED_STATUS, str(progress["error"]))
        where = f"{progress['id']}: " if progress.get("id") else ""
        yield f"{where}{progress.get('status', '')}"


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    pending = b""
    async for chunk in chunks:
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
    if pending.strip():
        yield pending
