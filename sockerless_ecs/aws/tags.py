"""What AWS accepts as a tag."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MOST = 50
# The characters that every service accepts: letters, digits and spaces of any script, and these.
_ALLOWED = re.compile(r"[\w\s+\-=.:/@]*")


def acceptable(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that AWS takes: what it would refuse the whole call for is left out, the first 50 stay.

    Tags only help people to find things; nothing is ever decided by a tag that may be missing.
    """
    fit = {key: value for key, value in tags.items() if _fits(key, value)}
    return dict(list(fit.items())[:_MOST])


def _fits(key: str, value: str) -> bool:
    return (
        1 <= len(key) <= 128  # noqa: PLR2004 -- AWS's limits
        and len(value) <= 256  # noqa: PLR2004
        and not key.lower().startswith("aws:")
        and _ALLOWED.fullmatch(key) is not None
        and _ALLOWED.fullmatch(value) is not None
    )
