"""Reads one override of Hydra's command line, by Hydra 1.3's own grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from raysearch.errors import BadSetting
from raysearch.imports.hydra_functions import Call, Quoted, evaluate

_INT = r"(?:0|[1-9](?:_?[0-9])*)"
_DIGITS = r"[0-9](?:_?[0-9])*"
_POINT = rf"(?:{_INT}?\.{_DIGITS}|{_INT}\.)"
_EXPONENT = rf"(?:{_INT}?\.{_DIGITS}|{_INT}\.|{_INT})[eE][+-]?{_DIGITS}"
_TOKENS = [
    ("(", r"[ \t]*\([ \t]*"),
    (",", r"[ \t]*,[ \t]*"),
    (")", r"[ \t]*\)"),
    ("[", r"\[[ \t]*"),
    ("]", r"[ \t]*\]"),
    ("{", r"\{[ \t]*"),
    ("}", r"[ \t]*\}"),
    (":", r"[ \t]*:[ \t]*"),
    ("=", r"[ \t]*=[ \t]*"),
    ("float", rf"[+-]?(?:{_EXPONENT}|{_POINT}|[Ii][Nn][Ff]|[Nn][Aa][Nn])"),
    ("int", rf"[+-]?{_INT}"),
    ("bool", r"[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]"),
    ("null", r"[Nn][Uu][Ll][Ll]"),
    ("char", r"[/\-\\+.$%*@?|]"),
    ("id", r"[a-zA-Z_][a-zA-Z0-9_-]*"),
    ("escape", r"(?:\\[\\()\[\]{}:=, \t])+"),
    ("space", r"[ \t]+"),
    ("quoted", r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""),
    ("interpolation", r"\$\{[^}]+\}"),
]
"""Names and patterns; the longest match counts, among equal ones the first."""
_LEXER = [(name, re.compile(pattern, re.DOTALL)) for name, pattern in _TOKENS]
_PRIMITIVE = {"id", "null", "int", "float", "bool", "interpolation", "char", ":", "escape", "space"}
_KEY = re.compile(
    r"(?P<sign>~|\+{0,2})(?P<key>[\w$-]+(?:[./][\w$-]+)*)(?:@(?P<package>[\w$.:-]*))?"
)


@dataclass(frozen=True)
class Override:
    """`key=value` with its sign (`+`, `++`, `~` or none) and package.

    The value is a plain one, or one of the sweeps of `hydra_functions`.
    """

    key: str
    value: Any
    sign: str = ""
    package: str | None = None


def read_override(text: str) -> Override:
    """One override.

    Raises:
        ValueError: it is none; says where.
    """
    match = _KEY.match(text)
    rest = text[match.end() :] if match else ""
    if match is None or not (rest.startswith("=") or (match["sign"] == "~" and not rest)):
        raise BadSetting(f"{text!r} must have the form key=value, as Hydra wants it")
    if not rest:
        return Override(match["key"], None, "~", match["package"])
    try:
        value = _Reader(list(_tokens(rest[1:].lstrip(" \t")))).value()
    except ValueError as error:
        raise BadSetting(f"{text!r} cannot be read: {error}") from None
    return Override(match["key"], value, match["sign"], match["package"])


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        found = [(name, pattern.match(text, place)) for name, pattern in _LEXER]
        matches = [(match.end(), -rank, name) for rank, (name, match) in enumerate(found) if match]
        if not matches:
            raise BadSetting(f"{text[place]!r} must be quoted")
        end, _, name = max(matches)
        yield _Token(name, text[place:end])
        place = end


@dataclass
class _Reader:
    """A descent through elements: primitives, lists, mappings, calls."""

    tokens: list[_Token]
    place: int = 0
    _open: list[str] = field(default_factory=list[str])

    def value(self) -> Any:
        """The whole value: one element, or a choice `a,b,c`."""
        if not self.tokens:
            return ""
        elements = [self._element()]
        while self._takes(","):
            elements.append(self._element())
        if self.place < len(self.tokens):
            raise BadSetting(f"{self.tokens[self.place].text!r} is not expected there")
        if len(elements) == 1:
            return plain(elements[0])
        return evaluate(Call("simple choice", elements, {}))

    def _peek(self, ahead: int = 0) -> str:
        place = self.place + ahead
        return self.tokens[place].kind if place < len(self.tokens) else "end"

    def _takes(self, kind: str) -> bool:
        if self._peek() != kind:
            return False
        self.place += 1
        return True

    def _element(self) -> Any:
        if self._peek() == "quoted":
            self.place += 1
            return unquoted(self.tokens[self.place - 1].text)
        if self._takes("["):
            return [each for _, each in self._several("]")]
        if self._takes("{"):
            return self._mapping()
        if self._peek() == "id" and self._peek(1) == "(":
            return self._call()
        return self._primitive()

    def _several(self, end: str) -> Iterator[tuple[str | None, Any]]:
        """Elements up to a closing token; in a call some have a name."""
        if self._takes(end):
            return
        while True:
            name = None
            if end == ")" and self._peek() == "id" and self._peek(1) == "=":
                name = self.tokens[self.place].text
                self.place += 2
            yield name, self._element()
            if self._takes(end):
                return
            if not self._takes(","):
                raise BadSetting(f"a , or {end} is missing")

    def _mapping(self) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        if self._takes("}"):
            return found
        while True:
            key = self._primitive(stop=":")
            if not self._takes(":"):
                raise BadSetting("a : is missing")
            found[key] = self._element()
            if self._takes("}"):
                return found
            if not self._takes(","):
                raise BadSetting("a , or } is missing")

    def _call(self) -> Any:
        name = self.tokens[self.place].text
        self.place += 2
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for key, value in self._several(")"):
            if key is not None:
                named[key] = plain(value)
            elif named:
                raise BadSetting("a value without a name stands behind one with a name")
            else:
                positional.append(plain(value))
        return evaluate(Call(name, positional, named))

    def _primitive(self, stop: str = "") -> Any:
        """One token in its own type, or several as one text, without spaces around."""
        begin = self.place
        while self._peek() in _PRIMITIVE and self._peek() != stop:
            self.place += 1
        tokens = self.tokens[begin : self.place]
        if tokens and tokens[0].kind == "space":
            tokens = tokens[1:]
        if tokens and tokens[-1].kind == "space":
            tokens = tokens[:-1]
        if not tokens:
            what = repr(self.tokens[begin].text) if begin < len(self.tokens) else "the end"
            raise BadSetting(f"a value is missing before {what}")
        return _typed(tokens[0]) if len(tokens) == 1 else "".join(map(_text, tokens))


def _text(token: _Token) -> str:
    return token.text[1::2] if token.kind == "escape" else token.text


def _typed(token: _Token) -> Any:
    if token.kind == "int":
        return int(token.text)
    if token.kind == "float":
        return float(token.text)
    if token.kind == "bool":
        return token.text.lower() == "true"
    return None if token.kind == "null" else _text(token)


def unquoted(text: str) -> Quoted:
    """What stands between quotes; a backslash counts only before a quote."""
    quote = text[0]
    body = re.sub(rf"\\+{quote}", lambda match: match[0][1::2], text[1:])
    is_closed = text[-2] == "\\" and len(text) > 2  # then the closing quote went with it
    return Quoted(body if is_closed else body[:-1])


def plain(value: Any) -> Any:
    """The value with quoted texts as plain ones, inside too."""
    if isinstance(value, Quoted):
        return str(value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    return value
