"""Pulling: what a name means is asked of its registry and told in Docker's lines; Fargate gets the layers."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import trio

from sockerless_ecs.engine.image_names import ImageNames
from sockerless_ecs.engine.values import PullProgress
from sockerless_ecs.errors import NotFound
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Descriptor, Image
from sockerless_ecs.model.reference import Reference
from sockerless_ecs.model.sources import Sources
from sockerless_ecs.registry import Login, Platform, RegistryClient, made_for
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.kept_logins import KeptLogins
from sockerless_ecs.services.ledger import Ledger, now_ns

_SHORT = 12
_MOST_ANSWERS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pulled:
    """What became of one name."""

    wanted: Reference
    image: Image
    newer: bool
    """The name did not mean this before."""
    layers: Sequence[tuple[Descriptor, bool]] = ()
    """The layers of an image that was not known by any name, and whether another image has them too."""


class Puller:
    """Learns what images are. The meaning of a tag is good for `fresh_seconds`, which may be infinite."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        names: ImageNames,
        registry: RegistryClient,
        bus: EventBus,
        sources: Sources,
        kept_logins: KeptLogins,
        fresh_seconds: float = 0.0,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self._ledger = ledger
        self._names = names
        self._registry = registry
        self._bus = bus
        self._sources = sources
        self._kept_logins = kept_logins
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._asked: dict[str, float] = {}

    @asynccontextmanager
    async def pull(
        self, wanted: Reference, login: Login | None, platform: Platform
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        """Progress; entering raises what is wrong before any answer. With the first line it is done."""
        pulled = await self._learn(wanted, login, platform)
        async with aclosing(self._lines(wanted, pulled, (), login, platform)) as lines:
            yield lines

    @asynccontextmanager
    async def pull_all(
        self, repository: Reference, login: Login | None, platform: Platform
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        """Every tag of a repository, one after the other; those before one that fails stay pulled."""
        at, proof = self._place(repository, login)
        with _placed(repository, at):
            tags = await self._registry.tags(at, proof)
        wanted = [replace(repository, tag=tag) for tag in tags]
        if not wanted:
            raise NotFound(f"{references.familiar_name(repository)} has no tags")
        pulled = await self._learn(wanted[0], login, platform)
        async with aclosing(self._lines(repository, pulled, wanted[1:], login, platform)) as lines:
            yield lines

    async def _lines(
        self,
        asked: Reference,
        pulled: _Pulled,
        others: Sequence[Reference],
        login: Login | None,
        platform: Platform,
    ) -> AsyncGenerator[PullProgress, None]:
        newer = pulled.newer
        for line in _told(pulled):
            yield line
        for other in others:
            pulled = await self._learn(other, login, platform)
            newer = newer or pulled.newer
            for line in _told(pulled):
                yield line
        what = "Downloaded newer image for" if newer else "Image is up to date for"
        yield PullProgress(status=f"Status: {what} {references.familiar(asked)}")

    async def _learn(self, wanted: Reference, login: Login | None, platform: Platform) -> _Pulled:
        """Ask, and record the answer; one small request where nothing has changed."""
        at, proof = self._place(wanted, login)
        known = self._known(wanted, at, platform)
        if known is not None and (
            self._is_fresh(wanted, at, proof) or await self._unchanged(known, at, proof)
        ):
            pulled = _Pulled(wanted=wanted, image=known, newer=False)
        else:
            pulled = await self._resolve(wanted, at, proof, platform, known)
            self._believe(wanted)
        self._bus.emit(
            "image",
            "pull",
            references.familiar(wanted),
            {**pulled.image.config.labels, "name": references.familiar_name(wanted)},
        )
        return pulled

    def _new_layers(self, image: Image) -> Sequence[tuple[Descriptor, bool]]:
        records = self._ledger.images.values()
        if any(record.id == image.id for record in records):
            return ()
        known = {layer.digest for record in records for layer in record.blobs}
        return [(layer, layer.digest in known) for layer in dict.fromkeys(image.blobs)]

    async def _resolve(
        self, wanted: Reference, at: Reference, login: Login | None, platform: Platform, known: Image | None
    ) -> _Pulled:
        with _placed(wanted, at):
            found = await self._registry.resolve(at, platform, login, kept=self._ledger.image_file)
        async with self._kept_logins.secret_for(at, found.login) as secret:
            image = replace(
                found.image,
                ref=wanted.full,
                repository="" if at.name == wanted.name else at.name,
                credentials_arn=secret,
                pulled_ns=now_ns(),
            )
            layers = self._new_layers(image)
            await self._names.give(image, found.file)
        newer = known is None or known.manifest_digest != image.manifest_digest
        return _Pulled(wanted=wanted, image=image, newer=newer, layers=layers)

    def _place(self, wanted: Reference, login: Login | None) -> tuple[Reference, Login | None]:
        """Where it really is, and the login if that was given for there."""
        at = self._sources.place(wanted)
        return at, login if at.registry == wanted.registry else None

    def _known(self, wanted: Reference, at: Reference, platform: Platform) -> Image | None:
        """What this name means so far, if it came from there and for this platform."""
        image = self._ledger.images.get(wanted.full)
        if image is None or not image.digest or references.source_of(image).name != at.name:
            return None
        return image if platform.runs(made_for(image)) else None

    async def _unchanged(self, known: Image, at: Reference, login: Login | None) -> bool:
        named = await self._registry.named(at, login)
        if named is None or named.digest != known.digest:
            return False
        async with self._kept_logins.secret_for(at, named.login) as secret:
            now = self._ledger.images.get(known.ref)  # another pull, or a removal, may have been faster
            if now is not None and now.digest == known.digest and now.credentials_arn != secret:
                await self._names.change(put=[replace(now, credentials_arn=secret)], drop=[])
        self._believe(references.parse(known.ref))
        return True

    def _is_fresh(self, wanted: Reference, at: Reference, login: Login | None) -> bool:
        if self._kept_logins.wants(at, login):
            return False  # only the registry knows whether the login works
        if math.isinf(self._fresh_seconds):
            return True
        asked = self._asked.get(wanted.full)
        return asked is not None and self._clock() < asked + self._fresh_seconds

    def _believe(self, wanted: Reference) -> None:
        self._asked.pop(wanted.full, None)
        self._asked[wanted.full] = self._clock()
        if len(self._asked) > _MOST_ANSWERS:
            del self._asked[next(iter(self._asked))]


def _told(pulled: _Pulled) -> Iterator[PullProgress]:
    """Docker's lines for one name: its layers, which Fargate will fetch, as far as they are new here."""
    image, wanted = pulled.image, pulled.wanted
    yield PullProgress(status=f"Pulling from {wanted.repository}", id=wanted.tag or wanted.digest or "")
    for layer, known in pulled.layers:
        yield from _layer(layer, known=known)
    yield PullProgress(status=f"Digest: {image.digest}")


def _layer(layer: Descriptor, *, known: bool) -> Iterator[PullProgress]:
    short = layer.digest.partition(":")[2][:_SHORT]
    if known:
        yield PullProgress(status="Already exists", id=short, step=True)
        return
    yield PullProgress(status="Pulling fs layer", id=short, step=True)
    yield PullProgress(
        status="Downloading", id=short, current_bytes=layer.size, total_bytes=layer.size, step=True
    )
    yield PullProgress(status="Pull complete", id=short, step=True)


@contextmanager
def _placed(wanted: Reference, at: Reference) -> Iterator[None]:
    """A failure at another place than the name says tells who has sent us there."""
    try:
        yield
    except NotFound as error:
        if at.name == wanted.name:
            raise
        where = f"images.sources has {references.familiar_name(wanted)} pulled as {at.name}"
        raise NotFound(f"{error.message} ({where})", request_ids=error.request_ids) from error
