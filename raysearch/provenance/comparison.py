"""Comparison of a trial as it was recorded with the same one run again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from raysearch.results.flat import flat
from raysearch.texts import plural

Reports = Mapping[int, Mapping[str, float]]
"""The metrics of a trial by step and name."""

_DECIDES = "data."
"""Facts whose names begin so are about the data: another value is a difference of the run."""


@dataclass(frozen=True)
class Row:
    """One thing that was compared: `is_equal` is None where there is nothing to compare.

    `decides` is whether a difference makes the run another one: numbers and data do, versions do
    not if the numbers are equal all the same.
    """

    what: str
    is_equal: bool | None
    text: str
    decides: bool = True

    @property
    def verdict(self) -> str:
        """`equal`, `differs` or `not compared`."""
        return "not compared" if self.is_equal is None else "equal" if self.is_equal else "differs"


def metric_rows(then: Reports, now: Reports) -> list[Row]:
    """A row for each metric: at how many steps it is equal, and where it differs first.

    Two numbers are equal if they are the same; not a number equals itself. A metric that was
    reported at a step only once, then or now, differs there.
    """
    names = dict.fromkeys(name for side in (then, now) for own in side.values() for name in own)
    return [_metric_row(name, _curve(then, name), _curve(now, name)) for name in names]


def _curve(reports: Reports, name: str) -> dict[int, float]:
    return {step: own[name] for step, own in reports.items() if name in own}


def _metric_row(name: str, then: Mapping[int, float], now: Mapping[int, float]) -> Row:
    steps = sorted({*then, *now})
    wrong = [step for step in steps if not is_same(then.get(step), now.get(step))]
    if not wrong:
        return Row(name, True, f"{plural(len(steps), 'step')}")
    first = wrong[0]
    text = (
        f"{len(wrong)} of {plural(len(steps), 'step')}, first at step {first}: "
        f"{_number(then.get(first))} then, {_number(now.get(first))} now"
    )
    gaps = {step: abs(then[step] - now[step]) for step in wrong if step in then and step in now}
    known = {step: gap for step, gap in gaps.items() if math.isfinite(gap)}
    if known:
        largest = max(known, key=lambda step: known[step])
        text += f"; at most {known[largest]:.3g}, at step {largest}"
    return Row(name, False, text)


def score_rows(then: Mapping[str, float], now: Mapping[str, float] | None) -> list[Row]:
    """A row for each score on the test split; `now` is None if that could not be run again."""
    if now is None:
        return [Row("test split", None, "the checkpoint that was evaluated was not saved again")]
    rows: list[Row] = []
    for name in dict.fromkeys([*then, *now]):
        one, other = then.get(name), now.get(name)
        if is_same(one, other):
            rows.append(Row(name, True, _number(one)))
        else:
            rows.append(Row(name, False, f"{_number(one)} then, {_number(other)} now"))
    return rows


def checkpoint_row(step: int, found: Mapping[str, Any] | None) -> Row:
    """What `raysearch.trial.rerun.difference` found; None: none was saved at that step now."""
    what = f"checkpoint of step {step}"
    if found is None:
        return Row(what, None, "none was saved at that step now")
    if not found["count"]:
        return Row(what, True, plural(found["values"], "value"))
    more = " and others" if found["count"] > len(found["different"]) else ""
    text = f"{found['count']} of {plural(found['values'], 'value')}: "
    text += ", ".join(found["different"]) + more
    gap = found.get("largest")
    return Row(what, False, text + (f"; at most {gap:.3g}" if gap is not None else ""))


def fact_rows(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Row]:
    """A row for each fact about the data, and one for each other fact that differs."""
    rows: list[Row] = []
    before, after = flat(then), flat(now)
    for name in dict.fromkeys([*before, *after]):
        one, other = before.get(name), after.get(name)
        decides = name.startswith(_DECIDES)
        if one != other:
            rows.append(Row(name, False, f"{_text(one)} then, {_text(other)} now", decides))
        elif decides:
            rows.append(Row(name, True, _text(one)))
    return rows


def version_rows(found: Iterable[tuple[str, str, str]], most: int = 12) -> list[Row]:
    """A row for each version or setting of the machine that differs, at most so many."""
    listed = list(found)
    rows = [Row(name, False, f"{one} then, {now} now", False) for name, one, now in listed[:most]]
    if len(listed) > most:
        rows.append(Row(f"{len(listed) - most} more versions", False, "", False))
    return rows or [Row("versions", True, "all packages, Python, processor, settings", False)]


def shortened(rows: Iterable[Row]) -> list[Row]:
    """The rows with equal ones of one family in one: `val/precision/* (10)`."""
    families: dict[str, list[Row]] = {}
    for row in rows:
        family, _, _ = row.what.rpartition("/")
        is_one_of = row.is_equal and "/" in family
        families.setdefault(f"{family}/*" if is_one_of else row.what, []).append(row)
    return [
        own[0] if len(own) == 1 else replace(own[0], what=f"{name} ({len(own)})", text=_same(own))
        for name, own in families.items()
    ]


def _same(rows: Iterable[Row]) -> str:
    found = {row.text for row in rows}
    return found.pop() if len(found) == 1 else ""


def are_equal(rows: Iterable[Row]) -> bool:
    """Whether nothing differs that decides."""
    return all(row.is_equal is not False for row in rows if row.decides)


def is_same(one: float | None, other: float | None) -> bool:
    """Whether two numbers are the same, or both are not one, or not there."""
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))


def _text(value: Any) -> str:
    return "absent" if value is None else value if isinstance(value, str) else json.dumps(value)


def _number(value: float | None) -> str:
    return "absent" if value is None else repr(value)
