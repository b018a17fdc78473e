"""Events read from what is written of them: the class of each, its fields of the types they had."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from raysearch.errors import BadSetting
from raysearch.events import schema
from raysearch.events.schema import Created, Fact, Unknown
from raysearch.texts import shown

_WORDS: Mapping[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    type(None): "null",
}


class _Type(NamedTuple):
    """The types of a value, those of the values in it, and the texts that it may be (all: any)."""

    words: str
    types: frozenset[type]
    inner: frozenset[type] | None = None
    known: tuple[str, ...] = ()

    def fits(self, value: Any) -> bool:
        if type(value) not in self.types:
            return False
        if self.inner is not None and value:
            return self.inner.issuperset(
                map(type, value.values() if type(value) is dict else value)
            )
        return not self.known or value in self.known

    @classmethod
    def of(cls, hint: Any) -> _Type:
        """What a field of such an annotation may be; a whole number is a number too."""
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Literal:
            return cls(f"one of {', '.join(inner)}", frozenset({str}), known=inner)
        if origin in (Union, types.UnionType):
            parts = [cls.of(one) for one in inner]
            words = " or ".join(one.words for one in parts)
            found = frozenset[type]().union(*(one.types for one in parts))
            return cls(words, found, next((one.inner for one in parts if one.inner), None))
        if origin in (dict, list):
            return cls._of_many(origin, inner[-1])
        found = {dict} if origin is Mapping else {int, float} if hint is float else {hint}
        return cls(_WORDS[dict if origin is Mapping else hint], frozenset(found))

    @classmethod
    def _of_many(cls, kind: type, each: Any) -> _Type:
        if each is Any:
            return cls(_WORDS[kind], frozenset({kind}))
        one = cls.of(each)
        return cls(f"{_WORDS[kind]} of which each is {one.words}", frozenset({kind}), one.types)


class _Form(NamedTuple):
    """How events of a kind are written: their class, the types of fields, those always there."""

    made: type[Fact]
    types: dict[str, _Type]
    needed: frozenset[str]
    names: dict[str, str]


def _forms() -> Iterator[tuple[str, _Form]]:
    for made in vars(schema).values():
        if isinstance(made, type) and issubclass(made, Fact) and getattr(made, "kind", ""):
            if made in (Created, Unknown):
                continue
            hints, names = get_type_hints(made), dict[str, str]()
            for own, written in made.written.items():
                names[written] = own
            field_of = {made.written.get(field.name, field.name): field for field in fields(made)}
            yield (
                made.kind,
                _Form(
                    made,
                    {name: _Type.of(hints[field.name]) for name, field in field_of.items()},
                    frozenset(n for n, field in field_of.items() if field.default is MISSING),
                    names,
                ),
            )


FORMS: Mapping[str, _Form] = dict(_forms())
"""Of each kind but the first event's and an unknown one's."""

_CREATED: Mapping[str, _Type] = {
    "metrics": _Type.of(list[dict]),
    "sweep": _Type.of(str),
    "fixed": _Type.of(dict[str, Any]),
    "tags": _Type.of(dict[str, Any]),
    "notes": _Type.of(str),
}
"""What is read of the first event before its format is known."""

_MOST_SHAPES = 1000
_new = object.__new__


_Shape = tuple[type[Fact], list[tuple[str, frozenset[type]]], "_Form | None"]
"""A class, what of its fields has types inside, and its form where the fields are to be put right:
some have another name there, or are not known to this version."""

_SHAPES: dict[tuple[object, ...], _Shape] = {}
"""Kinds, fields and their types that were met and fit: of a long search nearly all events have one
of a few shapes."""


def fact_of(kind: str, body: dict[str, Any]) -> Fact:
    """What an event of a kind says, from what is written of it, which is used up.

    Raises:
        ValueError: a field is missing, or of another type than it was written with: says which.
    """
    shape = (kind, *body, *map(type, body.values()))
    known = _SHAPES.get(shape)
    if known is None:
        if kind == Created.kind:
            _check(_CREATED, body)
            return Created(body)
        form = FORMS.get(kind)
        if form is None:
            return Unknown(kind, body)
        known = _learn(shape, form, body)
    made, inside, to_mend = known
    for name, inner in inside:
        value = body[name]
        if not inner.issuperset(map(type, value.values() if type(value) is dict else value)):
            _check(FORMS[kind].types, body)
    # What is not written is a default, which the class has: a long search has a million of these.
    fact = _new(made)
    fact.__dict__ = body if to_mend is None else _mended(to_mend, body)
    return fact


def _learn(shape: tuple[object, ...], form: _Form, body: Mapping[str, Any]) -> _Shape:
    """A new shape, which is remembered if its fields fit."""
    _check(form.types, body)
    for name in form.types:
        if name in form.needed and name not in body:
            raise BadSetting(f"it lacks {name!r}")
    there = [(name, each) for name, each in form.types.items() if name in body]
    inside = [
        (name, each.inner)
        for name, each in there
        if each.inner is not None and body[name] is not None
    ]
    is_right = not form.names and form.types.keys() >= body.keys()
    found = form.made, inside, None if is_right else form
    if len(_SHAPES) < _MOST_SHAPES and not any(each.known for _, each in there):
        _SHAPES[shape] = found
    return found


def _mended(form: _Form, body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields by their own names; what this version does not know is left out."""
    return {form.names.get(name, name): body[name] for name in form.types if name in body}


def _check(expected: Mapping[str, _Type], body: Mapping[str, Any]) -> None:
    for name, each in expected.items():
        if name in body and not each.fits(body[name]):
            raise BadSetting(f"{name} must be {each.words}, got {shown(body[name])}")
