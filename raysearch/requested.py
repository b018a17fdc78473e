"""The kinds of values that the options of a search may have, whoever gives them."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from raysearch.errors import BadSetting
from raysearch.texts import cut

_INTEGERS = range(-(1 << 63), 1 << 63)
_WORDS = {int: "a whole number", float: "a number", str: "a text", Mapping: "a mapping"}


def plain_options(options: Mapping[str, object], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Options as plain Python values of their kinds; scalars of NumPy become numbers.

    Args:
        options: the values by name.
        kinds: their annotations: int, float, str or a mapping, or one of them or None.

    Raises:
        BadSetting: one is of another kind, not finite, beyond 64 bits, or is missing.
    """
    return {name: _plain(name, value, kinds[name]) for name, value in options.items()}


def _plain(name: str, given: object, annotation: Any) -> Any:
    value, kinds = _unboxed(given), _kinds(annotation)
    if value is None and type(None) in kinds:
        return None
    kind = next(one for one in kinds if one is not type(None))
    fits = isinstance(value, (int, float) if kind is float else kind) and type(value) is not bool
    if isinstance(value, Mapping):
        fits = fits and all(isinstance(key, str) for key in value)
    if fits and isinstance(value, float):
        fits = math.isfinite(value)
    if fits and isinstance(value, int):
        fits = value in _INTEGERS
    if not fits:
        option = name if kind is Mapping else f"--{name.replace('_', '-')}"
        raise BadSetting(f"{option} must be {_WORDS[kind]}, got {cut(repr(value), 80)}")
    return value


def _kinds(annotation: Any) -> tuple[Any, ...]:
    several = get_origin(annotation) in (Union, types.UnionType)
    return tuple(
        get_origin(one) or one for one in (get_args(annotation) if several else [annotation])
    )


def _unboxed(value: object) -> object:
    """The number in a scalar of NumPy."""
    item = getattr(value, "item", None)
    return item() if type(value).__module__ == "numpy" and callable(item) else value
