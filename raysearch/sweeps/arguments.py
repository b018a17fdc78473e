"""Samplers and pruners as typed values, and read from texts such as `name:argument=value,…`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Protocol, get_args, get_type_hints

from raysearch.errors import BadSetting
from raysearch.sweeps.nearest import nearest

_SUFFIXES = re.compile(r"(?<=.)(sampler|pruner|scheduler|searcher|search|stopping(rule)?)$")
"""What other tools have behind a name: TPESampler, MedianStoppingRule."""


class Allowed(Protocol):
    """What an argument may be; as text, what is allowed."""

    @property
    def meaning(self) -> str:
        """What it does, for whoever chooses it."""
        ...

    def value(self, text: str) -> Any:
        """The value that a text means; None if it is not allowed."""
        ...


@dataclass(frozen=True)
class Whole:
    """A whole number from `least`, or one of the words."""

    least: int
    meaning: str
    words: tuple[str, ...] = ()

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
    """A finite number in least…most, both included."""

    meaning: str
    least: float = -math.inf
    most: float = math.inf

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
    """One of some words."""

    words: tuple[str, ...]
    meaning: str

    def value(self, text: str) -> str | None:
        """The word; None if it is not one of them."""
        return text if text in self.words else None

    def __str__(self) -> str:
        return _either([repr(word) for word in self.words])


@dataclass(frozen=True)
class Argument:
    """An argument: what it may be, and its value where it is not given."""

    allowed: Allowed
    default: Any = None
    required: bool = False

    @property
    def meaning(self) -> str:
        """What it does, for whoever chooses it."""
        return self.allowed.meaning


@dataclass(frozen=True)
class Named:
    """What stands in a table of names: what it does, and its arguments."""

    meaning: str
    arguments: Mapping[str, Argument] = field(default_factory=dict[str, Argument])


class Rule:
    """A sampler or pruner with its arguments; as text what the command line takes.

    What derives from it is a frozen dataclass, each of whose fields is annotated with what it may
    be; its docstring is what help and documents say of it. It raises ValueError for arguments that
    it may not have.
    """

    role: ClassVar[str]
    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Raises ValueError for an argument out of its range, with what is allowed."""
        for argument, rule in _arguments(type(self)).items():
            value = getattr(self, argument)
            if value is None and rule.default is None and not rule.required:
                continue
            _value(f"{self.role} {self.name!r}", argument, rule, _text(value))

    def __str__(self) -> str:
        given = [
            f"{argument}={_text(getattr(self, argument))}"
            for argument, rule in _arguments(type(self)).items()
            if rule.required or getattr(self, argument) != rule.default
        ]
        return f"{self.name}:{','.join(given)}" if given else self.name


def table(*kinds: type[Rule]) -> dict[str, Named]:
    """Names, what they do, and their arguments."""
    return {kind.name: Named(_meaning(kind), _arguments(kind)) for kind in kinds}


def _meaning(kind: type[Rule]) -> str:
    """What its docstring says, within a sentence: `ends no trial`."""
    text = " ".join((kind.__doc__ or "").split()).rstrip(".")
    is_name = text[:2].isupper()
    return text if is_name else text[:1].lower() + text[1:]


def _arguments(kind: Any) -> dict[str, Argument]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        each.name: Argument(
            get_args(hints[each.name])[1],
            None if each.default is MISSING else each.default,
            each.default is MISSING,
        )
        for each in fields(kind)
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


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


def read(
    what: str, text: str, table: Mapping[str, Named], elsewhere: Mapping[str, str] | None = None
) -> tuple[str, dict[str, Any]]:
    """The name and all arguments, with defaults for those not given.

    Args:
        what: `sampler` or `pruner`.
        text: what is given.
        table: what there is.
        elsewhere: by names of other tools, in small letters and digits alone, what to take here.

    Raises:
        ValueError: an unknown name or argument, or a value out of range; names what is allowed.
    """
    name, given = parse(text)
    if name not in table:
        hint = _hint(name, table, elsewhere or {})
        raise BadSetting(f"{what} must be {_either(list(table))}, got {name!r}{hint}")
    known = table[name].arguments
    for argument in given:
        if argument not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no arguments"
            raise BadSetting(f"{what} {name!r} {takes}, got {argument!r}{nearest(argument, known)}")
    return name, {
        argument: _value(f"{what} {name!r}", argument, rule, given.get(argument))
        for argument, rule in known.items()
    }


def _hint(name: str, table: Mapping[str, Named], elsewhere: Mapping[str, str]) -> str:
    """What a name of another tool is here, or else the nearest name."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    for form in (plain, _SUFFIXES.sub("", plain)):
        if form in elsewhere:
            return f"; {elsewhere[form]}"
        same = [known for known in table if known.replace("-", "") == form]
        if same:
            return f"; did you mean {same[0]!r}?"
    return nearest(name, table)


def _value(owner: str, argument: str, rule: Argument, text: str | None) -> Any:
    if text is None:
        if rule.required:
            raise BadSetting(f"{argument} of {owner} must be given: {rule.allowed}")
        return rule.default
    value = rule.allowed.value(text)
    if value is None:
        raise BadSetting(f"{argument} of {owner} must be {rule.allowed}, got {text!r}")
    return value


def _either(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
