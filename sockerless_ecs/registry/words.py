"""Why a pull failed, in Docker's words."""

from __future__ import annotations

from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError, Unauthorized, Unavailable
from sockerless_ecs.model.reference import Reference, familiar, familiar_name
from sockerless_ecs.registry.answer import Answer, error_code, error_text
from sockerless_ecs.registry.platform import Platform


def check_platform(found: Platform, platform: Platform | None, name: str) -> None:
    """Raises `NotFound` in Docker's words for an image of another platform than the one that was specified.

    An image that does not say what it is for passes.
    """
    if platform is None:
        return
    known = found.os and found.architecture
    if known and not platform.runs(found):
        raise NotFound(
            f"image with reference {name} was found but its platform ({found}) "
            f"does not match the specified platform ({platform})"
        )


def pull_failure(answer: Answer, reference: Reference) -> SockerlessError:
    """What an answer that is no success means."""
    detail = error_text(answer)
    match answer.status:
        case 401 if answer.login is not None:
            return Unauthorized(detail or "unauthorized: authentication required")
        case 401 | 403:
            return _denied(reference, detail or "denied: requested access to the resource is denied")
        case 404 if error_code(answer) == "NAME_UNKNOWN":
            return NotFound(f"repository {familiar_name(reference)} not found: {detail}")
        case 404:
            name = familiar(reference.or_latest())
            return NotFound(f"manifest for {name} not found: {detail or 'manifest unknown'}")
        case 400:
            return InvalidParameter(detail or f"registry {reference.registry} refuses the request")
    return Unavailable(
        f"registry {reference.registry} answered {answer.status} for {familiar(reference.or_latest())}"
        + (f": {detail}" if detail else "")
    )


def _denied(reference: Reference, detail: str) -> NotFound:
    return NotFound(
        f"pull access denied for {familiar_name(reference)}, "
        f"repository does not exist or may require 'docker login': {detail}"
    )
