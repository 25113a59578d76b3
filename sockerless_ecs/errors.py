"""The vocabulary of failure: what can go wrong, without a word of HTTP or AWS."""

from __future__ import annotations


class SockerlessError(Exception):
    """A failure that is told to a person; `str()` of it is that message.

    `request_ids` names the requests to other services (AWS) that failed, for support and logs.
    """

    def __init__(self, message: str, *, request_ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.request_ids = request_ids


class NotFound(SockerlessError):
    """What was named does not exist."""


class Conflict(SockerlessError):
    """The state of things does not allow it now (name in use, container running, …)."""


class NotModified(SockerlessError):
    """It is already so: nothing was done."""


class InvalidParameter(SockerlessError):
    """The request itself is wrong; the message names the field."""


class Unauthorized(SockerlessError):
    """A registry or a cloud did not accept the credentials that the *user* gave."""


class Unimplemented(SockerlessError):
    """Not built, or cannot be on Fargate; the message says what to use instead."""


class Unavailable(SockerlessError):
    """It could work later: throttled, draining, no capacity, a peer that does not answer."""


class Misconfigured(SockerlessError):
    """The daemon's configuration, credentials or cloud set-up is at fault; the message says what to fix."""


class StoreUnusable(Misconfigured):
    """The state database cannot be used (corrupt, newer, locked); it is never reset by itself."""
