"""Waiting for a container's end."""

from __future__ import annotations

import msgspec

from sockerless_ecs.engine.contract import Waiting
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.route import Call, Output, Streamed
from sockerless_ecs.http.shapes.container import WaitErrorView, WaitView
from sockerless_ecs.model.container import ExitStatus

_CONDITIONS = ("not-running", "next-exit", "removed")
_HEAD_AT_ONCE_SINCE = (1, 30)
"""Before it there were no conditions, and the head came with the answer."""
_NOT_SEEN = 125
"""The code of a wait that a drain cut short: what docker itself exits with when the daemon failed it."""


async def wait(call: Call) -> Streamed:
    """Answer at once that it waits, and with the exit code when there is one."""
    if call.version < _HEAD_AT_ONCE_SINCE:
        return await _silent(call)
    return held(await registered(call), padding=b"")


def held(waiting: Waiting, *, padding: bytes) -> Streamed:
    """An answer that has begun; `padding` follows its head unless the end is known."""

    async def produce(output: Output) -> None:
        await output.begin("application/json")
        if padding and not waiting.settled:
            await output.write(padding)
        await output.write(_encoded(await waiting.outcome()))

    return Streamed(produce, endless=True, at_drain=_drained)


async def _silent(call: Call) -> Streamed:
    waiting = await call.backend.containers.wait(call.ref, _CONDITIONS[0])

    async def produce(output: Output) -> None:
        status = await waiting.outcome()
        await output.begin("application/json")
        await output.write(_encoded(status))

    return Streamed(produce, endless=True)


async def _drained(output: Output) -> None:
    await output.write(_encoded(ExitStatus(code=_NOT_SEEN, error="the daemon is shutting down; wait again")))


async def registered(call: Call) -> Waiting:
    """A wait that sees every exit from now on."""
    condition = call.query.text("condition", _CONDITIONS[0])
    if condition not in _CONDITIONS:
        raise InvalidParameter(f'invalid condition: "{condition}"')
    return await call.backend.containers.wait(call.ref, condition)


def _encoded(status: ExitStatus) -> bytes:
    error = WaitErrorView(message=status.error) if status.error else msgspec.UNSET
    return msgspec.json.encode(WaitView(status_code=status.code, error=error)) + b"\n"
