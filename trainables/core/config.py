"""Frozen typed configurations: plain JSON in and out, strict reading, errors with dotted paths."""

from __future__ import annotations

import types
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

KIND = "kind"
"""The field by which the variants of a part are told apart."""


class Config(BaseModel):
    """A part of a configuration: frozen, nothing unknown, nothing cast but int to float.

    Variants of a part are a union on the literal field `kind`. A subclass that has fields without
    effect under some settings names them in `void`. What a validator of a subclass says begins with
    the name of the field at fault, which then stands behind the path of the part.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    def void(self) -> frozenset[str]:
        """Names of own fields that change nothing in this configuration."""
        return frozenset()

    def to_json(self) -> dict[str, Any]:
        """Every field, as plain JSON."""
        return self.model_dump(mode="json")

    def canonical(self) -> dict[str, Any]:
        """What this configuration is: `to_json` without the seed of the training and what is void.

        A part of which nothing is left is not there either.
        """
        return self._canonical(self.to_json())

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        void = self.void()
        canonical: dict[str, Any] = {}
        for name, value in plain.items():
            if name in void:
                continue
            part = getattr(self, name)
            if not isinstance(part, Config):
                canonical[name] = value
            elif inner := part._canonical(value):
                canonical[name] = inner
        return canonical

    def value_at(self, path: str) -> Any:
        """The value at a dotted path. Raises LookupError if there is none in this configuration."""
        value: Any = self
        for part in path.split("."):
            if not isinstance(value, Config) or part not in type(value).model_fields:
                raise LookupError(self._no_field(path))
            value = getattr(value, part)
        return value

    def with_values(self, values: Mapping[str, object]) -> Self:
        """This configuration with other values at dotted paths, checked.

        Another `kind` of a part starts from that variant's defaults.

        Raises:
            LookupError: no such path, with the nearest one.
            ValueError: a value that is not allowed, with its path and what is.
        """
        data = self.to_json()
        for path in sorted(values, key=_kinds_first):
            if path not in type(self).paths():
                raise LookupError(_unknown(type(self), path))
            *parents, last = path.split(".")
            at: dict[str, Any] = data
            for parent in parents:
                at = at.setdefault(parent, {})
            if last == KIND and at.get(KIND) != values[path]:
                at.clear()
            at[last] = values[path]
        return type(self).read(data)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """The configuration that `to_json` wrote, or a part of it with defaults for the rest.

        Raises:
            LookupError: a field that does not exist, with the nearest one.
            ValueError: a value that is not allowed, with its path and what is.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            path, kinds = _place(cls, first["loc"])
            if first["type"] == "extra_forbidden":
                raise LookupError(_unknown(cls, path, kinds)) from None
            raise ValueError(_sentence(first, path)) from None

    @classmethod
    def paths(cls) -> frozenset[str]:
        """All dotted paths of leaves, through all variants."""
        return _paths(cls)

    def _no_field(self, path: str) -> str:
        """Why there is no value at a path, in view of the variants that are chosen here."""
        kinds: dict[str, str] = {}
        value: Any = self
        for depth, part in enumerate(path.split("."), 1):
            value = getattr(value, part, None)
            if isinstance(value, Config) and KIND in type(value).model_fields:
                kinds[".".join(path.split(".")[:depth])] = str(getattr(value, KIND))
        return _unknown(type(self), path, kinds)


def _kinds_first(path: str) -> tuple[bool, int, str]:
    """Sorts `kind` before its siblings and outer parts before inner ones: a new kind clears."""
    return (not path.endswith(f".{KIND}"), path.count("."), path)


@cache
def _paths(cls: type[Config]) -> frozenset[str]:
    """`Config.paths`, found once: spaces of many points ask for them at each."""
    found: set[str] = set()
    for name, field in cls.model_fields.items():
        parts = _configs(field.annotation)
        found |= {f"{name}.{path}" for part in parts for path in part.paths()}
        if not parts:
            found.add(name)
    return frozenset(found)


def _configs(annotation: Any) -> list[type[Config]]:
    """The configuration classes in an annotation: itself, or the members of a union."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType):
        return [one for member in get_args(annotation) for one in _configs(member)]
    if get_origin(annotation) is Annotated:
        return _configs(get_args(annotation)[0])
    return []


def _unknown(cls: type[Config], path: str, kinds: Mapping[str, str] | None = None) -> str:
    """The sentence about a path that is no field, given which variants are chosen on its way."""
    name = getattr(cls, "name", cls.__name__)
    paths = cls.paths()
    if path in paths:
        chosen = " and ".join(f"{part}.{KIND} {kind!r}" for part, kind in (kinds or {}).items())
        return f"{path} is no field of {name} with {chosen}"
    inside = sorted(one for one in paths if one.startswith(f"{path}."))
    if inside:
        return f"{path} is a part of {name}, not a field; it has {', '.join(inside)}"
    parts = {one[:end] for one in paths for end, letter in enumerate(one) if letter == "."}
    near = get_close_matches(path, sorted(paths | parts), 1, 0.5)
    near += sorted(one for one in paths if one.split(".")[-1] == path.split(".")[-1])
    shown = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(paths))}"
    return f"{path} is no field of {name}; {shown}"


def _place(cls: type[Config], location: tuple[int | str, ...]) -> tuple[str, dict[str, str]]:
    """The dotted path of an error, and the variants on its way.

    Behind a part that has variants pydantic puts the tag of the one that was read.
    """
    parts: list[str] = []
    kinds: dict[str, str] = {}
    candidates = [cls]
    for step in map(str, location):
        if len(candidates) > 1:
            kinds[".".join(parts)] = step
            candidates = [one for one in candidates if step in _tags(one)]
            continue
        parts.append(step)
        field = candidates[0].model_fields.get(step) if candidates else None
        candidates = _configs(field.annotation) if field else []
    return ".".join(parts), kinds


def _tags(cls: type[Config]) -> list[str]:
    """The values of `kind` that a variant answers to."""
    return [str(tag) for tag in get_args(cls.model_fields[KIND].annotation)]


def _sentence(error: ErrorDetails, path: str) -> str:
    """One sentence: the path, the rule, the value."""
    rule = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{path}.{rule}" if path else rule
    context = error.get("ctx", {})
    if error["type"] == "union_tag_invalid":
        tags = context["expected_tags"].replace(", ", " or ")
        return f"{path}.{KIND} must be {tags}, got {context['tag']!r}"
    if error["type"] == "union_tag_not_found":
        return f"{path}.{KIND} must be given, got {error['input']!r}"
    if error["type"] in ("model_type", "model_attributes_type"):
        return f"{path or 'a configuration'} must be an object with fields, got {error['input']!r}"
    rule = rule.removeprefix("Input should be ").removeprefix("Input ")
    return f"{path} must be {rule}, got {error['input']!r}"
