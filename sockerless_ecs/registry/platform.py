"""What a machine can run: operating system and architecture, as images name them."""

from __future__ import annotations

from dataclasses import dataclass

from sockerless_ecs.errors import InvalidParameter

_SAME = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}
_DEFAULT_VARIANTS = {"amd64": ("", "v1"), "arm64": ("", "v8")}
_MOST_PARTS = 3


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


def parse_platform(text: str) -> Platform:
    """`linux/arm64`, `linux/arm64/v8`, `arm64` or `x86_64`; raises `InvalidParameter`."""
    parts = text.lower().split("/")
    if not all(part.isascii() and part.isalnum() for part in _plain(parts)) or len(parts) > _MOST_PARTS:
        raise InvalidParameter(f'"{text}" is an invalid platform: give it as linux/amd64 or linux/arm64')
    if len(parts) == 1:
        parts = ["linux", *parts]
    architecture = _SAME.get(parts[1], parts[1])
    variant = parts[2] if len(parts) == _MOST_PARTS else ""
    return Platform(os=parts[0], architecture=architecture, variant=variant)


def _plain(parts: list[str]) -> list[str]:
    return [part.replace("_", "").replace("-", "").replace(".", "") for part in parts]
