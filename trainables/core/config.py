"""Frozen typed configurations: plain JSON in and out, strict reading, errors with dotted paths."""

from __future__ import annotations

import types
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

KIND = "kind"
"""The field by which the variants of a part are told apart."""


class Config(BaseModel):
    """A part of a configuration: frozen, nothing unknown, nothing cast but int to float.

    Variants of a part are a union on the literal field `kind`. A subclass that has fields without
    effect under some settings names them in `void`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Notes the values of `kind`: pydantic puts them into the paths of errors."""
        field = cls.model_fields.get(KIND)
        if field is not None and get_origin(field.annotation) is Literal:
            _TAGS.update(map(str, get_args(field.annotation)))

    def void(self) -> frozenset[str]:
        """Names of own fields that change nothing in this configuration."""
        return frozenset()

    def to_json(self) -> dict[str, Any]:
        """Every field, as plain JSON."""
        return self.model_dump(mode="json")

    def canonical(self) -> dict[str, Any]:
        """`to_json` without the fields that are void here, and without the seed of the training."""
        void = self.void()
        canonical: dict[str, Any] = {}
        for name, plain in self.to_json().items():
            if name in void:
                continue
            value = getattr(self, name)
            canonical[name] = value.canonical() if isinstance(value, Config) else plain
        return canonical

    def value_at(self, path: str) -> Any:
        """The value at a dotted path. Raises LookupError if there is none in this configuration."""
        value: Any = self
        for part in path.split("."):
            if not isinstance(value, Config) or part not in type(value).model_fields:
                raise LookupError(_unknown(type(self), path))
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
        for path in sorted(values, key=lambda path: (not path.endswith(f".{KIND}"), path)):
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
            if first["type"] == "extra_forbidden":
                raise LookupError(_unknown(cls, _path(first))) from None
            raise ValueError(_sentence(first)) from None

    @classmethod
    def paths(cls) -> frozenset[str]:
        """All dotted paths of leaves, through all variants."""
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
    return []


def _unknown(kind: type[Config], path: str) -> str:
    paths = kind.paths()
    near = get_close_matches(path, paths, 1, 0.5)
    last = [one for one in sorted(paths) if one.split(".")[-1] == path.split(".")[-1]]
    hint = near[0] if near else (last[0] if last else "")
    shown = f"did you mean {hint!r}?" if hint else f"there are {', '.join(sorted(paths))}"
    return f"{path} is no field of {getattr(kind, 'name', kind.__name__)}; {shown}"


def _path(error: ErrorDetails) -> str:
    """The dotted path of an error; the tags of variants that pydantic puts in it are no part."""
    parts = [str(part) for part in error["loc"]]
    return ".".join(part for index, part in enumerate(parts) if not _is_tag(parts, index))


def _is_tag(parts: list[str], index: int) -> bool:
    return 0 < index < len(parts) - 1 and parts[index] in _TAGS


_TAGS: set[str] = set()
"""The values of `kind` of all variants: known once their classes are."""


def _sentence(error: ErrorDetails) -> str:
    """One sentence: the path, the rule, the value."""
    rule = error["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    path = _path(error)
    if error["type"] == "value_error":
        return f"{path}: {rule}" if path else rule
    rule = rule.removeprefix("input should be ").removeprefix("input ")
    if error["type"] == "union_tag_invalid":
        context = error.get("ctx", {})
        tags = str(context.get("expected_tags"))
        return f"{path}.{KIND} must be one of {tags}, got {context.get('tag')!r}"
    return f"{path} must be {rule}, got {error['input']!r}"
