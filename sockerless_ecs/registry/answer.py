"""What a registry said, and what its errors mean in Docker's words."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx
import msgspec

from sockerless_ecs.registry.login import Login


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a registry said, its body within the limit."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str
    login: Login | None = None
    """What proved who asks; None where the registry did not want to know."""
    identity_token: str = field(default="", repr=False)
    """What the token server gave to stand for the password."""

    @property
    def announced_digest(self) -> str:
        """What the registry says that it stores; empty if it does not say."""
        return str(self.headers.get("Docker-Content-Digest", ""))


class _Error(msgspec.Struct):
    code: str = ""
    message: str | None = None


class _Errors(msgspec.Struct):
    errors: list[_Error] = []


def error_code(answer: Answer) -> str:
    """The first error's code (`MANIFEST_UNKNOWN`), or nothing."""
    return error.code if (error := _first_error(answer)) else ""


def error_text(answer: Answer) -> str:
    """The first error as Docker writes it: `manifest unknown: manifest unknown`."""
    error = _first_error(answer)
    if error is None:
        return ""
    said = "".join(char for char in error.message or "" if char.isprintable())[:400]
    code = error.code.lower().replace("_", " ")[:80]
    return f"{code}: {said}" if said else code


def _first_error(answer: Answer) -> _Error | None:
    try:
        errors = msgspec.json.decode(answer.body, type=_Errors).errors
    except msgspec.MsgspecError:
        return None
    return errors[0] if errors else None
