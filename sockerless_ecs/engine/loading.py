"""Images out of a tar into ECR: layers go there as they pass, what is small is kept until all was seen."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from sockerless_ecs.engine.image_repository import ImageRepository, OpenRepository, own_access
from sockerless_ecs.engine.values import PullProgress
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.registry import Described, Platform, RepositoryTarget
from sockerless_ecs.registry.bundle import Blob, Bundle, BundledImage
from sockerless_ecs.registry.compression import Unpacked
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.layer import layer_type
from sockerless_ecs.registry.layer_upload import LayerUpload
from sockerless_ecs.registry.tarball import Entry, Tarball

_LARGEST_BYTES = 200 << 30
"""More than the largest Fargate task could unpack."""
_SMALL_BYTES = 64 << 10
_PIECE_BYTES = 256 << 10
_JSON_BYTES = 4 << 20
_KEPT_BYTES = 8 << 20
_BLOB = re.compile(r"blobs/sha256/(?P<digits>[a-f0-9]{64})")
_SHORT = 12


class Loader:
    """Loads tars, any number at a time."""

    def __init__(self, repository: ImageRepository) -> None:
        self._repository = repository

    def load(self, body: AsyncIterator[bytes], platform: Platform, only: Platform | None = None) -> Loading:
        """One tar; where it offers a choice, its images for `platform`; or none but those for `only`."""
        return Loading(self._repository, body, platform, only)


class Loading:
    """One tar on its way. Iterate over `progress` once; then `images` are in ECR, ready to be named."""

    def __init__(
        self,
        repository: ImageRepository,
        body: AsyncIterator[bytes],
        platform: Platform,
        only: Platform | None,
    ) -> None:
        self._repository = repository
        self._body = body
        self._platform, self._only = only or platform, only
        self._bundle = Bundle()
        self._kept_bytes = 0
        self._open: OpenRepository | None = None
        self.images: list[Described] = []

    async def progress(self) -> AsyncGenerator[PullProgress, None]:
        """Do it, telling how far it is. Raises InvalidParameter for what is no image, Unavailable for ECR.

        Cancelled or failed it leaves blobs in ECR that no manifest names, and uploads that ECR forgets.
        """
        with own_access():
            async with aclosing(self._progress()) as lines:
                async for line in lines:
                    yield line

    async def _progress(self) -> AsyncGenerator[PullProgress, None]:
        tar = Tarball(Unpacked(self._body, _LARGEST_BYTES))
        while (entry := await tar.next()) is not None:
            if entry.target is not None:
                self._bundle.link(entry.name, entry.target)
                continue
            head = await tar.read(_SMALL_BYTES)
            if await self._keeps(entry, head, tar):
                continue
            kind = layer_type(head)
            if kind is None:
                continue
            known = _named_digest(entry)
            if known and await (await self._target()).has_blob(known):
                self._bundle.add(entry.name, Blob(digest=known, size=entry.size, media_type=kind, diff_id=""))
                continue
            async with aclosing(self._stream(tar, entry, head, kind)) as lines:
                async for line in lines:
                    yield line
        for bundled in self._wanted():
            await self._push(bundled)

    def _wanted(self) -> Sequence[BundledImage]:
        found = self._bundle.images(self._platform)
        if self._only is None:
            return found
        fitting = [one for one in found if self._only.runs(one.file.platform)]
        if not fitting:
            raise InvalidParameter(f"the archive has no image for {self._only}")
        return fitting

    async def _keeps(self, entry: Entry, head: bytes, tar: Tarball) -> bool:
        """Whether this is metadata, or a layer so small that it can wait in memory."""
        is_json = head.lstrip()[:1] in (b"{", b"[")
        if entry.size > (_JSON_BYTES if is_json else _SMALL_BYTES):
            return False
        if self._kept_bytes + entry.size > _KEPT_BYTES:
            if is_json and layer_type(head) is None:
                raise InvalidParameter(
                    f"the archive has more than {_KEPT_BYTES >> 20} MiB of metadata: refused"
                )
            return False
        data = head + await tar.read(entry.size - len(head))
        known = _named_digest(entry)
        if known and known != digest_of(data):
            raise InvalidParameter(f"{entry.name}: the archive has something else under this digest")
        self._kept_bytes += entry.size
        self._bundle.keep(entry.name, data)
        return True

    async def _stream(
        self, tar: Tarball, entry: Entry, head: bytes, kind: str
    ) -> AsyncGenerator[PullProgress, None]:
        """Send a layer on, a chunk at a time."""
        upload = LayerUpload(await self._target(), kind, entry.name)
        piece, told = head, 0
        while piece:
            await upload.feed(piece)
            if upload.sent > told:
                told = upload.sent
                yield _bar(entry, told)
            piece = await tar.read(_PIECE_BYTES)
        await upload.flush()
        if upload.sent > told:
            yield _bar(entry, upload.sent)
        known = _named_digest(entry)
        if known and known != upload.digest:
            raise InvalidParameter(f"{entry.name}: the archive has something else under this digest")
        layer = await upload.finish()
        blob = Blob(digest=upload.digest, size=entry.size, media_type=kind, diff_id=layer.diff_id)
        self._bundle.add(entry.name, blob)

    async def _push(self, bundled: BundledImage) -> None:
        """What was kept in memory, and then the manifest: from then on it can be pulled."""
        target = await self._target()
        for layer in bundled.layers:
            if layer.data is not None:
                await target.push_blob(layer.digest, layer.data)
        assert self._open is not None
        assert bundled.config.data is not None
        self.images += await self._open.keep(
            bundled.config.data,
            [layer.descriptor for layer in bundled.layers],
            bundled.names,
            self._platform,
            manifest=bundled.manifest,
            media_type=bundled.media_type,
        )

    async def _target(self) -> RepositoryTarget:
        if self._open is None:
            self._open = await self._repository.open()
        return self._open.target


def _named_digest(entry: Entry) -> str:
    """What the name says that the content is."""
    found = _BLOB.fullmatch(entry.name)
    return f"sha256:{found['digits']}" if found else ""


def _bar(entry: Entry, sent: int) -> PullProgress:
    return PullProgress(status="Loading layer", id=_shown(entry), current_bytes=sent, total_bytes=entry.size)


def _shown(entry: Entry) -> str:
    """A short id: of the blob, or of the folder that the layer is in."""
    found = _BLOB.fullmatch(entry.name)
    return found["digits"][:_SHORT] if found else entry.name.partition("/")[0][:_SHORT]
