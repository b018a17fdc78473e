"""What type each field of an event has that readers rely on: damage may leave valid JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from raysearch.texts import shown

_STATES = ("complete", "pruned", "failed", "infeasible")
"""The states that a trial is told to have ended in."""


class _Type(NamedTuple):
    words: str
    fits: Callable[[Any], bool]


def _of(words: str, *types: type) -> _Type:
    return _Type(words, lambda value: isinstance(value, types))


def _maybe(inner: _Type) -> _Type:
    return _Type(f"{inner.words} or null", lambda value: value is None or inner.fits(value))


def _each(many: _Type, inner: _Type) -> _Type:
    """A list or mapping of values of one type."""

    def fits(value: Any) -> bool:
        return many.fits(value) and all(
            map(inner.fits, value.values() if isinstance(value, dict) else value)
        )

    return _Type(f"{many.words} of which each is {inner.words}", fits)


_WHOLE = _Type("a whole number", lambda value: type(value) is int)
_NUMBER = _of("a number", int, float)
_TEXT = _of("a text", str)
_MAPPING, _LIST = _of("a mapping", dict), _of("a list", list)
_FLAG = _of("true or false", bool)
_NUMBERS = _each(_MAPPING, _NUMBER)
_VALUES = _maybe(_each(_LIST, _maybe(_NUMBER)))
_STATE = _Type(f"one of {', '.join(_STATES)}", lambda value: value in _STATES)

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


def misfit(kind: str, body: Mapping[str, Any]) -> str:
    """A sentence on the first field that is of another type than it was written with, or nothing.

    A field that is missing is seen where it is read: earlier versions wrote fewer.
    """
    for name, expected in _FIELDS.get(kind, {}).items():
        if name in body and not expected.fits(body[name]):
            return f"{name} must be {expected.words}, got {shown(body[name])}"
    return ""
