"""The kinds of values that the options of a search may have, whoever gives them."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from raysearch.errors import BadSetting
from raysearch.texts import cut

_MOST = (1 << 63) - 1
_INTEGERS = range(-_MOST - 1, _MOST + 1)
_OF_ITS_OWN = {"seed": range(_MOST + 1)}
"""What a whole number may be where it is not any of 64 bits."""
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
    option = name if kind is Mapping else f"--{name.replace('_', '-')}"
    fits = isinstance(value, (int, float) if kind is float else kind) and type(value) is not bool
    if isinstance(value, Mapping):
        fits = fits and all(isinstance(key, str) for key in value)
    if fits and isinstance(value, float):
        fits = math.isfinite(value)
    if fits and isinstance(value, int):
        _check_range(option, value, _OF_ITS_OWN.get(name, _INTEGERS))
    if not fits:
        raise BadSetting(f"{option} must be {_WORDS[kind]}, got {cut(repr(value), 80)}")
    return value


def _check_range(option: str, value: int, allowed: range) -> None:
    if value not in allowed:
        ends = f"from {allowed.start} to {allowed.stop - 1}"
        raise BadSetting(f"{option} must be {ends}, got {cut(str(value), 80)}")


def _kinds(annotation: Any) -> tuple[Any, ...]:
    several = get_origin(annotation) in (Union, types.UnionType)
    return tuple(
        get_origin(one) or one for one in (get_args(annotation) if several else [annotation])
    )


def _unboxed(value: object) -> object:
    """The number in a scalar of NumPy."""
    item = getattr(value, "item", None)
    return item() if type(value).__module__ == "numpy" and callable(item) else value
