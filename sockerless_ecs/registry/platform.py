"""What a machine can run: operating system and architecture, as images name them."""

from __future__ import annotations

from dataclasses import dataclass

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.image import Image

_SAME = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}
_DEFAULT_VARIANTS = {"amd64": ("", "v1"), "arm64": ("", "v8")}
_MOST_PARTS = 3
_SYSTEMS = frozenset((
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl",
    "netbsd", "openbsd", "plan9", "solaris", "windows", "zos",
))  # fmt: skip
_ARCHITECTURES = frozenset((
    "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64",
    "mips64le", "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",
    "sparc", "sparc64", "wasm",
))  # fmt: skip
"""Go's names, of which one may stand alone: https://github.com/containerd/platforms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Operating system, architecture and perhaps a variant; prints as `linux/arm64/v8`."""

    architecture: str
    os: str = "linux"
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def runs(self, other: Platform) -> bool:
        """Whether an image for `other` runs here."""
        return (self.os, self.architecture) == (other.os, other.architecture) and (
            other.variant in self._variants()
        )

    def rank(self, other: Platform) -> int:
        """How well an image that runs here fits: the lower the better."""
        return self._variants().index(other.variant)

    def _variants(self) -> tuple[str, ...]:
        usual = _DEFAULT_VARIANTS.get(self.architecture, ("",))
        if not self.variant or self.variant in usual:
            return usual
        return (self.variant, *usual)


def made_for(image: Image) -> Platform:
    """What an image says of itself."""
    return Platform(os=image.os, architecture=image.architecture, variant=image.variant)


def parse_platform(text: str, architecture: str = "amd64") -> Platform:
    """`linux/arm64`, `linux/arm64/v8`, `arm64` or `x86_64`; raises `InvalidParameter`.

    `architecture` is what a mere operating system is for.
    """
    parts = text.lower().split("/")
    if not all(part.isascii() and part.isalnum() for part in _plain(parts)) or len(parts) > _MOST_PARTS:
        raise InvalidParameter(f'"{text}" is an invalid platform: give it as linux/amd64 or linux/arm64')
    if len(parts) == 1:
        parts = _alone(parts[0], architecture, text)
    variant = parts[2] if len(parts) == _MOST_PARTS else ""
    return Platform(os=parts[0], architecture=_SAME.get(parts[1], parts[1]), variant=variant)


def _alone(part: str, architecture: str, text: str) -> list[str]:
    if part in _SYSTEMS:
        return [part, architecture]
    if _SAME.get(part, part) in _ARCHITECTURES:
        return ["linux", part]
    raise InvalidParameter(f'"{text}": unknown operating system or architecture: invalid argument')


def _plain(parts: list[str]) -> list[str]:
    return [part.replace("_", "").replace("-", "").replace(".", "") for part in parts]
