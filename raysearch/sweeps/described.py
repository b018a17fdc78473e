"""A configuration, setting by setting: its value, what is allowed, and what it is for."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_NAMES: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}


@dataclass(frozen=True)
class Setting:
    """One leaf of a configuration.

    `value` and `default`, that of the experiment by itself, are as JSON has them; `allowed` and
    `about` are words, empty where nothing is said. Where `is_void` it changes nothing here; the
    seed, which is void for the digest alone, does.
    """

    path: str
    value: Any
    default: Any
    allowed: str
    about: str
    is_void: bool


def settings_of(config: Any) -> Iterator[Setting]:
    """All settings of a configuration, in the order of its fields.

    What one is for is its description, or the part of the docstring of its class that names it in
    `backticks`.
    """
    return _settings(config, type(config)(), "", (), is_void=False)


def _settings(
    part: Any, usual: Any, above: str, kinds: Iterable[str], *, is_void: bool
) -> Iterator[Setting]:
    if type(usual) is not type(part):  # another variant of a part, whose own defaults count
        usual = None
    plain = part.model_dump(mode="json")
    void = part.void() if callable(getattr(part, "void", None)) else frozenset[str]()
    for name, field in type(part).model_fields.items():
        value, is_off = getattr(part, name), is_void or name in void - {"seed"}
        default = (
            getattr(usual, name)
            if usual is not None
            else field.get_default(call_default_factory=True)
        )
        if hasattr(type(value), "model_fields"):
            inner = _kinds(field.annotation)
            yield from _settings(value, default, f"{above}{name}.", inner, is_void=is_off)
            continue
        allowed = _allowed(field.annotation, field.metadata)
        if name == "kind" and kinds:
            allowed = ", ".join(kinds)
        about = "" if name == "kind" else _about(type(part), name, field.description)
        yield Setting(
            f"{above}{name}", plain[name], _json(part, name, default), allowed, about, is_off
        )


def _json(part: Any, name: str, value: Any) -> Any:
    """A value of a field as JSON has it."""
    return part.model_copy(update={name: value}).model_dump(mode="json", warnings=False)[name]


def _about(kind: type, name: str, described: str | None) -> str:
    """What a field is for, in at most one sentence; a base may say it."""
    if described:
        return _parts(described)[0].rstrip(".;")
    bases = [each for each in kind.__mro__ if getattr(each, "model_fields", None) is not None]
    parts = (part for each in bases for part in _parts(each.__doc__ or ""))
    return next((part for part in parts if f"`{name}`" in part), "").rstrip(".;")


def _parts(text: str) -> list[str]:
    """Sentences, or what stands between semicolons."""
    return re.split(r"(?<=[.;])\s+", " ".join(text.split()))


def _kinds(annotation: Any) -> list[str]:
    """The kinds of which a part may be."""
    found: list[str] = []
    for each in [annotation, *_parts_of(annotation)]:
        field = getattr(each, "model_fields", {}).get("kind")
        if field is not None and get_origin(field.annotation) is Literal:
            found += map(str, get_args(field.annotation))
    return found


def _parts_of(annotation: Any) -> list[Any]:
    return [part for each in get_args(annotation) for part in (each, *_parts_of(each))]


def _allowed(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """What a field takes, in words: its choices, or its kind and bounds."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _allowed(inner[0], [*inner[1:], *metadata])
    if origin is Literal:
        return ", ".join(map(_word, inner))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(map(_word, annotation))
    if origin in (Union, types.UnionType):
        return " or ".join(_allowed(one, () if one is type(None) else metadata) for one in inner)
    if inner:
        of = ", ".join("…" if one is ... else _allowed(one) for one in inner)
        return f"{getattr(origin, '__name__', origin)} of ({of})"
    bounds = " and ".join(_bounds(metadata))
    return f"{_NAMES.get(annotation, getattr(annotation, '__name__', annotation))} {bounds}".strip()


def _bounds(metadata: Iterable[Any]) -> Iterator[str]:
    for each in metadata:
        for inner in getattr(each, "metadata", None) or [each]:
            for name, sign in _SIGNS.items():
                if (bound := getattr(inner, name, None)) is not None:
                    yield f"{sign} {f'{bound:g}' if isinstance(bound, float) else bound}"


def _word(value: Any) -> str:
    """A choice as it is given."""
    plain = value.value if isinstance(value, Enum) else value
    return plain if isinstance(plain, str) else json.dumps(plain, default=str)
