"""The one table from our failures to HTTP's statuses."""

from __future__ import annotations

from dataclasses import replace

import trio
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from sockerless_ecs import errors
from sockerless_ecs.http.route import Reply, json_reply
from sockerless_ecs.http.shapes.error import ErrorBody
from sockerless_ecs.telemetry import get_logger

BODY_BYTES = 16 * 1024 * 1024
"""The largest JSON body that is read."""

_STATUS: dict[type[errors.SockerlessError], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.NotModified: 304,
    errors.InvalidParameter: 400,
    errors.Unauthorized: 401,
    errors.Unimplemented: 501,
    errors.Unavailable: 503,
    errors.Misconfigured: 500,
}

_LOG = get_logger(__name__)


def failure_reply(error: BaseException, request_id: str) -> Reply:
    """The answer that tells of `error`; what nobody foresaw is logged here with its traceback.

    Raises what is not a failure (`Cancelled`) again; a failure that was grouped with it is logged first.
    """
    if isinstance(error, BaseExceptionGroup):
        cancelled, failed = error.split(trio.Cancelled)
        if cancelled is not None:
            if failed is not None:
                _LOG.error("failed while being cancelled", exc_info=failed)
            raise cancelled
        error = _only(error)
    match error:
        case errors.SockerlessError():
            return _told(error)
        case HTTPException():
            return _of_the_router(error)
        case Exception():
            _LOG.error("request failed", exc_info=error)
            message = f"internal error, see the daemon's log for request {request_id}"
            return json_reply(ErrorBody(message=message), 500)
    raise error


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What a nursery wrapped, if it wrapped just one thing."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return inner


def _told(error: errors.SockerlessError) -> Reply:
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    if isinstance(error, errors.NotModified):
        return Reply(status)
    reply = json_reply(ErrorBody(message=error.message), status)
    return replace(reply, error=error.message, request_ids=error.request_ids)


def _of_the_router(error: HTTPException) -> Reply:
    match error:
        case NotFound():
            return json_reply(ErrorBody(message="page not found"), 404)
        case MethodNotAllowed():
            reply = json_reply(ErrorBody(message="method not allowed"), 405)
            return replace(reply, headers={"Allow": ", ".join(sorted(error.valid_methods or ()))})
        case RequestEntityTooLarge():
            message = f"the request body is larger than {BODY_BYTES >> 20} MiB"
            return json_reply(ErrorBody(message=message), 400)
    return json_reply(ErrorBody(message=error.description or error.name), error.code or 500)
