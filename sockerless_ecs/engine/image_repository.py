"""The ECR repository of images that exist nowhere else: loaded, imported and committed ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sockerless_ecs.aws import Ecr
from sockerless_ecs.errors import NotFound, Unauthorized, Unavailable
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Descriptor, ImageRef
from sockerless_ecs.registry import Described, Platform, RegistryClient, RepositoryTarget, described
from sockerless_ecs.registry.config import read_config
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.manifest import OCI_MANIFEST, write_manifest
from sockerless_ecs.services.ledger import now_ns


class ImageRepository:
    """Made when it is first needed."""

    def __init__(
        self,
        *,
        ecr: Ecr,
        registry: RegistryClient,
        name: str,
        tags: Mapping[str, str],
        scan_on_push: bool = False,
        expire_days: int = 0,
    ) -> None:
        self._ecr = ecr
        self._registry = registry
        self._name = name
        self._tags = tags
        self._scan_on_push = scan_on_push
        self._expire_days = expire_days

    async def open(self) -> OpenRepository:
        """The repository, made if it is not there."""
        uri = await self._ecr.ensure_repository(
            self._name, self._tags, scan_on_push=self._scan_on_push, expire_days=self._expire_days
        )
        reference = references.parse(uri)
        return OpenRepository(name=reference.name, target=self._registry.repository(reference))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRepository:
    """Where to push to."""

    name: str
    """`<registry>/<repository>`."""
    target: RepositoryTarget

    async def keep(
        self,
        text: bytes,
        layers: Sequence[Descriptor],
        names: Sequence[references.Reference],
        platform: Platform,
        *,
        manifest: bytes = b"",
        media_type: str = OCI_MANIFEST,
    ) -> Sequence[Described]:
        """Store an image whose layers are there: its configuration, then its manifest (or one we write).

        From then on Fargate can pull it. The records are one for each name, or one under the image's id.
        """
        config = Descriptor(digest=digest_of(text), size=len(text))
        await self.target.push_blob(config.digest, text)
        manifest = manifest or write_manifest(config, layers)
        digest = digest_of(manifest)
        tag = digest.partition(":")[2]  # a name of its own, so that no rule for untagged images takes it
        if await self.target.has_manifest(tag) != digest:
            await self.target.push_manifest(tag, media_type, manifest)
        file = read_config(text, config.digest)
        return [
            described(
                ref,
                config,
                text,
                file,
                layers,
                manifest_digest=digest,
                platform=platform,
                repository=self.name,
                pulled_ns=now_ns(),
            )
            for ref in [name.full for name in names] or [ImageRef(config.digest)]
        ]


@contextmanager
def own_access() -> Iterator[None]:
    """What the repository refuses here is the daemon's own access, not the client's: it is Unavailable."""
    try:
        yield
    except (Unauthorized, NotFound) as error:
        raise Unavailable(str(error), request_ids=error.request_ids) from error
