"""How much each parameter matters for being among the best trials (PED-ANOVA)."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raysearch.pages.objectives import completed, objectives
from raysearch.results.view import SearchView

if TYPE_CHECKING:
    import optuna

ENOUGH = 10
"""Completed trials from which on there is an estimate; its interval says how rough it is."""
BEST = 0.1
"""The share of trials that are compared with all, at least two (Watanabe et al., 2023)."""
MOST = 12
RESAMPLES, FEW, LARGE = 20, 10, 400
"""Resamples for an interval; of a search with more than `LARGE` completed trials fewer."""
INSIDE = 0.8


@dataclass(frozen=True)
class Share:
    """The importance of a parameter, 0…1, and the interval of it that resamples give."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """The parameters, the most important first, and what to know of the estimate."""

    shares: list[Share]
    caption: str


def importances(view: SearchView) -> dict[str, float] | str:
    """Parameter → share, the largest first, or a sentence why there are none.

    Watanabe et al. (2023), as Optuna has it: how much the distribution of a parameter among the
    best tenth differs from that among all completed trials; shares add up to 1.
    """
    count = len(completed(view, objectives(view)[0]))
    if count < ENOUGH:
        have = "1 trial has" if count == 1 else f"{count} trials have"
        return (
            f"Importance is not estimated: it needs {ENOUGH} completed trials, and {have} done so."
        )
    varying = view.varying()
    if len(varying) < 2:
        which = f"{varying[0]} alone" if varying else "no parameter"
        return f"Importance is not estimated: {which} varies."
    return _by_optuna(_study(view))


def _study(view: SearchView) -> optuna.Study:
    from raysearch.study.export import study_of

    return study_of(view, once=True)


def _by_optuna(study: optuna.Study) -> dict[str, float]:
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials in a branch: the page says how many
        evaluator = PedAnovaImportanceEvaluator()
        found = get_param_importances(study, evaluator=evaluator)
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def intervals(view: SearchView, names: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """The middle 80 % of each share over resamples of the completed trials (bootstrap).

    Drawn with replacement, always the same ones for the same trials (Efron, 1979).
    """
    from optuna.trial import TrialState, create_trial

    from raysearch.study.export import study_of_trials

    whole = _study(view)
    done = [  # without curves, which a study would copy each time
        create_trial(values=each.values, params=each.params, distributions=each.distributions)
        for each in whole.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    ]
    draw, found = random.Random(0), dict[str, list[float]]((name, []) for name in names)
    for _ in range(RESAMPLES if len(done) <= LARGE else FEW):
        again = _by_optuna(study_of_trials(whole, draw.choices(done, k=len(done))))
        for name, values in found.items():
            values.append(again.get(name, 0.0))
    return {name: middle(sorted(values)) for name, values in found.items()}


def middle(values: list[float]) -> tuple[float, float]:
    """The ends of the middle 80 % of ascending values."""
    cut = round((1 - INSIDE) / 2 * (len(values) - 1))
    return values[cut], values[len(values) - 1 - cut]


def importance(view: SearchView, found: Mapping[str, float]) -> Importance:
    """The shares with their intervals, which need not hold the share itself at their middle."""
    spread = intervals(view, found)
    shares = [
        Share(name, value, min(spread[name][0], value), max(spread[name][1], value))
        for name, value in list(found.items())[:MOST]
    ]
    return Importance(shares, _caption(view, found))


def _caption(view: SearchView, found: Mapping[str, float]) -> str:
    several = len(objectives(view)) > 1
    count = len(completed(view, objectives(view)[0]))
    best = max(2, -(-count // 10))
    what = "on the Pareto front or near it" if several else f"in {objectives(view)[0].name}"
    caption = (
        f"How much the values of a parameter among the best {best} {what} differ from those of all "
        f"{count} completed trials (PED-ANOVA of Optuna). The line over a bar holds the middle "
        f"{100 * INSIDE:.0f} % of what resamples of the trials give: where lines overlap, order "
        f"may be chance."
    )
    if len(found) > MOST:
        caption += f" The first {MOST} of {len(found)} parameters are shown."
    return caption
