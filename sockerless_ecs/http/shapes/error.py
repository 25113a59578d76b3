"""What a failure looks like."""

from __future__ import annotations

import msgspec


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """One lower-case key; Docker's clients read nothing else."""

    message: str
