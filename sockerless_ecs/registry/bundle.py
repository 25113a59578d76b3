"""What a tar of images holds, once all of it has passed: docker-archive and OCI layout → images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from sockerless_ecs.errors import InvalidParameter, SockerlessError
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.registry import manifest
from sockerless_ecs.registry.config import ConfigFile, read_config
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.layer import LayerDigest, layer_type
from sockerless_ecs.registry.platform import Platform

_LONGEST_CHAIN = 32
_DEEPEST_INDEX = 3
_MOST_LAYERS = 1_000
_MOST_IMAGES = 1_000
_CONTAINERD_NAME, _OCI_NAME = "io.containerd.image.name", "org.opencontainers.image.ref.name"
_ATTESTS = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file of the tar: in memory where it is small, in the repository already where it is not."""

    digest: str
    size: int
    media_type: str = ""
    """As a layer; empty where it has not been looked at as one."""
    diff_id: str = ""
    """Empty where it is not known."""
    data: bytes | None = None

    @property
    def descriptor(self) -> Descriptor:
        """What a manifest says of it."""
        return Descriptor(digest=self.digest, size=self.size, media_type=self.media_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledImage:
    """An image of the tar: what is to be pushed, and what it is called."""

    manifest: bytes
    media_type: str
    config: Blob
    file: ConfigFile
    layers: Sequence[Blob]
    names: Sequence[references.Reference]


class Bundle:
    """The files and links of a tar, by name and by digest."""

    def __init__(self) -> None:
        self._files: dict[str, Blob] = {}
        self._links: dict[str, str] = {}
        self._by_digest: dict[str, Blob] = {}

    def add(self, name: str, blob: Blob) -> None:
        """A file; one of the same name that came before is gone."""
        self._links.pop(name, None)
        self._files[name] = self._by_digest[blob.digest] = blob

    def keep(self, name: str, data: bytes) -> None:
        """A small file."""
        self.add(name, Blob(digest=digest_of(data), size=len(data), data=data))

    def link(self, name: str, target: str) -> None:
        """Another name of a file, which may come later."""
        self._files.pop(name, None)
        self._links[name] = target

    def find(self, name: str) -> Blob | None:
        """A file, through its links; raises InvalidParameter for links without an end."""
        for _ in range(_LONGEST_CHAIN):
            if name not in self._links:
                return self._files.get(name)
            name = self._links[name]
        raise InvalidParameter(f"{name}: the archive's links have no end")

    def blob(self, digest: str) -> Blob:
        """A file by its content; raises InvalidParameter when there is none."""
        if found := self._by_digest.get(digest):
            return found
        raise InvalidParameter(f"invalid archive: blob {digest} is missing")

    def images(self, platform: Platform) -> Sequence[BundledImage]:
        """Every image, for a platform where there is a choice; raises InvalidParameter for what is none."""
        try:
            if found := self.find("manifest.json"):
                images = _archive(self, _json(found, "manifest.json"))
            elif found := self.find("index.json"):
                images = _layout(self, _json(found, "index.json"), platform)
            else:
                raise InvalidParameter(
                    "not an archive of images: it has neither manifest.json nor index.json"
                )
        except InvalidParameter:
            raise
        except SockerlessError as error:  # said of a registry, meant of a tar
            raise InvalidParameter(f"invalid archive: {error}") from error
        if not images:
            raise InvalidParameter("the archive has no image in it")
        return images


class _Saved(msgspec.Struct, rename="pascal"):
    """One image in manifest.json."""

    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None


class _Annotated(msgspec.Struct, rename="camel"):
    digest: str
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Index(msgspec.Struct):
    manifests: list[_Annotated]


@dataclass(frozen=True, slots=True)
class _Found:
    """A manifest of a layout and where it was named."""

    data: bytes
    descriptor: Descriptor
    value: manifest.Manifest
    names: Sequence[references.Reference] = field(default_factory=tuple)


def _json(blob: Blob, name: str) -> bytes:
    if blob.data is None:
        raise InvalidParameter(f"invalid archive: {name} is no JSON file")
    return blob.data


def _archive(bundle: Bundle, data: bytes) -> list[BundledImage]:
    try:
        saved = msgspec.json.decode(data, type=list[_Saved])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid archive: manifest.json: {error}") from error
    if len(saved) > _MOST_IMAGES:
        raise InvalidParameter(f"invalid archive: manifest.json has more than {_MOST_IMAGES} images")
    return [_saved_image(bundle, one) for one in saved]


def _saved_image(bundle: Bundle, saved: _Saved) -> BundledImage:
    config = _file(bundle, saved.config)
    file = _config(config, saved.config)
    names = saved.layers or []
    _check_count(len(names), file)
    layers = [_layer(_file(bundle, name), name) for name in names]
    _check_content(layers, file)
    return BundledImage(
        manifest=manifest.write_manifest(config.descriptor, [layer.descriptor for layer in layers]),
        media_type=manifest.OCI_MANIFEST,
        config=config,
        file=file,
        layers=layers,
        names=[_tagged(tag) for tag in saved.repo_tags or ()],
    )


def _check_count(layers: int, file: ConfigFile) -> None:
    if layers != len(file.diff_ids) or layers > _MOST_LAYERS:
        raise InvalidParameter(
            f"invalid manifest, layers length mismatch: expected {layers}, got {len(file.diff_ids)}"
        )


def _check_content(layers: Sequence[Blob], file: ConfigFile) -> None:
    """What layers unpack to is what the configuration says, as far as they were unpacked on their way."""
    for number, (layer, diff_id) in enumerate(zip(layers, file.diff_ids, strict=True)):
        if layer.diff_id and layer.diff_id != diff_id:
            raise InvalidParameter(
                f'invalid diffID for layer {number}: expected "{diff_id}", got "{layer.diff_id}"'
            )


def _file(bundle: Bundle, name: str) -> Blob:
    if found := bundle.find(name.removeprefix("./")):
        return found
    raise InvalidParameter(f"invalid archive: {name} is missing")


def _config(blob: Blob, name: str) -> ConfigFile:
    file = read_config(_json(blob, name), name)
    if file.platform.os not in ("", "linux"):
        raise InvalidParameter(f'image operating system "{file.platform.os}" cannot be used on this platform')
    return file


def _layer(blob: Blob, name: str) -> Blob:
    """The blob as a layer; what is in memory is looked at now."""
    if blob.data is None:
        return blob
    kind = layer_type(blob.data[:512])
    if kind is None:
        raise InvalidParameter(f"invalid archive: {name} is no layer")
    digest = LayerDigest(kind, name)
    digest.feed(blob.data)
    return replace(blob, media_type=kind, diff_id=digest.diff_id)


def _tagged(text: str) -> references.Reference:
    found = references.parse(text)
    if found.tag is None or found.digest is not None:
        raise InvalidParameter(f'invalid tag "{text}"')
    return found


def _layout(bundle: Bundle, data: bytes, platform: Platform) -> list[BundledImage]:
    top = manifest.read_manifest(data, manifest.OCI_INDEX, "index.json")
    if not isinstance(top, manifest.Index):
        raise InvalidParameter("invalid archive: index.json is no index")
    try:
        annotated = msgspec.json.decode(data, type=_Index).manifests
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidParameter(f"invalid archive: index.json: {error}") from error
    if len(annotated) > _MOST_IMAGES:
        raise InvalidParameter(f"invalid archive: index.json has more than {_MOST_IMAGES} entries")
    images: dict[object, BundledImage] = {}
    fits: Callable[[BundledImage], bool] = lambda one: platform.runs(one.file.platform)  # noqa: E731
    for entry, notes in zip(top.entries, annotated, strict=True):
        if _ATTESTS in notes.annotations:
            continue
        names = _annotated_names(notes.annotations)
        image = _laid_out(bundle, entry.descriptor, names, platform)
        key: object = names[0].full if names else image.config.digest
        if key not in images or (fits(image) and not fits(images[key])):
            images[key] = image
    return list(images.values())


def _annotated_names(annotations: Mapping[str, str]) -> Sequence[references.Reference]:
    """What the exporter called it; a mere tag is no name."""
    text = annotations.get(_CONTAINERD_NAME) or annotations.get(_OCI_NAME, "")
    if not text or (_CONTAINERD_NAME not in annotations and "/" not in text and ":" not in text):
        return ()
    found = references.parse(text).or_latest()
    return (found,) if found.digest is None else ()


def _laid_out(
    bundle: Bundle, descriptor: Descriptor, names: Sequence[references.Reference], platform: Platform
) -> BundledImage:
    name = references.familiar(names[0]) if names else descriptor.digest
    for _ in range(_DEEPEST_INDEX):
        data = _json(_checked(bundle, descriptor), descriptor.digest)
        found = manifest.read_manifest(data, descriptor.media_type, name)
        if isinstance(found, manifest.Manifest):
            return _manifest_image(bundle, data, found, names)
        descriptor = manifest.choose(found, platform, name)
    raise InvalidParameter(f"invalid archive: the index of {name} nests too deep")


def _manifest_image(
    bundle: Bundle, data: bytes, found: manifest.Manifest, names: Sequence[references.Reference]
) -> BundledImage:
    config = _checked(bundle, found.config)
    file = _config(config, found.config.digest)
    _check_count(len(found.layers), file)
    layers = [
        replace(_layer(_checked(bundle, layer), layer.digest), media_type=layer.media_type)
        for layer in found.layers
    ]
    _check_content(layers, file)
    media_type = found.media_type or manifest.OCI_MANIFEST
    return BundledImage(
        manifest=data, media_type=media_type, config=config, file=file, layers=layers, names=names
    )


def _checked(bundle: Bundle, descriptor: Descriptor) -> Blob:
    blob = bundle.blob(descriptor.digest)
    if blob.size != descriptor.size:
        raise InvalidParameter(
            f"invalid archive: blob {descriptor.digest} has {blob.size} bytes, not {descriptor.size}"
        )
    return blob
