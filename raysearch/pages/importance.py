"""How much each parameter matters for being among the best trials (PED-ANOVA)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raysearch.pages.canvas import (
    BLUE,
    INK,
    NARROW,
    Picture,
    canvas,
    dress,
    plain,
    width_of,
)
from raysearch.pages.objectives import completed, objectives
from raysearch.results.view import SearchView

ENOUGH = 20
"""Completed trials: the evaluator compares the best tenth with the rest, and two are the least."""
SOLID = 50
"""Completed trials from which on the best tenth are five, as the evaluator's authors advise."""
MOST = 12


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
    if not view.varying():
        return "Importance is not estimated: no parameter varies."
    return _by_optuna(view)


def _by_optuna(view: SearchView) -> dict[str, float]:
    import warnings

    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    from raysearch.study.export import study_of

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials in a branch: the page says how many
        found = get_param_importances(
            study_of(view, once=True), evaluator=PedAnovaImportanceEvaluator()
        )
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def draw_importance(view: SearchView, found: Mapping[str, float], path: Path) -> Picture:
    """Draws the shares as bars."""
    shown = dict(list(found.items())[:MOST])
    size = (NARROW[0], 0.95 + 0.36 * len(shown))
    with canvas(path, size) as figure:
        axes = figure.subplots()
        names = [plain(name, 34) for name in shown]
        bars = axes.barh(names[::-1], list(shown.values())[::-1], color=BLUE, height=0.62)
        texts = [f"{100 * share:.0f} %" for share in shown.values()]
        axes.bar_label(bars, texts[::-1], padding=3, fontsize=8.5, color=INK)
        axes.set_xlim(0, 1.15 * max(*shown.values(), 1e-9))
        dress(axes, "share of importance", "", grid="x")
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    names_and = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shown.items())
    return Picture(path, f"Importance: {names_and}.", _caption(view, found), width_of(NARROW))


def _caption(view: SearchView, found: Mapping[str, float]) -> str:
    several = len(objectives(view)) > 1
    count = len(completed(view, objectives(view)[0]))
    what = "on the Pareto front or near it" if several else f"in {objectives(view)[0].name}"
    caption = (
        f"How much the values of a parameter among the best tenth {what} differ from those of all "
        f"{count} completed trials (PED-ANOVA of Optuna)."
    )
    if count < SOLID:
        caption += f" Rough: the best tenth are {-(-count // 10)} trials."
    if len(found) > MOST:
        caption += f" The first {MOST} of {len(found)} parameters are drawn."
    return caption
