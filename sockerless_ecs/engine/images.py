"""Images by their metadata: ECS pulls the layers itself, the daemon only has to know the truth."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from sockerless_ecs.engine.contract import Credentials, Filters, PullProgress
from sockerless_ecs.engine.unbuilt import not_built
from sockerless_ecs.errors import InvalidParameter, NotFound
from sockerless_ecs.model import filters as filtering
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Image
from sockerless_ecs.registry import Login, Platform, RegistryClient, parse_platform, pull_reference
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger, now_ns
from sockerless_ecs.store.contract import Put

_FILTERS = frozenset(("label", "reference"))


class EngineImages:
    """What was pulled, by full reference and by id."""

    def __init__(self, *, ledger: Ledger, registry: RegistryClient, bus: EventBus, architecture: str) -> None:
        self._ledger = ledger
        self._registry = registry
        self._bus = bus
        self._platform = Platform(architecture={"x86_64": "amd64"}.get(architecture, architecture))

    @asynccontextmanager
    async def pull(
        self, reference: str, credentials: Credentials | None, platform: str | None = None
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        """Progress; entering raises NotFound, Unauthorized or InvalidParameter before any answer."""
        if not reference or reference.startswith(":"):
            raise InvalidParameter("no image to pull was named (importing from a URL is not built)")
        wanted = references.from_pull(reference)
        login = _login(credentials)
        known = self._ledger.images.get(wanted.full)
        image = await self._registry.resolve(
            wanted, parse_platform(platform) if platform else self._platform, login
        )
        image = replace(image, ref=wanted.full, pulled_ns=now_ns())
        await self._ledger.save(Put(image))
        self._ledger.images[wanted.full] = image
        short = references.familiar(wanted)
        self._bus.emit(
            "image", "pull", short, {**image.config.labels, "name": references.familiar_name(wanted)}
        )
        newer = known is None or known.manifest_digest != image.manifest_digest
        async with aclosing(_progress(wanted, image, short, newer=newer)) as progress:
            yield progress

    def find(self, name: str) -> Image:
        """A pulled image by reference or id; raises NotFound in Docker's words."""
        if not name:
            raise InvalidParameter("no image was named")
        if found := self._by_reference(name):
            return found
        if references.is_image_id(name):
            digits = name.removeprefix("sha256:")
            found_ids = {
                image.id: image
                for image in self._ledger.images.values()
                if image.id.removeprefix("sha256:").startswith(digits)
            }
            if len(found_ids) == 1:
                return next(iter(found_ids.values()))
            if found_ids:
                raise InvalidParameter(f"image id prefix {name} is ambiguous")
        raise NotFound(f"No such image: {_shown(name)}")

    def pull_reference(self, image: Image) -> str:
        """What Fargate pulls for it."""
        return pull_reference(references.parse(image.ref), image)

    async def inspect(self, name: str) -> Image:
        """By reference or id."""
        return self.find(name)

    async def names(self, image_id: str) -> Sequence[Image]:
        """Every record with this id (its tags and digests)."""
        return [image for image in self._ledger.images.values() if image.id == image_id]

    async def list(self, filters: Filters) -> Sequence[Image]:
        """All that were pulled."""
        _check_filters(filters, _FILTERS)
        return [
            image
            for image in self._ledger.images.values()
            if filtering.match_labels(image.config.labels, filters)
            and (not filters.get("reference") or _is_called(image, filters["reference"]))
        ]

    async def load(self) -> None:
        """Not built."""
        not_built("image load", "push the image to a registry and pull it")

    async def tag(self, name: str, repository: str, tag: str) -> None:
        """Not built."""
        not_built("image tag")

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Not built."""
        not_built("image remove")

    def _by_reference(self, name: str) -> Image | None:
        try:
            return self._ledger.images.get(references.from_pull(name).full)
        except InvalidParameter:
            return None


def _check_filters(filters: Filters, built: Collection[str]) -> None:
    filtering.check(filters, filtering.IMAGE)
    if missing := sorted(set(filters) - set(built)):
        not_built(f"image list with the filter {missing[0]!r}")


def _is_called(image: Image, wanted: Sequence[str]) -> bool:
    reference = references.parse(image.ref)
    names = {references.familiar(reference), references.familiar_name(reference), image.ref}
    return not names.isdisjoint(wanted)


def _login(credentials: Credentials | None) -> Login | None:
    if credentials is None or not (credentials.username or credentials.identity_token):
        return None
    return Login(
        username=credentials.username,
        password=credentials.password,
        identity_token=credentials.identity_token,
    )


def _shown(name: str) -> str:
    try:
        return references.familiar(references.from_pull(name))
    except InvalidParameter:
        return name


async def _progress(
    wanted: references.Reference, image: Image, short: str, *, newer: bool
) -> AsyncGenerator[PullProgress, None]:
    yield PullProgress(
        status=f"Pulling from {wanted.repository}",
        id=wanted.tag or wanted.digest or "",
    )
    yield PullProgress(status=f"Digest: {image.digest}")
    what = "Downloaded newer image for" if newer else "Image is up to date for"
    yield PullProgress(status=f"Status: {what} {short}")
