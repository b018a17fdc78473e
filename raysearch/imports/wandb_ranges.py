"""The distributions of a W&B sweep, as W&B's own schema and engine (`sweeps` 0.2) have them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from raysearch.errors import BadSetting, UnknownName
from raysearch.imports.imported_sweep import Parameter
from raysearch.sweeps.distributions import Choice, Float, Int
from raysearch.sweeps.nearest import on_offer
from raysearch.texts import article

Spec = Mapping[str, Any]

_BOUNDS = frozenset({"min", "max"})
KEYS: Mapping[str, frozenset[str]] = {
    "constant": frozenset({"value"}),
    "categorical": frozenset({"values", "probabilities"}),
    "categorical_w_probabilities": frozenset({"values", "probabilities"}),
    "int_uniform": _BOUNDS,
    "uniform": _BOUNDS,
    "q_uniform": _BOUNDS | {"q"},
    "log_uniform": _BOUNDS,
    "log_uniform_values": _BOUNDS,
    "q_log_uniform": _BOUNDS | {"q"},
    "q_log_uniform_values": _BOUNDS | {"q"},
    "inv_log_uniform": _BOUNDS,
    "inv_log_uniform_values": _BOUNDS,
    "normal": frozenset({"mu", "sigma"}),
    "q_normal": frozenset({"mu", "sigma", "q"}),
    "log_normal": frozenset({"mu", "sigma"}),
    "q_log_normal": frozenset({"mu", "sigma", "q"}),
    "beta": frozenset({"a", "b"}),
    "q_beta": frozenset({"a", "b", "q"}),
}
"""What a parameter of each distribution may state."""

_UNBOUNDED = ("normal", "q_normal", "log_normal", "q_log_normal")
_FINITE = ("constant", "categorical", "int_uniform", "q_uniform")
"""What W&B's grid can enumerate."""
_MOST = 1e9
"""More steps are none that anybody meant."""
_TOO_LARGE = 2**63
"""Integers from here on are held neither by databases nor by NumPy."""
_TRUTH = {"true": True, "false": False}
_TEXT = "YAML reads a number such as 1e-4, without a point, as text"


def read_range(path: str, spec: Spec, *, grid: bool, example: object) -> Parameter:
    """A parameter of a W&B sweep as ours.

    Args:
        path: what it is called here.
        spec: what the sweep states of it.
        grid: whether all values are to be enumerated.
        example: a value that the configuration has at this path: it decides between 2 and 2.0.

    Raises:
        ValueError, LookupError: what cannot be read or expressed, in one sentence.
    """
    try:
        return _read(path, spec, grid, example)
    except BadSetting as error:  # what a range itself says begins with its rule
        text = str(error)
        raise BadSetting(text if text.startswith(path) else f"{path} {text}") from None


def _read(path: str, spec: Spec, grid: bool, example: object) -> Parameter:
    kind = distribution_of(path, spec)
    if grid and kind not in _FINITE:
        raise BadSetting(
            f"{path} must be categorical, constant, int_uniform or q_uniform in a grid, as W&B "
            f"wants it too, got {kind}"
        )
    if kind in _UNBOUNDED:
        raise BadSetting(
            f"{path} cannot be {kind}: a space here has bounds, which {kind} lacks; give min and "
            f"max, such as mu ± 2 sigma"
        )
    if kind == "constant":
        return Parameter(path, None, constant(path, spec["value"], example))
    if kind.startswith("categorical"):
        return _categorical(path, spec, example)
    if kind.endswith("beta"):
        return _beta(path, kind, spec, example)
    low, high = _bounds(path, kind, spec)
    whole = type(example) is int
    if kind == "int_uniform":
        remark = ""
        if "distribution" not in spec and type(example) is float:
            remark = "W&B draws integers where min and max are integers"
        return Parameter(path, Int(int(low), int(high)), None, int(high) - int(low) + 1, remark)
    if kind == "uniform":
        return Parameter(path, Float(low, high), None, None, _read_as_numbers(spec))
    if kind == "q_uniform":
        return _stepped_in_grid(path, spec, whole) if grid else _stepped(path, spec, whole)
    return _logarithmic(path, kind, low, high, spec)


def distribution_of(path: str, spec: Spec) -> str:
    """The distribution that W&B takes where none is stated, by its own rules.

    Raises:
        LookupError: there is no such distribution. ValueError: a key that it does not have.
    """
    kind = spec.get("distribution")
    if kind is None:
        kind = _inferred(path, spec)
    elif kind not in KEYS:
        raise UnknownName(f"{path} has the distribution {kind!r}{on_offer(str(kind), KEYS)}")
    allowed = KEYS[kind] | {"distribution"}
    for key in spec:
        if key not in allowed:
            raise BadSetting(
                f"{path} must state only {', '.join(sorted(allowed))} as {kind}, got {key!r}"
            )
    return str(kind)


def _inferred(path: str, spec: Spec) -> str:
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    if "min" in spec and "max" in spec:
        is_whole = all(type(spec[key]) is int for key in ("min", "max"))
        return "int_uniform" if is_whole else "uniform"
    raise BadSetting(
        f"{path} must state value, values, min and max, parameters or a distribution, got "
        f"{dict(spec)}"
    )


def _categorical(path: str, spec: Spec, example: object) -> Parameter:
    values = spec.get("values")
    if not isinstance(values, list) or not values:
        raise BadSetting(f"{path}: values must be a list that is not empty, got {values!r}")
    given = cast("list[object]", values)
    if "probabilities" in spec and len(set(spec["probabilities"])) > 1:
        raise BadSetting(
            f"{path} must have choices of one probability, got {spec['probabilities']}; choices "
            f"are equally likely here"
        )
    for value in given:
        if isinstance(value, (list, dict)):
            raise BadSetting(
                f"{path} must have strings, numbers, truth values or null as values, got {value!r}"
            )
    return chosen(path, given, example)


def constant(path: str, value: object, example: object) -> object:
    """A value as the configuration holds it. Raises BadSetting for what JSON has not in it."""
    found = _typed(value, example)
    _refuse_strange(path, found)
    return found


def _refuse_strange(path: str, value: object) -> None:
    """What is not finite, and what YAML alone has, such as the date 2020-01-01."""
    inside: Sequence[object] = ()
    if isinstance(value, (list, tuple)):
        inside = cast("Sequence[object]", value)
    elif isinstance(value, dict):
        inside = list(cast("dict[object, object]", value).values())
    for each in inside:
        _refuse_strange(path, each)
    if isinstance(value, float) and not math.isfinite(value):
        raise BadSetting(f"{path} must have finite values, got {value!r}")
    if value is not None and not isinstance(value, (str, int, float, list, tuple, dict)):
        raise BadSetting(
            f"{path} must have texts, numbers, truth values or null, got "
            f"{article(type(value).__name__)}; put {value} into quotes if it is a text"
        )


def chosen(path: str, given: Sequence[object], example: object) -> Parameter:
    """A choice; equal values are one, whole numbers are floats where the configuration has those.

    Raises:
        ValueError: values that differ there and are equal here, such as 1 and true.
    """
    distinct = list(dict.fromkeys((type(value), value) for value in given))
    values = [constant(path, value, example) for _, value in distinct]
    remark = "a value that was given twice is here once" if len(distinct) < len(given) else ""
    if any(isinstance(value, str) for value in given) and not isinstance(values[0], str):
        remark = _TEXT
    for index, value in enumerate(values):
        if value in values[:index]:
            raise BadSetting(
                f"{path} must have values that differ, got {value!r} and "
                f"{values[values.index(value)]!r}, which are equal here"
            )
    return Parameter(path, Choice(cast("Any", tuple(values))), None, len(distinct), remark)


def _typed(value: object, example: object) -> object:
    """A value as the configuration holds it: 1 is 1.0 at a float, "1e-4" a number at a number."""
    is_number = isinstance(example, (int, float)) and not isinstance(example, bool)
    if isinstance(value, str) and is_number:
        number = _number(value)
        value = value if number is None else number
    if isinstance(value, str) and isinstance(example, bool) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    if type(value) is int and isinstance(example, float) and _number(value) is not None:
        return float(value)
    return value


def _number(value: object) -> float | int | None:
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return _number(kind(value))
            except ValueError:
                continue
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < _TOO_LARGE else None
    return value if isinstance(value, float) else None


def _read_as_numbers(spec: Spec) -> str:
    return _TEXT if any(isinstance(spec[key], str) for key in ("min", "max")) else ""


def _bounds(path: str, kind: str, spec: Spec) -> tuple[float, float]:
    found: list[float] = []
    for key in ("min", "max"):
        number = _number(spec.get(key))
        if number is None or not math.isfinite(number):
            raise BadSetting(f"{path}: {key} must be a number, got {spec.get(key)!r}")
        found.append(number)
    low, high = found
    if low >= high:
        raise BadSetting(f"{path}: min must be below max, as in W&B, got {low} and {high}")
    if kind == "int_uniform" and not all(type(each) is int for each in found):
        raise BadSetting(f"{path}: min and max must be integers, got {low} and {high}")
    if kind.endswith("_values") and low <= 0:
        raise BadSetting(f"{path}: min must be above 0 on a log scale, got {low}")
    return low, high


def _step(path: str, spec: Spec) -> float | int:
    step = _number(spec.get("q", 1.0))
    if step is None or not 0 < step < math.inf:
        rule = "finite" if step == math.inf else "above 0"
        raise BadSetting(f"{path}: q must be {rule}, got {spec.get('q')!r}")
    return step


def _refuse_many(path: str, low: float, high: float, step: float) -> None:
    if not (high - low) / step < _MOST:
        raise BadSetting(
            f"{path}: q must leave less than {_MOST:g} steps from min to max, got {step:g} for "
            f"{low:g} and {high:g}"
        )


def _stepped_in_grid(path: str, spec: Spec, whole: bool) -> Parameter:
    """W&B's grid: from min by q, `numpy.arange`, which leaves max out."""
    low, high = _bounds(path, "q_uniform", spec)
    step = _step(path, spec)
    _refuse_many(path, low, high, step)
    count = math.ceil((high - low) / step)
    last = low + (count - 1) * step
    remark = "W&B's grid goes from min by q and leaves max out"
    found = _range_by_step(path, low, last, step, whole and _are_whole(low, step))
    return replace(found, count=count, remark=remark)


def _stepped(path: str, spec: Spec, whole: bool) -> Parameter:
    """Elsewhere W&B rounds to multiples of q, ends included."""
    low, high = _bounds(path, "q_uniform", spec)
    step = _step(path, spec)
    _refuse_many(path, low, high, step)
    if not (_divides(step, low) and _divides(step, high)):
        raise BadSetting(
            f"{path}: q must divide min and max, got {step:g} for {low:g} and {high:g}; W&B rounds "
            f"to multiples of q, outside of them too"
        )
    is_whole = type(step) is int or (whole and _are_whole(low, step))
    found = _range_by_step(path, low, high, step, is_whole)
    return replace(found, remark="W&B draws both ends half as often, since it rounds")


def _range_by_step(path: str, low: float, high: float, step: float, is_whole: bool) -> Parameter:
    count = round((high - low) / step) + 1
    if is_whole or all(type(each) is int for each in (low, step)):
        return Parameter(path, Int(int(low), int(round(high)), step=int(step)), None, count)
    top = float(Decimal(str(low)) + (count - 1) * Decimal(str(step)))  # as Float counts
    return Parameter(path, Float(low, top, step=float(step)), None, count)


def _are_whole(*numbers: float) -> bool:
    return all(float(number).is_integer() for number in numbers)


def _divides(step: float, value: float) -> bool:
    times = value / step
    return math.isclose(times, round(times), rel_tol=1e-9, abs_tol=1e-9)


def _logarithmic(path: str, kind: str, low: float, high: float, spec: Spec) -> Parameter:
    """All log scales: the inverse of a log-uniform number is log-uniform too."""
    remark = _read_as_numbers(spec)
    if not kind.endswith("_values"):
        sign = -1 if kind.startswith("inv") else 1
        low, high = sorted((sign * low, sign * high))
        remark = f"e^{low:g} to e^{high:g}"
        try:
            low, high = math.exp(low), math.exp(high)
        except OverflowError:
            raise BadSetting(
                f"{path}: min and max of {kind} are powers of e, got {spec['min']} and "
                f"{spec['max']}; values themselves are log_uniform_values"
            ) from None
    if not kind.startswith("q_"):
        return Parameter(path, Float(low, high, log=True), None, None, remark)
    if _step(path, spec) != 1:
        raise BadSetting(
            f"{path}: q must be 1 in {kind}, since a log scale has no other steps here, got "
            f"{spec.get('q')!r}"
        )
    bottom, top = round(low), round(high)
    if bottom < 1:
        raise BadSetting(f"{path}: min must round to 1 or more in {kind}, got {low:g}")
    remark = f"{remark}; both ends are drawn more often than by W&B".removeprefix("; ")
    return Parameter(path, Int(bottom, top, log=True), None, top - bottom + 1, remark)


def _beta(path: str, kind: str, spec: Spec, example: object) -> Parameter:
    a, b = (_number(spec.get(key, 1)) for key in ("a", "b"))
    if (a, b) != (1, 1):
        raise BadSetting(
            f"{path} cannot be {kind} with a={a} and b={b}: a range here is uniform or on a log "
            f"scale; only a = b = 1 is"
        )
    if kind == "beta":
        return Parameter(path, Float(0.0, 1.0), None, None, "beta with a = b = 1 is uniform")
    return _stepped(path, {"min": 0, "max": 1, "q": spec.get("q", 1.0)}, type(example) is int)
