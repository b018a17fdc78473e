"""Values as people give them: words of Python, NumPy's numbers, paths, tuples."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, cast

from raysearch.errors import BadSetting
from raysearch.sweeps.distributions import plain
from raysearch.texts import article

_WORDS: Mapping[str, object] = {"None": None, "True": True, "False": False}


def as_json(path: str, value: object) -> Any:
    """A given value as plain JSON.

    Raises:
        BadSetting: something in it is neither a text, number, truth value, None, path or member of
            an enumeration, nor a list, tuple, set, array or mapping of them.
    """
    value = plain(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise BadSetting(f"{path} must be a finite number, got {value!r}")
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        return {str(plain(key)): as_json(path, each) for key, each in members.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(path, each) for each in cast("Iterable[object]", value)]
    if isinstance(value, (set, frozenset)):
        rows = [as_json(path, each) for each in cast("Iterable[object]", value)]
        return sorted(rows, key=json.dumps)
    if callable(listed := getattr(value, "tolist", None)):
        return as_json(path, listed())
    raise BadSetting(
        f"{path} must be what JSON has (text, number, true, false, null, list, mapping), got "
        f"{value!r}, {article(type(value).__name__)}"
    )


def spelled(values: Mapping[str, object], config: Any) -> dict[str, object]:
    """Given values with `None`, `True` and `False` as Python means them where a field takes that.

    A field of text alone keeps the words. `config` is any configuration of the class.
    """
    return {path: _spelled(path, value, config) for path, value in values.items()}


def _spelled(path: str, value: object, config: Any) -> object:
    if not isinstance(value, str) or value not in _WORDS:
        return value
    try:
        config.with_values({path: _WORDS[value]})
    except (LookupError, ValueError):
        return value
    return _WORDS[value]
