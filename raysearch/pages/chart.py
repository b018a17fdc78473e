"""Charts that the script of a page draws, as plain data; its words are made harmless here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from raysearch.pages.axes import Axis
from raysearch.pages.objectives import Objective, called, drawn, objectives
from raysearch.pages.words import elapsed, number
from raysearch.results.view import SearchView, TrialView
from raysearch.sweeps.sweep import bare
from raysearch.texts import one_line

STATE_COLOURS = {
    "complete": "complete",
    "pruned": "pruned",
    "failed": "failed",
    "infeasible": "infeasible",
    "running": "running",
    "waiting": "waiting",
}
"""Variables of the page's colours, by the state of a trial."""
BEST = ("best-1", "best-2", "best-3", "best-4")
"""Variables of the colours of the best few."""
_NAME, _VALUE, _REASON = 300, 160, 200
"""Letters of a name, a value and a reason beside the pointer."""


@dataclass(frozen=True)
class Chart:
    """A chart: what the script draws, what it shows in words (`alt`), what to know of it.

    `name` is its own on the page, and that of its file when it is saved.
    """

    name: str
    spec: dict[str, Any]
    alt: str
    caption: str


def axis(label: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    """An axis: `kind` linear, log or choice (with `choices`), `whole` for whole numbers only."""
    return {"label": word(label), "low": low, "high": high, "kind": "linear", **more}


def parameter_axis(own: Axis) -> dict[str, Any]:
    """The axis of a parameter, a little longer than its values."""
    if own.kind == "choice":
        choices = [word(text) for _, text in own.ticks()]
        return axis(own.name, own.low, own.high, kind="choice", choices=choices)
    if own.kind == "log":
        factor = (own.high / own.low) ** 0.04
        return axis(own.name, own.low / factor, own.high * factor, kind="log")
    pad = 0.04 * (own.high - own.low) or 0.5
    return axis(own.name, own.low - pad, own.high + pad, whole=own.whole)


def objective_axis(objective: Objective, bounds: tuple[float, float]) -> dict[str, Any]:
    """The axis of an objective, which says what is better."""
    return axis(objective.label, *bounds)


def layer(kind: str, name: str, colour: str, data: Iterable[Any], **more: Any) -> dict[str, Any]:
    """What is drawn alike: `points`, a `line`, `curves`, `bars`, `levels`, `bands` or `parts`."""
    return {"kind": kind, "name": word(name), "colour": colour, "data": list(data), **more}


def star(view: SearchView, x: float, y: float, trial: int) -> dict[str, Any]:
    """The mark of the winner."""
    return layer("points", called(view), "best-1", [(x, y, trial)], mark="star")


def word(text: object) -> str:
    """A name as the page shows it: on one line, nothing in it turns letters round."""
    return one_line(text, _NAME)


def trial_facts(
    view: SearchView, name: str = "", names: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """What is shown of each trial beside the pointer, by its number.

    `n` is its name, `s` its state, `v` its values, `p` its parameters in the order of `names`, by
    default those that vary (empty: it has none), `took` its time, `why` the reason of its end.
    """
    names, goals = view.varying() if names is None else names, objectives(view)
    return {
        str(trial.number): {
            "n": f"trial {trial.number}{name}",
            "s": trial.doing,
            "v": [_number(goal.value(trial)) for goal in goals],
            "p": [_parameter(trial, path) for path in names],
            "took": _took(trial),
            "why": one_line(trial.reason, _REASON),
        }
        for trial in drawn(view)
    }


def _number(value: float | None) -> str:
    return "–" if value is None else number(value)


def _parameter(trial: TrialView, path: str) -> str:
    if path not in trial.params:
        return ""
    value = trial.params[path]
    return "None" if value is None else one_line(number(value), _VALUE)


def _took(trial: TrialView) -> str:
    again = f", {len(trial.attempts)} attempts" if len(trial.attempts) > 1 else ""
    if not trial.started or not trial.ended:
        return again.removeprefix(", ")
    return elapsed((trial.ended - trial.started) / 1000) + again


def embedded_data(
    charts: Iterable[Chart],
    trials: Mapping[str, Any],
    goals: Sequence[str],
    names: Sequence[str],
) -> Markup:
    """All that the script of a page reads, as JSON that ends no element of it."""
    found = {
        "charts": {chart.name: rounded(chart.spec) for chart in charts},
        "trials": trials,
        "goals": [word(name) for name in goals],
        "names": [word(bare(name)) for name in names],
    }
    text = json.dumps(found, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def rounded(value: Any) -> Any:
    """The same with six significant digits in each number, which is more than a screen shows."""
    if isinstance(value, float):
        short = float(f"{value:.6g}")
        return int(short) if short.is_integer() and abs(short) < 1e15 else short
    if isinstance(value, Mapping):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value
