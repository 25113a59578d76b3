"""What a word of a Dockerfile means: its variables filled in, its quotes and escapes taken away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sockerless_ecs.errors import InvalidParameter

_ESCAPE = "\\"
_NAME = re.compile(r"[0-9]+|[@*#?$!-]|\w+")
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    splits: bool
    """Blanks in it end a word: they were neither quoted nor escaped."""


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """The text as one word; raises InvalidParameter in Docker's words."""
    return "".join(piece.text for piece in _pieces(text, variables))


def expanded_words(text: str, variables: Mapping[str, str]) -> Sequence[str]:
    """The text as the words that it has once its variables are filled in."""
    words = [""]
    for piece in _pieces(text, variables):
        first, *others = re.split(r"\s", piece.text) if piece.splits else [piece.text]
        words[-1] += first
        words += others
    return [word for word in words if word]


def variables_of(environment: Iterable[str]) -> Mapping[str, str]:
    """`NAME=value` strings as a mapping; of a name that is there twice the first counts, as in Docker."""
    found: dict[str, str] = {}
    for variable in environment:
        name, _, value = variable.partition("=")
        found.setdefault(name, value)
    return found


def _pieces(text: str, variables: Mapping[str, str]) -> Sequence[_Piece]:
    try:
        return _Reader(text, variables).until("")
    except InvalidParameter as error:
        raise InvalidParameter(f"failed to process {quoted(text)}: {error}") from None


def quoted(text: str) -> str:
    """As Go's `%q`, near enough."""
    return '"' + text.replace(_ESCAPE, _ESCAPE * 2).replace('"', '\\"') + '"'


class _Reader:
    """Reads from left to right, once."""

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text = text
        self._variables = variables
        self._at = 0
        self._depth = 0

    def until(self, end: str) -> list[_Piece]:
        """Everything before a character, which is read too; empty: to the end."""
        found: list[_Piece] = []
        while self._peek():
            match self._peek():
                case character if character == end:
                    self._at += 1
                    return found
                case "'":
                    found.append(_Piece(self._single_quoted(), splits=False))
                case '"':
                    found.append(_Piece(self._double_quoted(), splits=False))
                case "$":
                    found.append(_Piece(self._variable(), splits=True))
                case "\\":
                    self._at += 1
                    found.append(_Piece(self._next(), splits=False))
                case _:
                    found.append(_Piece(self._next(), splits=True))
        if end:
            raise InvalidParameter("syntax error: missing '}'")
        return found

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        self._at += 1
        return character

    def _single_quoted(self) -> str:
        start = self._at + 1
        end = self._text.find("'", start)
        if end < 0:
            raise InvalidParameter("unexpected end of statement while looking for matching single-quote")
        self._at = end + 1
        return self._text[start:end]

    def _double_quoted(self) -> str:
        self._at += 1
        found = ""
        while (character := self._peek()) != '"':
            if not character:
                raise InvalidParameter("unexpected end of statement while looking for matching double-quote")
            if character == "$":
                found += self._variable()
                continue
            self._at += 1
            if character == _ESCAPE and self._peek() in ('"', "$", _ESCAPE):  # it is kept before all others
                character = self._next()
            found += character
        self._at += 1
        return found

    def _variable(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._at += 1
        if not self._peek():
            raise InvalidParameter("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise InvalidParameter("syntax error: bad substitution")
        return self._substituted(self._name())

    def _name(self) -> str:
        found = _NAME.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _substituted(self, name: str) -> str:
        """What follows a name in braces says: `}`, `:-word}`, `-word}` and so on."""
        modifier, value = self._next(), self._variables.get(name)
        if modifier == "}":
            return value or ""
        if modifier == ":":
            modifier, value = self._next(), value or None  # what is empty counts as not set
        self._depth += 1
        if self._depth > _DEEPEST:
            raise InvalidParameter("syntax error: substitutions nest too deep")
        word = "".join(piece.text for piece in self.until("}"))
        self._depth -= 1
        match modifier:
            case "-":
                return word if value is None else value
            case "+":
                return "" if value is None else word
            case "?" if value is not None:
                return value
            case "?":
                raise InvalidParameter(f"{name}: {word or 'is not allowed to be unset'}")
        raise InvalidParameter(f"unsupported modifier ({modifier}) in substitution")
