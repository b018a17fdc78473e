"""Frozen typed configurations: plain JSON in and out, strict reading, errors with dotted paths."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Self, cast, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from trainables.core import complaints, parts
from trainables.core.parts import KIND

_METHODS = (classmethod, staticmethod, property)


class Config(BaseModel):
    """A part of a configuration: frozen, nothing unknown, nothing cast but int to float.

    A field may have any type that pydantic writes as JSON and reads back the same: tuples, paths,
    enumerations, dates, sets, dataclasses and named tuples too. Variants of a part are a union on
    the literal field `kind`. A subclass that has fields without effect under some settings names
    them in `void`. What a validator of a subclass says begins with the name of the field at fault,
    which then stands behind the path of the part.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        validate_by_name=True,
        ser_json_bytes="base64",  # any bytes; as text only UTF-8 would come back
        val_json_bytes="base64",
    )

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Raises ValueError for a field that would hide what each configuration has."""
        super().__init_subclass__(**arguments)
        for name, annotation in cls.__dict__.get("__annotations__", {}).items():
            if not _is_class_variable(annotation):
                _refuse_hidden(cls, name)

    def void(self) -> frozenset[str]:
        """Names of own fields that change nothing in this configuration."""
        return frozenset()

    def to_json(self) -> dict[str, Any]:
        """Every field, as plain JSON; sets as sorted lists."""
        plain = self.model_dump(mode="json")
        return parts.ordered(self, plain) if parts.has_sets(type(self)) else plain

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
        """The value at a dotted path, as plain JSON; a whole `Config` there as it is.

        Raises LookupError if there is none in this configuration.
        """
        value: Any = self
        for name in path.split("."):
            if name not in parts.fields_of(type(value)):
                raise LookupError(self._no_field(path))
            value = getattr(value, name)
        return value if isinstance(value, Config) or parts.is_plain(value) else self._plain_at(path)

    def _plain_at(self, path: str) -> Any:
        value, plain = cast("Any", self), cast("Any", self.to_json())
        for name in path.split("."):
            plain = plain[_key(plain, type(value), name)]
            value = getattr(value, name)
        return plain

    def with_values(self, values: Mapping[str, object]) -> Self:
        """This configuration with other values at dotted paths, checked.

        A value is what JSON has for the field (a list for a tuple, a text for a path), or one of
        the field's own type. Another `kind` of a part starts from that variant's defaults.

        Raises:
            LookupError: no such path, with the nearest one.
            ValueError: a value that is not allowed, with its path and what is.
        """
        data = self.to_json()
        for path in sorted(values, key=_kinds_first):
            if path not in type(self).paths():
                raise LookupError(complaints.unknown(type(self), path))
            _put(type(self), data, path, values[path])
        return type(self).read(data)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """The configuration that `to_json` wrote, or a part of it with defaults for the rest.

        Raises:
            LookupError: a field that does not exist, with the nearest one.
            ValueError: a value that is not allowed, with its path and what is.
        """
        faults = _Faults()
        try:
            found = cls.model_validate(_read(cls, data, "", faults))
        except ValidationError as error:
            raise complaints.of(cls, error, data, faults) from None
        for path in faults.final:  # as a whole it passed: a class of pydantic's own is lenient
            raise complaints.of_fault(cls, faults[path], path, data)
        return found

    def lossy(self) -> dict[str, str]:
        """The paths whose values are not the same once they were written as JSON, each with why."""
        found: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Config):
                found |= {f"{name}.{path}": why for path, why in value.lossy().items()}
            elif parts.needs_reading(type(self), name):
                found |= {f"{name}.{path}".rstrip("."): why for path, why in _loss(self, name)}
        return found

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
        return complaints.unknown(type(self), path, kinds)


def _kinds_first(path: str) -> tuple[bool, int, str]:
    """Sorts `kind` before its siblings and outer parts before inner ones: a new kind clears."""
    return (not path.endswith(f".{KIND}"), path.count("."), path)


@cache
def _paths(cls: type, outside: tuple[type, ...] = ()) -> frozenset[str]:
    """`Config.paths`, found once: spaces of many points ask for them at each.

    A part that holds others of its own kind ends there.
    """
    found: set[str] = set()
    for name, annotation in parts.fields_of(cls).items():
        inside = [part for part in parts.parts_in(annotation) if part not in (*outside, cls)]
        found |= {f"{name}.{path}" for part in inside for path in _paths(part, (*outside, cls))}
        if not inside or parts.may_be_no_part(annotation):
            found.add(name)
    return frozenset(found)


def _key(plain: Any, kind: type, name: str) -> str | int:
    """Where the JSON of a part has a field: that of a named tuple is a list."""
    return list(parts.fields_of(kind)).index(name) if isinstance(plain, list) else name


def _put(cls: type, data: dict[str, Any], path: str, value: object) -> None:
    """Sets a value at a path of the JSON of a configuration."""
    *above, last = path.split(".")
    at: Any = data
    kinds = [cls]
    for name in above:
        kinds = [kind for kind in kinds if name in parts.fields_of(kind)]
        key = _key(at, kinds[0], name)
        kinds = [part for kind in kinds for part in parts.parts_in(parts.fields_of(kind)[name])]
        known = (dict, list) if any(issubclass(kind, tuple) for kind in kinds) else dict
        if isinstance(at, dict) and not isinstance(at.get(key), known):  # no part is there
            at[key] = {}
        at = at[key]
    kinds = [kind for kind in kinds if last in parts.fields_of(kind)]
    plain = _plain(kinds, last, path, value)
    if last == KIND and at.get(KIND) != plain:
        at.clear()
    at[_key(at, kinds[0], last)] = plain


def _plain(kinds: Sequence[type], name: str, path: str, value: object) -> Any:
    """A value of a field's own type as JSON; what is JSON already stays as it is."""
    if parts.is_plain(value):
        return value
    error: ValidationError | None = None
    for kind in kinds:
        try:
            return parts.as_json(parts.leaf(kind, name), value)
        except ValidationError as found:
            error = error or found
    assert error is not None
    raise ValueError(complaints.of_leaf(error, path, {"value": value})) from None


class _Faults(dict[str, ValidationError]):
    """The findings about leaves, by path; those in `final` no validator can set right."""

    def __init__(self) -> None:
        super().__init__()
        self.final: list[str] = []


def _read(cls: type[Config], data: object, place: str, faults: _Faults) -> dict[str, Any] | Any:
    """JSON with each leaf in its own type; one for which that cannot be stays, with its fault.

    Leaf by leaf, since pydantic reads a whole as JSON no longer behind people's own validators.
    """
    if not isinstance(data, Mapping):
        return data
    found = dict(cast("Mapping[str, Any]", data))
    for name in cls.model_fields.keys() & found.keys():
        value, path = found[name], f"{place}{name}"
        known = _configs(cls, name)
        if known and isinstance(value, Mapping):
            part = _variant(known, value)
            found[name] = value if part is None else _read(part, value, f"{path}.", faults)
        elif parts.needs_reading(cls, name) and parts.is_plain(value):
            try:
                found[name] = parts.from_json(parts.leaf(cls, name), value)
            except ValidationError as error:
                faults[path] = error
                if not parts.has_validators(cls, name):
                    faults.final.append(path)
    return found


def _loss(config: Config, name: str) -> Iterator[tuple[str, str]]:
    """The places in a field that JSON does not keep, each with why."""
    kind, value = parts.leaf(type(config), name), getattr(config, name)
    try:
        again = parts.from_json(kind, parts.as_json(kind, value))
    except (ValueError, TypeError) as error:  # pydantic's own are ValueErrors
        yield "", f"{value!r} cannot be read back from JSON ({' '.join(str(error).split())[:200]})"
        return
    for path in parts.differences(value, again):
        was, now = (_inside(each, path) for each in (value, again))
        yield path, f"{was!r} is read back from JSON as {now!r}"


def _inside(value: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        value = getattr(value, name)
    return value


@cache
def _configs(cls: type[Config], name: str) -> Sequence[type[Config]]:
    """The configurations that a field may hold."""
    found = parts.parts_in(parts.fields_of(cls)[name])
    return [one for one in found if issubclass(one, Config)]


def _variant(known: Sequence[type[Config]], value: Mapping[str, Any]) -> type[Config] | None:
    """The configuration that an object of JSON is; None if it does not say which."""
    if len(known) == 1:
        return known[0]
    return next((one for one in known if value.get(KIND) in complaints.tags(one)), None)


def _is_class_variable(annotation: object) -> bool:
    if isinstance(annotation, str):
        return re.match(r"(\w+\.)?ClassVar\b", annotation) is not None
    return annotation is ClassVar or get_origin(annotation) is ClassVar


def _refuse_hidden(cls: type, name: str) -> None:
    """Refuses a field that would hide what a class of this package has: a method, a property."""
    for base in cls.__mro__[1:]:
        if base.__module__.rpartition(".")[0] != __package__ or name in _fields_of_base(base):
            continue
        if callable(member := vars(base).get(name)) or isinstance(member, _METHODS):
            says = " ".join((inspect.getdoc(member) or "").split("\n\n")[0].split())
            raise ValueError(
                f"{cls.__name__} must not have a field called {name!r}, which each configuration "
                f"has already ({says.rstrip('.')}); leave it out or call it otherwise"
            )
        if name in base.__dict__.get("__annotations__", {}):
            raise ValueError(
                f"{cls.__name__} must not have a field called {name!r}, which says of each "
                f"experiment what it is; write {name} = '…' without a type, or call it otherwise"
            )


def _fields_of_base(base: type) -> Collection[str]:
    """The names of the fields of a base, if it is a configuration."""
    return getattr(base, "__pydantic_fields__", {})
