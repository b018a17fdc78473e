"""What the command prints that says how an error falls."""

from __future__ import annotations

from raysearch import verbs
from raysearch.results.power_law import Estimate
from raysearch.results.scaling import Scaling, scaling
from raysearch.settings import Settings
from raysearch.terminal import print_json, say, show, table_of
from raysearch.texts import CELL, cut, plural, shown


def show_scaling(
    name: str,
    setting: str,
    metric: str | None,
    settings: Settings,
    *,
    top: float | None,
    as_json: bool,
) -> None:
    """The law, its numbers with intervals, and a line for each value and for two beyond."""
    found = scaling(verbs.view_of(name, settings)[1], setting, metric, top)
    if as_json:
        print_json(as_plain(found))
        return
    for line in lines(found):
        say(line)
    header = [shown(found.setting), "trials", "error", "law", "95 %"]
    rows = [
        [
            f"{row[found.setting]:.6g}",
            str(row["trials"] or "beyond"),
            "" if row["error"] is None else f"{row['error']:.4g}",
            f"{row['law']:.4g}",
            f"{row['low']:.4g} to {row['high']:.4g}",
        ]
        for row in found.rows()
    ]
    show(table_of(header, rows, no_wrap=True))


def lines(found: Scaling) -> list[str]:
    """What the law is, over what, and how sure."""
    law = found.law
    values = plural(len(set(found.x)), "value")
    said = [
        f"error      {shown(found.error)}, {plural(len(found.x), 'trial')} at {values}",
        f"law        error = {law.a.value:.4g} * x^-{law.b.value:.4g} + {law.c.value:.4g}",
        f"exponent   {_interval(law.b)}",
        f"limit      {_interval(law.c)}",
    ]
    if law.falls:
        said.append(f"halves     above its limit with {2 ** (1 / law.b.value):.3g} times x")
    else:
        said.append("warning    the error does not fall with x: the exponent may be 0")
    if found.others:
        others = cut(", ".join(found.others), 2 * CELL - 25)
        said.append(f"warning    trials differ in more: {others}")
    return said


def as_plain(found: Scaling) -> dict[str, object]:
    """The same as strict JSON."""
    law = found.law
    return {
        "setting": found.setting,
        "error": found.error,
        "trials": len(found.x),
        **{name: vars(getattr(law, name)) for name in ("a", "b", "c")},
        "spread": law.spread,
        "falls": law.falls,
        "others": list(found.others),
        "rows": found.rows(),
    }


def _interval(one: Estimate) -> str:
    return f"{one.value:.4g}, 95 % {one.low:.4g} to {one.high:.4g}"
