"""The lines of a Dockerfile, taken apart: instructions with their flags and arguments, not yet understood."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.expansion import quoted

_MOST = 1_000
_CONTINUED = re.compile(r"(?P<text>.*[^\\]|)\\[ \t]*")
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_WORD = re.compile(r"""(?>\\.|'[^']*+'?+|"(?>\\.|[^"\\])*+["\\]?+|[^\s'"\\])++""", re.DOTALL)
"""Nothing in it is tried twice: who writes it may be hostile."""
_QUOTES = re.compile(r"""\\(.)|['"]""")
_FLAG = re.compile(rf"\s*(?P<flag>--(?:{_WORD.pattern})?)(?=\s|$)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One of them."""

    name: str
    """As it was written."""
    flags: Mapping[str, str | None]
    """None where a flag has no value."""
    rest: str
    """What follows its flags."""
    arguments: Sequence[str]
    """By the rules of its kind; of ENV and LABEL names and values in turn."""
    is_json: bool = False
    """The arguments came as a JSON array."""

    @property
    def kind(self) -> str:
        """Its name in capital letters."""
        return self.name.upper()


def instructions(text: str) -> Sequence[Instruction]:
    """All of a text; raises InvalidParameter in Docker's words for what cannot be taken apart."""
    lines = list(_logical_lines(text))
    if len(lines) > _MOST:
        raise InvalidParameter(f"more than {_MOST} instructions: refused")
    return [_parsed(line) for line in lines]


def _logical_lines(text: str) -> Iterator[str]:
    """What a backslash at the end of a line continues is one; comments and empty lines are none."""
    whole, continues = "", False
    for raw in text.split("\n"):
        line = raw.rstrip("\r") if continues else raw.strip()
        if line.lstrip().startswith("#") or not line.strip():
            continue
        found = _CONTINUED.fullmatch(line)
        whole, continues = whole + (found["text"] if found else line), found is not None
        if not continues:
            yield whole
            whole = ""
    if whole.strip():
        yield whole


def _parsed(line: str) -> Instruction:
    name, *after = _BLANKS.split(line.strip(), maxsplit=1)
    flags, rest = _flags(after[0] if after else "")
    arguments, is_json = _arguments(name.upper(), rest)
    return Instruction(name=name, flags=flags, rest=rest, arguments=arguments, is_json=is_json)


def _flags(text: str) -> tuple[dict[str, str | None], str]:
    """The words in front that begin with `--`, which alone ends them."""
    flags: dict[str, str | None] = {}
    at = 0
    while found := _FLAG.match(text, at):
        at = found.end()
        if found["flag"] == "--":
            break
        name, equals, value = _QUOTES.sub(r"\1", found["flag"])[2:].partition("=")
        if name in flags:
            raise InvalidParameter(f"Duplicate flag specified: {name}")
        flags[name] = value if equals else None
    return flags, text[at:].strip()


def _arguments(name: str, rest: str) -> tuple[Sequence[str], bool]:
    """And whether they came as a JSON array."""
    match name:
        case "CMD" | "ENTRYPOINT":
            return _array_or(rest, _whole)
        case "VOLUME":
            return _array_or(rest, _words)
        case "EXPOSE":
            return _words(rest), False
        case "ENV" | "LABEL":
            return _pairs(name, rest), False
        case "HEALTHCHECK" if rest:
            kind, *command = _BLANKS.split(rest, maxsplit=1)
            arguments, is_json = _array_or("".join(command), _whole)
            return [kind, *arguments], is_json
        case "ONBUILD" if rest:
            trigger = _words(rest)[0]  # one in another is refused later, whatever is in it
            return [trigger if trigger.upper() == "ONBUILD" else _parsed(rest).name], False
    return _whole(rest), False


def _whole(rest: str) -> Sequence[str]:
    return [rest] if rest else []


def _words(rest: str) -> Sequence[str]:
    return [word for word in _BLANKS.split(rest) if word]


def _array_or(rest: str, otherwise: Callable[[str], Sequence[str]]) -> tuple[Sequence[str], bool]:
    found = _array(rest)
    return (otherwise(rest), False) if found is None else (found, True)


def _array(text: str) -> Sequence[str] | None:
    """A JSON array of strings, whatever comes behind it; None for what is no JSON."""
    if not text.startswith("["):
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(one, str) for one in found):
        raise InvalidParameter("when using JSON array syntax, arrays must be comprised of strings only")
    return [one.encode("utf-8", "replace").decode() for one in found]


def _pairs(name: str, rest: str) -> Sequence[str]:
    """Names and values in turn: of `a=b c="d e"`, or of `a b`, which is one pair."""
    words = _WORD.findall(rest)
    if not words:
        return []
    if "=" not in words[0]:
        both = _BLANKS.split(rest, maxsplit=1)
        if len(both) == 1:
            raise InvalidParameter(f"{name} must have two arguments")
        return both
    for word in words:
        if "=" not in word:
            raise InvalidParameter(
                f"Syntax error - can't find = in {quoted(word)}. Must be of the form: name=value"
            )
    return [part for word in words for part in word.split("=", 1)]
