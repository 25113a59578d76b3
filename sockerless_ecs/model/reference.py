"""Docker's grammar of image references: text → registry, repository, tag and digest, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.image import Image, ImageRef

DOCKER_HUB = "docker.io"
LATEST = "latest"
_OFFICIAL = "library/"
_LONGEST_REPOSITORY = 255
_LONGEST_REMEMBERED = 512

_HOST_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

_REFERENCE = re.compile(
    rf"(?P<registry>{_REGISTRY})/(?P<repository>{_REPOSITORY})"
    rf"(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_ONLY_HEX = re.compile(r"[a-f0-9]+")
_BARE_ID = re.compile(r"[a-f0-9]{64}")
_IMAGE_ID = re.compile(r"sha256:[a-f0-9]{1,64}|[a-f0-9]{12,64}")
_APPENDED_DIGEST = re.compile(r"(?P<name>.+):(?P<digest>[a-z0-9]+:[a-f0-9]{64,128})")
_APPENDED_TAG = re.compile(rf"(?P<name>.+):(?P<tag>{_TAG})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What an image is called; `tag` and `digest` are None where the text had none."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def full(self) -> ImageRef:
        """The whole reference; `latest` stands in for a missing tag and digest."""
        return ImageRef(self.name + _suffix(self.or_latest()))

    @property
    def wanted(self) -> str:
        """What to ask the registry for: the digest if there is one, else the tag."""
        return self.digest or self.tag or LATEST

    def or_latest(self) -> Reference:
        """The same with the tag `latest` where it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=LATEST)


def parse(text: str) -> Reference:
    """A reference in Docker's grammar, `docker.io` and `library/` filled in.

    Raises `InvalidParameter` in Docker's words.
    """
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _parsed(text)


def _parsed(text: str) -> Reference:
    if _BARE_ID.fullmatch(text):
        raise InvalidParameter(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    registry, remainder = _split_registry(text)
    repository = remainder.split(":", 1)[0].split("@", 1)[0]
    if repository != repository.lower():
        raise InvalidParameter(f"invalid reference format: repository name ({repository}) must be lowercase")
    found = _REFERENCE.fullmatch(f"{registry}/{remainder}")
    if found is None:
        raise InvalidParameter("invalid reference format")
    if len(found["repository"]) > _LONGEST_REPOSITORY:
        raise InvalidParameter(f"repository name must not be more than {_LONGEST_REPOSITORY} characters")
    if found["digest"]:
        _check_digest(found["digest"])
    return Reference(
        registry=found["registry"],
        repository=found["repository"],
        tag=found["tag"],
        digest=found["digest"],
    )


# A list of images takes the same names apart each time.
_remembered = lru_cache(maxsize=8192)(_parsed)


def from_pull(text: str) -> Reference:
    """A reference to pull, tag or digest never missing; also takes what a front end glued together.

    `name:sha256:<hex>` is a digest, `alpine:3.19:latest` is `alpine:3.19`, and `name@sha256:<hex>:latest`
    is the digest: a tag that was only appended by default gives way.
    """
    try:
        return parse(text).or_latest()
    except InvalidParameter:
        if glued := _APPENDED_DIGEST.fullmatch(text):
            return replace(parse(glued["name"]), tag=None, digest=glued["digest"])
        if not (glued := _APPENDED_TAG.fullmatch(text)):
            raise
        reference = _parse_or_none(glued["name"])
        if reference is None:
            raise
        if glued["tag"] == LATEST:
            return reference.or_latest()
        return replace(reference, tag=glued["tag"])


def familiar(reference: Reference) -> str:
    """The short form that Docker shows: `alpine:3`, `user/tool`, `ghcr.io/x/y@sha256:…`."""
    return familiar_name(reference) + _suffix(reference)


def familiar_name(reference: Reference) -> str:
    """The short form without tag and digest; it always reads back as the same repository."""
    if reference.registry != DOCKER_HUB:
        return reference.name
    short = reference.repository
    if short.count("/") == 1:
        short = short.removeprefix(_OFFICIAL)
    for candidate in (short, reference.repository):
        read = _parse_or_none(candidate)
        if read is not None and read.name == reference.name:
            return candidate
    return reference.name


def shown_tags(images: Iterable[Image]) -> list[str]:
    """Of these names those with a tag: in the short form, in the order of the whole ones."""
    return [familiar(parse(ref)) for ref in sorted({image.ref for image in images if image.tagged})]


def source_of(image: Image) -> Reference:
    """Where an image really is, by the digest of its manifest: what Fargate pulls."""
    at = parse(image.repository or image.ref)
    return replace(at, tag=None, digest=image.manifest_digest)


def is_tag(text: str) -> bool:
    """Whether it can be a tag."""
    return re.fullmatch(_TAG, text) is not None


def is_image_id(text: str) -> bool:
    """Whether it looks like an image id (`sha256:…`, or 12 hex digits and more) rather than a name."""
    return _IMAGE_ID.fullmatch(text) is not None


def _split_registry(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    registry, remainder = (first, rest) if is_host else (DOCKER_HUB, text)
    if registry == f"index.{DOCKER_HUB}":
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in remainder:
        remainder = _OFFICIAL + remainder
    return registry, remainder


def _check_digest(digest: str) -> None:
    algorithm, _, digits = digest.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    if length is None:
        raise InvalidParameter("unsupported digest algorithm")
    if len(digits) != length:
        raise InvalidParameter("invalid checksum digest length")
    if not _ONLY_HEX.fullmatch(digits):
        raise InvalidParameter("invalid checksum digest format")


def _parse_or_none(text: str) -> Reference | None:
    try:
        return parse(text)
    except InvalidParameter:
        return None


def _suffix(reference: Reference) -> str:
    tag = f":{reference.tag}" if reference.tag else ""
    return tag + (f"@{reference.digest}" if reference.digest else "")
