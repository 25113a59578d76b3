"""The daemon's log: structured lines on stderr, other libraries' lines among them, secrets never."""

from __future__ import annotations

import dataclasses
import logging
import re
import secrets
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TextIO, cast

import structlog
from structlog.typing import Processor

from sockerless_ecs.errors import SockerlessError

_MASK = "***"
_DEEPEST = 6
_SECRET_WORDS = frozenset(
    (
        "auth",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "env",
        "environment",
        "passphrase",
        "password",
        "passwd",
        "pem",
        "secret",
        "secrets",
        "token",
        "tokens",
    )
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<=://)[^/@\s]+(?=@)"), _MASK),
    (re.compile(r"\b(?P<scheme>Bearer|Basic) [A-Za-z0-9+/=._~-]{8,}"), rf"\g<scheme> {_MASK}"),
    (
        re.compile(
            r"-----BEGIN (?P<kind>[A-Z ]*PRIVATE KEY)-----.*?(?:-----END (?P=kind)-----|\Z)", re.DOTALL
        ),
        _MASK,
    ),
    (
        re.compile(
            r"""(?P<name>\w*(?:token|password|passwd|secret|authorization|key_pem)\w*["']?\s*[=:]\s*)"""
            r"""(?:b?"[^"]*"|b?'[^']*')""",
            re.IGNORECASE,
        ),
        rf"\g<name>{_MASK}",
    ),
)
# These log requests with their headers and bodies when they are asked for detail.
_TALKATIVE = ("boto3", "botocore", "h11", "httpcore", "httpx", "hypercorn", "quart", "s3transfer", "urllib3")


class LogChoice(Protocol):
    """How to log: the configuration's `log` section."""

    @property
    def level(self) -> str:
        """`debug`, `info`, `warning` or `error`."""

    @property
    def format(self) -> str:
        """`json` or `console`."""


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that a second `configure` replaces the first."""


def configure(log: LogChoice, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's lines to `stream` (stderr); again = instead."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        _request_ids,
        structlog.processors.format_exc_info,
        masked,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(log.format, handler.stream),
            ],
        )
    )
    root = logging.getLogger()
    for earlier in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[log.level.upper()]
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; events are constant names, what varies goes into keys."""
    return structlog.stdlib.get_logger(name)


def new_request_id() -> str:
    """16 hex digits that mark one request's lines."""
    return secrets.token_hex(8)


def bound(**context: object) -> AbstractContextManager[None]:
    """Add keys (`request_id`, `container_id`) to every line within, tasks started there included."""
    return cast("AbstractContextManager[None]", structlog.contextvars.bound_contextvars(**context))


def masked(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor that keeps secrets out, by the names of keys and by the look of text; a safety net only."""
    for key, value in event.items():
        # structlog's own bookkeeping, which the formatter takes away.
        if not key.startswith("_"):
            event[key] = _MASK if _is_secret(key) and value else _clean(value, _DEEPEST)
    return event


def _request_ids(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What failed at a cloud is told with the request ids that its support asks for."""
    found = [
        request_id
        for failure in _failures(_exception(event.get("exc_info")))
        for request_id in failure.request_ids
    ]
    if found:
        event.setdefault("aws_request_ids", found)
    return event


def _exception(exc_info: object) -> BaseException | None:
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
        case True:
            return sys.exc_info()[1]
    return None


def _failures(error: BaseException | None) -> Iterator[SockerlessError]:
    match error:
        case BaseExceptionGroup():
            for one in error.exceptions:
                yield from _failures(one)
        case SockerlessError():
            yield error


def _renderer(shape: str, stream: TextIO) -> Processor:
    if shape == "json":
        return structlog.processors.JSONRenderer()
    # Never the renderer's pretty tracebacks: they show local variables.
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, timestamp_key="time"
    )


def _is_secret(name: str) -> bool:
    return any(word.lower() in _SECRET_WORDS for word in _WORDS.findall(name))


def _clean(value: object, depth: int) -> object:
    if isinstance(value, str):
        return _clean_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth == 0:
        return "…"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.repr}
    if isinstance(value, Mapping):
        return {
            str(key): _MASK if _is_secret(str(key)) and content else _clean(content, depth - 1)
            for key, content in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(one, depth - 1) for one in value]
    return _clean_text(str(value) if isinstance(value, BaseException) else repr(value))


def _clean_text(text: str) -> str:
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text
