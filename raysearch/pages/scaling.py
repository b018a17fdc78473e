"""How an error falls with a setting: points, the power law, and its interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from raysearch.errors import BadSetting, UnknownName
from raysearch.pages.canvas import (
    BLUE,
    INK,
    NARROW,
    SKY,
    Picture,
    canvas,
    dress,
    width_of,
)
from raysearch.pages.objectives import Objective
from raysearch.results.scaling import BEYOND, scaling
from raysearch.results.view import SearchView

_POINTS = 60


def draw_scaling(
    view: SearchView, objective: Objective, setting: str, path: Path
) -> Picture | None:
    """Draws the error of completed trials by a setting, both axes logarithmic, with its law.

    None where no law can be found: the setting is no number, or has too few values.
    """
    try:
        found = scaling(view, setting, objective.name)
    except (BadSetting, UnknownName):
        return None
    law, last = found.law, max(found.x) * BEYOND[-1]
    across = np.geomspace(min(found.x), last, _POINTS).tolist()
    said = [law.at(x) for x in across]
    with canvas(path, NARROW) as figure:
        axes = figure.subplots()
        low, high = [one.low for one in said], [one.high for one in said]
        axes.fill_between(across, low, high, color=SKY, alpha=0.3, linewidth=0)
        inside = [one.value for x, one in zip(across, said, strict=True) if x <= max(found.x)]
        axes.plot(across[: len(inside)], inside, color=INK, linewidth=1.4)
        axes.plot(
            across[len(inside) - 1 :],
            [one.value for one in said[len(inside) - 1 :]],
            color=INK,
            linewidth=1.2,
            linestyle="--",
        )
        axes.scatter(found.x, found.errors, s=16, color=BLUE, alpha=0.8, linewidths=0, zorder=3)
        axes.set_xscale("log")
        axes.set_yscale("log")
        dress(axes, setting, found.error)
    b, c = law.b, law.c
    caption = (
        f"Error = {law.a.value:.3g} · x^−b + c over {len(found.x)} completed trials: b "
        f"{b.value:.3g} [{b.low:.3g}, {b.high:.3g}], c {c.value:.3g} [{c.low:.3g}, {c.high:.3g}]; "
        f"shaded: 95 %; dashed: beyond what was run."
    )
    if not law.falls:
        caption += " The error does not fall with x: the exponent may be 0."
    return Picture(path, f"{found.error} by {setting}.", caption, width_of(NARROW))
