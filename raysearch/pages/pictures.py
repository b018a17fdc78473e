"""All pictures of a report: drawn, or copied from the winner."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raysearch.pages.canvas import Picture
from raysearch.pages.curves import draw_curves
from raysearch.pages.factors import draw_factors
from raysearch.pages.history import draw_history
from raysearch.pages.importance import draw_importance, importances
from raysearch.pages.objectives import Objective, objectives
from raysearch.pages.parallel import draw_parallel
from raysearch.pages.pareto import draw_front
from raysearch.pages.scaling import draw_scaling
from raysearch.pages.settings_curves import draw_settings
from raysearch.pages.slices import draw_slices
from raysearch.results.factors import factors_of
from raysearch.results.view import SearchView

Drawn = Picture | str
"""A picture, or a sentence that says why there is none."""

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
    importance: Drawn
    slices: list[list[Picture]]
    figures: list[Picture] = field(default_factory=list[Picture])
    others: list[str] = field(default_factory=list[str])
    settings: list[Picture | None] = field(default_factory=list[Picture | None])
    factors: list[Drawn] = field(default_factory=list[Drawn])


def draw(view: SearchView, folder: Path, into: Path, by: Sequence[str] = ()) -> Pictures:
    """Draws all pictures of a search into a folder; `folder` is that of the search.

    `by` are the settings by which the objectives are grouped.
    """
    factors = factors_of(view, by)
    goals, shares = objectives(view), importances(view)
    order = [] if isinstance(shares, str) else list(shares)
    bars = shares if isinstance(shares, str) else importance_picture(view, shares, into)
    figures, others = copy_figures(view, folder, into)
    return Pictures(
        history=[draw_history(view, g, into / f"history-{g.index + 1}.png") for g in goals],
        curves=[draw_curves(view, g, into / f"curves-{g.index + 1}.png") for g in goals],
        front=draw_front(view, into / "pareto.png") if len(goals) > 1 else None,
        parallel=draw_parallel(view, into / "parallel.png", order),
        importance=bars,
        slices=[draw_slices(view, goal, into, order) for goal in goals],
        figures=figures,
        others=others,
        settings=[draw_settings(view, g, into / f"settings-{g.index + 1}.png") for g in goals],
        factors=[
            *(
                draw_factors(view, goal, factors, into / f"factors-{goal.index + 1}.png")
                for goal in (goals if factors else ())
            ),
            *_laws(view, goals, by, into),
        ],
    )


def _laws(
    view: SearchView, goals: Sequence[Objective], by: Sequence[str], into: Path
) -> list[Drawn]:
    """How each objective falls by a single setting, where a law of it can be found."""
    single = by if len(by) == 1 else ()
    drawn = (
        draw_scaling(view, goal, one, into / f"scaling-{goal.index + 1}.png")
        for one in single
        for goal in goals
    )
    return [one for one in drawn if one is not None]


def importance_picture(view: SearchView, shares: dict[str, float], into: Path) -> Drawn:
    """The bars; a sentence where no parameter has a share."""
    if not shares:
        return "Importance is not estimated: no parameter varies."
    return draw_importance(view, shares, into / "importance.png")


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


def files(pictures: Sequence[Drawn]) -> list[Picture]:
    """Those that are pictures."""
    return [each for each in pictures if isinstance(each, Picture)]
