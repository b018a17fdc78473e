"""Requests to the service: names, arguments, submissions, each with its bounds."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from raysearch.errors import BadSetting

LARGEST_TEXT = 20_000
"""Characters of one text; the system takes 128 KiB for one argument of a command."""
_ARGUMENTS, _CHARACTERS = 200, 100_000
"""Arguments of a verb, and characters of them all."""
_ITEMS, _DEEPEST = 10_000, 20
"""Values in a mapping of overrides or options with all that is in them, and their levels."""
_INTEGERS = range(-(1 << 63), 1 << 63)


def plain(text: str) -> str:
    """Text that a command, a file and a database can hold."""
    if "\0" in text:
        raise BadSetting("must not contain NUL")
    if not text.isascii() and text.encode(errors="replace") != text.encode(errors="ignore"):
        raise BadSetting("must be text that UTF-8 can hold")
    return text


def _few(arguments: list[str]) -> list[str]:
    if (found := sum(map(len, arguments))) > _CHARACTERS:
        raise BadSetting(f"must have at most {_CHARACTERS} characters in all, got {found}")
    return arguments


def _bounded(value: Any) -> Any:
    """JSON of bounded depth and size, whose texts and numbers can be written down again."""
    level: list[Any] = [value]
    count = depth = 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > _DEEPEST:
            raise BadSetting(f"must have at most {_DEEPEST} levels")
        if count > _ITEMS:
            raise BadSetting(f"must have at most {_ITEMS} values")
        level = [inner for one in level for inner in _inner(one)]
    return value


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        if len(value) > LARGEST_TEXT:
            raise BadSetting(f"texts must have at most {LARGEST_TEXT} characters")
        plain(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise BadSetting(f"numbers must be finite, got {value}")
    elif isinstance(value, int) and value not in _INTEGERS:
        raise BadSetting("whole numbers must fit into 64 bits")
    return []


Name = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$", description="The name of a search.")
]
Code = Annotated[str, Path(pattern=r"^[0-9a-zA-Z]{1,64}$", description="The name of a package.")]
Factors = Annotated[
    str | None,
    Query(max_length=400, description="Settings by which a report draws the objective: a or a,b."),
]
After = Annotated[int, Query(ge=0, lt=1 << 63, description="The number of an event.")]
Text = Annotated[str, Field(max_length=LARGEST_TEXT), AfterValidator(plain)]
Word = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(plain)]
Values = Annotated[dict[str, Any], BeforeValidator(_bounded)]


class Verb(BaseModel):
    """A verb with its arguments, and the width of the terminal that shows what it says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    arguments: Annotated[list[Text], Field(max_length=_ARGUMENTS), AfterValidator(_few)]
    width: Annotated[int, Field(ge=0, le=100_000)] | None = None


class Submit(BaseModel):
    """A search to be run: a sweep, values, options of `raysearch search`, and its code."""

    model_config = ConfigDict(extra="forbid", strict=True)

    space: Word
    overrides: Values
    options: Values
    code: Annotated[str, Field(pattern=r"^[0-9a-zA-Z]{1,64}$")]
    stem: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")]
    command: Annotated[str, Field(max_length=_CHARACTERS), AfterValidator(plain)] = (
        "raysearch submit"
    )


class Kept(BaseModel):
    """The name under which a package lies on the head."""

    code: str


class Known(BaseModel):
    """Whether a package lies on the head."""

    known: bool


class Named(BaseModel):
    """The name that a search got."""

    name: str


class Refusal(BaseModel):
    """Why nothing was done, in one sentence; `kind` as in `raysearch.errors`."""

    error: str
    kind: str
