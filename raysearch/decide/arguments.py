"""Reads `name:argument=value,…` as samplers and pruners are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raysearch.declare.nearest import nearest


@dataclass(frozen=True)
class Whole:
    """An argument that is a whole number from `least`, or one of the words; None: must be given."""

    least: int
    default: int | str | None
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " or ".join([f"a whole number from {self.least}", *map(repr, self.words)])


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
            raise ValueError(
                f"{text!r} must have the form name:argument=value,argument=value with each "
                f"argument once, got {part!r}"
            )
        arguments[key] = value
    return name.strip(), arguments


def read(
    what: str, text: str, allowed: Mapping[str, Mapping[str, Whole]]
) -> tuple[str, dict[str, Any]]:
    """The name and all arguments, with defaults for those not given.

    Raises:
        ValueError: an unknown name or argument, or a value out of range; names what is allowed.
    """
    name, given = parse(text)
    if name not in allowed:
        raise ValueError(f"{what} must be {_either(allowed)}, got {name!r}{nearest(name, allowed)}")
    known = allowed[name]
    for argument in given:
        if argument not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no arguments"
            raise ValueError(f"{what} {name!r} {takes}, got {argument!r}{nearest(argument, known)}")
    return name, {
        argument: _value(f"{what} {name!r}", argument, rule, given.get(argument))
        for argument, rule in known.items()
    }


def _value(owner: str, argument: str, rule: Whole, text: str | None) -> int | str:
    if text is None:
        if rule.default is None:
            raise ValueError(f"{argument} of {owner} must be given: {rule}")
        return rule.default
    if text in rule.words:
        return text
    if not text.isdecimal() or int(text) < rule.least:
        raise ValueError(f"{argument} of {owner} must be {rule}, got {text!r}")
    return int(text)


def _either(names: Mapping[str, object]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
