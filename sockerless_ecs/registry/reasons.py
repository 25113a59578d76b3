"""Why an HTTP request failed: httpx itself tells little of it."""

from __future__ import annotations


def reason(error: BaseException) -> str:
    """What lies at the bottom of it; of failures at several addresses that of the first."""
    found = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        found = str(cause) or found
        cause = cause.__cause__ or cause.__context__
    return found
