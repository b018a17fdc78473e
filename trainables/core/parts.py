"""Parts of configurations: which fields they have, what is plain JSON, and how it is read back."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

KIND = "kind"
"""The field by which the variants of a part are told apart."""
_SCALARS = (bool, int, float, str, type(None))
_SETS = (set, frozenset)


@cache
def fields_of(kind: type) -> Mapping[str, Any]:
    """The annotations of the fields of a part by name; none of what is no part.

    A part is a model of pydantic, a dataclass or a named tuple.
    """
    if not is_part(kind):
        return {}
    if issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    names = getattr(kind, "_fields", None) or [each.name for each in dataclasses.fields(kind)]
    try:
        hints = get_type_hints(kind, include_extras=True)
    except NameError:  # a type that is named where it cannot be looked up, inside of a function
        return {}
    return {name: hints[name] for name in names if name in hints}


def is_part(kind: object) -> bool:
    """Whether a class has fields that have paths of their own."""
    if not isinstance(kind, type):
        return False
    is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind) or is_named_tuple


def parts_in(annotation: Any) -> list[type]:
    """The parts in an annotation: itself, or the members of a union."""
    if is_part(annotation):
        return [annotation] if fields_of(annotation) else []
    return [part for member in _members(annotation) for part in parts_in(member)]


def may_be_no_part(annotation: Any) -> bool:
    """Whether a value of an annotation may be anything but a part, such as None or a number."""
    members = _members(annotation)
    return any(map(may_be_no_part, members)) if members else not parts_in(annotation)


def _members(annotation: Any) -> Sequence[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return get_args(annotation)[:1] if get_origin(annotation) is Annotated else ()


def is_plain(value: Any) -> bool:
    """Whether a value is JSON as it stands."""
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(is_plain, cast("list[Any]", value)))
    return type(value) in _SCALARS


@cache
def needs_reading(cls: type, name: str) -> bool:
    """Whether the JSON of a field is not yet its value, as it is of texts, numbers and lists."""
    return _needs_reading(fields_of(cls)[name])


def _needs_reading(annotation: Any) -> bool:
    if annotation in (*_SCALARS, None):
        return False
    origin = get_origin(annotation)
    if origin is Literal:
        return any(type(one) not in _SCALARS for one in get_args(annotation))
    if origin is list:
        return any(map(_needs_reading, get_args(annotation)))
    if members := _members(annotation):
        return any(map(_needs_reading, members))
    return True


@cache
def leaf(cls: type, name: str) -> type[BaseModel]:
    """A model with the type of a field, without its own constraints, as its only field `value`."""
    own = {**getattr(cls, "model_config", {}), "validate_default": False}  # no default is JSON
    settings = cast("ConfigDict", own)
    made: Any = create_model("Leaf", __config__=settings, value=(fields_of(cls)[name], ...))
    return made


def from_json(kind: type[BaseModel], plain: Any) -> Any:
    """What a leaf has for a JSON value. Raises ValidationError, or TypeError if it is no JSON."""
    read: Any = kind.model_validate_json(json.dumps({"value": plain}), strict=True, extra="forbid")
    return read.value


def as_json(kind: type[BaseModel], value: Any) -> Any:
    """A value of a leaf as JSON. Raises ValidationError if it is none."""
    return ordered(value, kind.model_validate({"value": value}).model_dump(mode="json")["value"])


@cache
def has_sets(kind: type) -> bool:
    """Whether a part may hold a set, whose order differs between processes."""
    return _has_sets(kind, ())


def _has_sets(annotation: Any, inside: tuple[type, ...]) -> bool:
    if annotation in (*_SCALARS, None, Ellipsis) or get_origin(annotation) is Literal:
        return False
    if annotation in inside:
        return False
    if is_part(annotation) and (names := fields_of(annotation)):
        return any(_has_sets(one, (*inside, annotation)) for one in names.values())
    if get_origin(annotation) is Annotated:
        return _has_sets(get_args(annotation)[0], inside)
    if get_origin(annotation) in (list, tuple, dict, Union, types.UnionType):
        return any(_has_sets(one, inside) for one in get_args(annotation))
    return True


def ordered(value: Any, plain: Any) -> Any:
    """The JSON of a value with all that were sets in one order, whatever the hashes were."""
    if isinstance(value, _SETS) and isinstance(plain, list):
        rows = [ordered(*pair) for pair in zip(value, cast("list[Any]", plain), strict=True)]
        return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
    if isinstance(value, (list, tuple)) and isinstance(plain, list):
        pairs = zip(cast("Sequence[Any]", value), cast("list[Any]", plain), strict=True)
        return [ordered(*pair) for pair in pairs]
    if not isinstance(plain, dict):
        return plain
    members = cast("dict[str, Any]", plain)
    if isinstance(value, Mapping) and len(cast("Mapping[Any, Any]", value)) == len(members):
        inside = zip(members.items(), cast("Mapping[Any, Any]", value).values(), strict=True)
        return {key: ordered(one, row) for (key, row), one in inside}
    return {key: ordered(getattr(value, key, None), row) for key, row in members.items()}


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """The paths at which two values differ, in type too; inside of parts only."""
    if type(one) is not type(other):
        yield path
    elif names := fields_of(type(one)):
        for name in names:
            inside = f"{path}.{name}" if path else name
            yield from differences(getattr(one, name), getattr(other, name), inside)
    elif not _is_same(one, other):
        yield path


def _is_same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        rows = cast("Sequence[Any]", one), cast("Sequence[Any]", other)
        return len(rows[0]) == len(rows[1]) and all(map(_is_same, *rows))
    if isinstance(one, dict):
        return _is_same(list(cast("dict[Any, Any]", one).items()), list(other.items()))
    if names := fields_of(type(one)):
        return all(_is_same(getattr(one, name), getattr(other, name)) for name in names)
    return bool(one == other)


@cache
def has_validators(cls: type[BaseModel], name: str) -> bool:
    """Whether people's own code may still change what a field is given before it is checked."""
    decorators = cls.__pydantic_decorators__
    wrapping = any("Validator" in type(each).__name__ for each in cls.model_fields[name].metadata)
    return bool(decorators.field_validators or decorators.model_validators) or wrapping
