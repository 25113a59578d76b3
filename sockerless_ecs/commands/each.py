"""One action on several containers: each told by itself, a failure does not keep the others from it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence

from sockerless_ecs.commands.client import ApiError


async def for_each(references: Sequence[str], act: Callable[[str], Awaitable[object]]) -> int:
    """Print each reference that went well on stdout; 1 if any did not."""
    code = 0
    for reference in references:
        try:
            await act(reference)
        except ApiError as error:
            sys.stderr.write(f"sockerless-backend-ecs: {error}\n")
            code = 1
        else:
            sys.stdout.write(f"{reference}\n")
            sys.stdout.flush()
    return code
