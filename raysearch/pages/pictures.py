"""All that a report shows: charts for its script, pictures that are drawn, or the winner's."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raysearch.pages.chart import Chart
from raysearch.pages.curves import curves_chart
from raysearch.pages.history import history_chart
from raysearch.pages.importance import Importance, importance, importances
from raysearch.pages.objectives import Objective, objectives
from raysearch.pages.parallel import parallel_chart
from raysearch.pages.pareto import front_chart
from raysearch.pages.picture import Picture
from raysearch.pages.slices import slice_charts
from raysearch.pages.timeline import timeline_chart
from raysearch.results.factors import factors_of
from raysearch.results.view import SearchView

Drawn = Chart | Picture | str
"""A chart or a picture, or a sentence that says why there is none."""

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"<svg": "image/svg+xml",
    b"<?xml": "image/svg+xml",
}
"""How files of pictures begin that a browser shows."""
MOST_FIGURES, MOST_BYTES = 24, 4_000_000
"""How many of the winner's figures are shown, and how large each may be."""


@dataclass(frozen=True)
class Pictures:
    """What a page shows. `history`, `curves` and `slices` have an entry for each objective.

    `settings` has, of a search that evaluates finished trials, an entry for each objective;
    `factors` has one for each where it was asked by what to group, and how it falls by a number.

    `figures` are the winner's, `others` what else it wrote, or could not be shown, in words.
    """

    history: list[Drawn]
    curves: list[Drawn]
    front: Drawn | None
    parallel: Drawn
    timeline: Drawn
    importance: Importance | str
    slices: list[list[Chart]]
    figures: list[Picture] = field(default_factory=list[Picture])
    others: list[str] = field(default_factory=list[str])
    settings: list[Picture | None] = field(default_factory=list[Picture | None])
    factors: list[Drawn] = field(default_factory=list[Drawn])

    @property
    def charts(self) -> list[Chart]:
        """All charts, in the order of the page."""
        slices = [chart for own in self.slices for chart in own]
        every = [*self.history, *self.curves, self.front, self.parallel, *slices, self.timeline]
        return [each for each in every if isinstance(each, Chart)]


def draw(view: SearchView, folder: Path, into: Path, by: Sequence[str] = ()) -> Pictures:
    """Makes all charts of a search, and its pictures in a folder; `folder` is the search's own.

    `by` are the settings by which the objectives are grouped.
    """
    goals, shares = objectives(view), importances(view)
    order = [] if isinstance(shares, str) else list(shares)
    figures, others = copy_figures(view, folder, into)
    return Pictures(
        history=[history_chart(view, goal) for goal in goals],
        curves=[curves_chart(view, goal) for goal in goals],
        front=front_chart(view) if len(goals) > 1 else None,
        parallel=parallel_chart(view, order),
        timeline=timeline_chart(view),
        importance=_importance(view, shares),
        slices=[slice_charts(view, goal, order) for goal in goals],
        figures=figures,
        others=others,
        settings=_settings(view, goals, into),
        factors=_by(view, goals, by, into) if by else [],
    )


def _importance(view: SearchView, shares: dict[str, float] | str) -> Importance | str:
    if isinstance(shares, str):
        return shares
    if not shares:
        return "Importance is not estimated: no parameter varies."
    return importance(view, shares)


def _settings(view: SearchView, goals: Sequence[Objective], into: Path) -> list[Picture | None]:
    if view.spec.evaluates is None:
        return [None for _ in goals]
    from raysearch.pages.settings_curves import draw_settings

    return [draw_settings(view, goal, into / f"settings-{goal.index + 1}.png") for goal in goals]


def _by(view: SearchView, goals: Sequence[Objective], by: Sequence[str], into: Path) -> list[Drawn]:
    """Each objective by these settings; by a single one also how it falls with it."""
    from raysearch.pages.factors import draw_factors

    factors = factors_of(view, by)
    return [
        *(draw_factors(view, g, factors, into / f"factors-{g.index + 1}.png") for g in goals),
        *_laws(view, goals, by, into),
    ]


def _laws(
    view: SearchView, goals: Sequence[Objective], by: Sequence[str], into: Path
) -> list[Drawn]:
    """How each objective falls by a single setting, where a law of it can be found."""
    from raysearch.pages.scaling import draw_scaling

    single = by if len(by) == 1 else ()
    drawn = (
        draw_scaling(view, goal, one, into / f"scaling-{goal.index + 1}.png")
        for one in single
        for goal in goals
    )
    return [one for one in drawn if one is not None]


def copy_figures(view: SearchView, folder: Path, into: Path) -> tuple[list[Picture], list[str]]:
    """Copies the figures of the winner; what is no picture, or is gone, is named."""
    best = view.best()
    figures: list[Picture] = []
    others: list[str] = []
    for name, path in sorted(best.artifacts.items()) if best else ():
        file, problem = folder / path, ""
        if not file.is_file():
            problem = "no longer there"
        elif kind_of(file) is None:
            problem = "no picture"
        elif file.stat().st_size > MOST_BYTES:
            problem = "too large to show"
        elif len(figures) == MOST_FIGURES:
            problem = f"not shown, as the {MOST_FIGURES + 1}th"
        if problem:
            others.append(f"{name} ({path}): {problem}")
            continue
        copy = into / f"winner-{len(figures) + 1:02d}{file.suffix.lower()}"
        shutil.copyfile(file, copy)
        alt = f"{name} of trial {best.number if best else ''}"
        figures.append(Picture(copy, alt, name, 0))
    return figures, others


def kind_of(file: Path) -> str | None:
    """The media type of a picture by how the file begins; None if it is none."""
    with file.open("rb") as opened:
        head = opened.read(512).lstrip()
    if head.startswith(b"<?xml") and b"<svg" not in head:
        return None
    return next((kind for begin, kind in SIGNATURES.items() if head.startswith(begin)), None)
