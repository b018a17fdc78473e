"""Reads `name:argument=value,…` as samplers and pruners are named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from raysearch.errors import BadSetting
from raysearch.sweeps.nearest import nearest


class Argument(Protocol):
    """What an argument may be; as text, what is allowed."""

    @property
    def meaning(self) -> str:
        """What it does, for whoever chooses it."""
        ...

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        ...

    @property
    def default(self) -> Any:
        """Its value where it is not given."""
        ...

    def value(self, text: str) -> Any:
        """The value that a text means; None if it is not allowed."""
        ...


@dataclass(frozen=True)
class Whole:
    """A whole number from `least`, or one of the words; with a default of None it must be given."""

    least: int
    default: int | str | None
    meaning: str
    words: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is None

    def value(self, text: str) -> int | str | None:
        """The number, or the word; None if it is neither."""
        if text in self.words:
            return text
        is_whole = text.isascii() and text.isdecimal()
        return int(text) if is_whole and int(text) >= self.least else None

    def __str__(self) -> str:
        return " or ".join([f"a whole number from {self.least}", *map(repr, self.words)])


@dataclass(frozen=True)
class Real:
    """A finite number in least…most, both included; it need not be given."""

    default: float | None
    meaning: str
    least: float = -math.inf
    most: float = math.inf
    required: bool = False

    def value(self, text: str) -> float | None:
        """The number; None if it is none, or out of range."""
        try:
            number = float(text)
        except ValueError:
            return None
        return number if math.isfinite(number) and self.least <= number <= self.most else None

    def __str__(self) -> str:
        if self.least == -math.inf:
            return "a number"
        return f"a number from {self.least:g}" + (
            f" to {self.most:g}" if self.most < math.inf else ""
        )


@dataclass(frozen=True)
class Word:
    """One of some words, by default the first."""

    words: tuple[str, ...]
    meaning: str
    required: bool = False

    @property
    def default(self) -> str:
        """The first."""
        return self.words[0]

    def value(self, text: str) -> str | None:
        """The word; None if it is not one of them."""
        return text if text in self.words else None

    def __str__(self) -> str:
        return _either([repr(word) for word in self.words])


@dataclass(frozen=True)
class Named:
    """What stands in a table of names: what it does, and its arguments."""

    meaning: str
    arguments: Mapping[str, Argument] = field(default_factory=dict[str, Argument])


def parse(text: str) -> tuple[str, dict[str, str]]:
    """`median:warmup=2,startup=5` → (`median`, {"warmup": "2", "startup": "5"}).

    Raises:
        ValueError: it does not have that form, or an argument is there twice.
    """
    name, _, rest = text.partition(":")
    arguments: dict[str, str] = {}
    for part in [part.strip() for part in rest.split(",")] if rest else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value) or key in arguments:
            raise BadSetting(
                f"{text!r} must have the form name:argument=value,argument=value with each "
                f"argument once, got {part!r}"
            )
        arguments[key] = value
    return name.strip(), arguments


def read(what: str, text: str, table: Mapping[str, Named]) -> tuple[str, dict[str, Any]]:
    """The name and all arguments, with defaults for those not given.

    Raises:
        ValueError: an unknown name or argument, or a value out of range; names what is allowed.
    """
    name, given = parse(text)
    if name not in table:
        raise BadSetting(
            f"{what} must be {_either(list(table))}, got {name!r}{nearest(name, table)}"
        )
    known = table[name].arguments
    for argument in given:
        if argument not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no arguments"
            raise BadSetting(f"{what} {name!r} {takes}, got {argument!r}{nearest(argument, known)}")
    return name, {
        argument: _value(f"{what} {name!r}", argument, rule, given.get(argument))
        for argument, rule in known.items()
    }


def _value(owner: str, argument: str, rule: Argument, text: str | None) -> Any:
    if text is None:
        if rule.required:
            raise BadSetting(f"{argument} of {owner} must be given: {rule}")
        return rule.default
    value = rule.value(text)
    if value is None:
        raise BadSetting(f"{argument} of {owner} must be {rule}, got {text!r}")
    return value


def _either(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
