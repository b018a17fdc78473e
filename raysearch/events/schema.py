"""Types of the fields of each event that readers rely on: damage may leave valid JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from raysearch.texts import shown

_STATES = ("complete", "pruned", "failed", "infeasible")
"""The states that a trial is told to have ended in."""


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


def _of(words: str, *types: type) -> _Type:
    return _Type(words, frozenset(types))


def _maybe(one: _Type) -> _Type:
    return one._replace(words=f"{one.words} or null", types=one.types | {type(None)})


def _each(many: _Type, one: _Type) -> _Type:
    """A list or mapping of values of one type."""
    return _Type(f"{many.words} of which each is {one.words}", many.types, one.types)


_WHOLE, _NUMBER, _TEXT = _of("a whole number", int), _of("a number", int, float), _of("a text", str)
_MAPPING, _LIST = _of("a mapping", dict), _of("a list", list)
_FLAG = _of("true or false", bool)
_NUMBERS = _each(_MAPPING, _NUMBER)
_VALUES = _maybe(_each(_LIST, _maybe(_NUMBER)))
_STATE = _Type(f"one of {', '.join(_STATES)}", _TEXT.types, known=_STATES)

_FILE = {
    "bytes": _maybe(_WHOLE),
    "sha256": _maybe(_TEXT),
    "source": _maybe(_TEXT),
    "copied": _maybe(_FLAG),
}
_FIELDS: dict[str, dict[str, _Type]] = {
    "created": {
        "metrics": _each(_LIST, _MAPPING),
        "sweep": _TEXT,
        "fixed": _MAPPING,
        "tags": _MAPPING,
        "notes": _TEXT,
    },
    "asked": {
        "params": _MAPPING,
        "distributions": _each(_MAPPING, _MAPPING),
        "config": _MAPPING,
        "digest": _TEXT,
        "seed": _WHOLE,
        "origin": _TEXT,
        "duplicate_of": _maybe(_WHOLE),
        "repeat_of": _maybe(_WHOLE),
        "retry_of": _maybe(_WHOLE),
        "evaluates": _maybe(_MAPPING),
        "study_attrs": _maybe(_MAPPING),
    },
    "started": {"attempt": _WHOLE, "folder": _TEXT, "restored": _maybe(_TEXT)},
    "described": {"facts": _MAPPING},
    "report": {
        "step": _WHOLE,
        "fidelity": _maybe(_WHOLE),
        "metrics": _NUMBERS,
        "values": _VALUES,
        "checkpoint": _maybe(_TEXT),
        "costs": _NUMBERS,
        **_FILE,
    },
    "checkpoint": {"step": _WHOLE, "path": _TEXT, "value": _maybe(_NUMBER), **_FILE},
    "damaged": {"path": _TEXT, "what": _TEXT},
    "artifact": {"name": _TEXT, "path": _TEXT},
    "noticed": {"text": _TEXT},
    "differed": {"step": _WHOLE, "metrics": _NUMBERS, "before": _each(_MAPPING, _maybe(_NUMBER))},
    "refused": {"step": _WHOLE, "metrics": _NUMBERS, "message": _TEXT},
    "failed": {"attempt": _WHOLE, "kind": _TEXT, "message": _TEXT, "again": _FLAG},
    "told": {
        "state": _STATE,
        "values": _VALUES,
        "reason": _TEXT,
        "best_step": _maybe(_WHOLE),
        "best_checkpoint": _maybe(_TEXT),
        "duplicate_of": _maybe(_WHOLE),
    },
    "tested": {"role": _maybe(_TEXT), "metrics": _maybe(_NUMBERS), "error": _maybe(_TEXT)},
    "removed": {"path": _maybe(_TEXT), "reason": _TEXT},
    "requested": {"action": _TEXT},
    "noted": {"notes": _TEXT},
    "tagged": {"tags": _MAPPING, "group": _maybe(_TEXT)},
    "extended": {"trials": _maybe(_WHOLE), "time": _maybe(_NUMBER)},
    "recoded": {"code": _MAPPING},
    "resumed": {"left": _maybe(_NUMBER), "concurrent": _maybe(_WHOLE)},
}


_MOST_SHAPES = 1000
_SHAPES: dict[tuple[object, ...], list[tuple[str, frozenset[type]]]] = {}
"""Kinds, fields and their types that were met and fit, with the types that values in them may have:
of a long search nearly all events have one of a few shapes."""


def misfit(kind: str, body: Mapping[str, Any]) -> str:
    """A sentence on the first field that is of another type than it was written with, or nothing.

    A field that is missing is seen where it is read: earlier versions wrote fewer.
    """
    shape = (kind, *body, *map(type, body.values()))
    inside = _SHAPES.get(shape)
    if inside is None:
        return _learn(shape, kind, body)
    for name, types in inside:
        value = body[name]
        if not types.issuperset(map(type, value.values() if type(value) is dict else value)):
            return _misfit(kind, body)
    return ""


def _learn(shape: tuple[object, ...], kind: str, body: Mapping[str, Any]) -> str:
    """The same of an event of a new shape, which is remembered if its fields fit."""
    if wrong := _misfit(kind, body):
        return wrong
    there = [(name, each) for name, each in _FIELDS.get(kind, {}).items() if name in body]
    if len(_SHAPES) < _MOST_SHAPES and not any(each.known for _, each in there):
        _SHAPES[shape] = [
            (name, each.inner)
            for name, each in there
            if each.inner is not None and body[name] is not None
        ]
    return ""


def _misfit(kind: str, body: Mapping[str, Any]) -> str:
    for name, expected in _FIELDS.get(kind, {}).items():
        if name in body and not expected.fits(body[name]):
            return f"{name} must be {expected.words}, got {shown(body[name])}"
    return ""
