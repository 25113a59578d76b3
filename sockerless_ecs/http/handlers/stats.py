"""What a container uses: one sample, or one a second."""

from __future__ import annotations

import msgspec
import trio

from sockerless_ecs.errors import InvalidParameter, NotFound
from sockerless_ecs.http.route import Call, Output, Streamed
from sockerless_ecs.http.shapes.stats import CpuView, StatsView
from sockerless_ecs.http.times import ZERO_TIME
from sockerless_ecs.http.views.stats import stats_view
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.usage import Usage

_ONE_SHOT_SINCE = (1, 41)
_INTERVAL_SECONDS = 1.0


async def stats(call: Call) -> Streamed:
    """A JSON object a second with the one before it; just one if no stream is wanted.

    One of a running container comes a second late, for rates need two samples, unless `one-shot` asks for no
    rates. What does not run has zeros.
    """
    stream = call.query.flag("stream", default=True)
    knows_one_shot = call.is_internal or call.version >= _ONE_SHOT_SINCE
    one_shot = call.query.flag("one-shot") and knows_one_shot
    if stream and one_shot:
        raise InvalidParameter("cannot have stream=true and one-shot=true")
    container = await call.backend.containers.inspect(call.ref)
    samples = _Samples(call, container)

    async def produce(output: Output) -> None:
        first = await samples.next()
        if not stream and not one_shot and samples.running:
            await trio.sleep(_INTERVAL_SECONDS)
            first = await samples.next()
        await output.begin("application/json")
        await output.write(first)
        try:
            while stream:
                await trio.sleep(_INTERVAL_SECONDS)
                await output.write(await samples.next())
        except NotFound:  # it was removed: nothing will come any more
            return

    return Streamed(produce, endless=stream)


class _Samples:
    """Samples of one container, each with what the one before it said of the CPU."""

    def __init__(self, call: Call, container: Container) -> None:
        self._containers = call.backend.containers
        self._container = container
        self._cpu = CpuView()
        self._read = ZERO_TIME
        self.running = False

    async def next(self) -> bytes:
        """One more, as a line; NotFound once the container was removed."""
        usage = await self._containers.usage(self._container.id)
        self.running = usage is not None
        shown = self._shown(usage)
        self._cpu, self._read = shown.cpu_stats, shown.read
        return msgspec.json.encode(shown) + b"\n"

    def _shown(self, usage: Usage | None) -> StatsView:
        return stats_view(self._container, usage, before=self._cpu, read_before=self._read)
