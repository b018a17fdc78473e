"""Pictures of maps to the simplex."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.figures.palette import CURVES
from trainables.figures.panels import say
from trainables.layers.entmax_newton import entmax

_NAMES = {1.0: "softmax", 1.5: "entmax 1.5", 2.0: "sparsemax"}


def simplex_curves(
    path: Path,
    *,
    alphas: Sequence[float] = (1.0, 1.25, 1.5, 2.0),
    reach: float = 3.0,
    title: str = "",
) -> None:
    """What α-entmax gives the first of two scores, t and 0, against t (Peters et al. 2019, fig. 3).

    Args:
        path: of the PNG.
        alphas: each in 1…2.05.
        reach: t is in −reach … reach.
        title: of the page.

    Raises:
        ValueError: an α is outside of its range.
    """
    with canvas(path, 5.6, 4.0) as figure:
        axes = figure.subplots()
        axes.set_title(title, fontsize=11)
        draw_simplex(axes, alphas, reach)


def draw_simplex(axes: Any, alphas: Sequence[float], reach: float) -> None:
    """A curve for each α; arguments as of `simplex_curves`."""
    scores = torch.linspace(-reach, reach, 601, dtype=torch.float64)
    for place, alpha in enumerate(alphas):
        name = f"α = {alpha:g}" + (f", {_NAMES[alpha]}" if alpha in _NAMES else "")
        shade = CURVES[place % len(CURVES)]
        axes.plot(scores, first_share(scores, alpha), color=shade, linewidth=1.5, label=name)
    if not alphas:
        say(axes, "no α")
        return
    axes.set(xlabel="t", ylabel="first weight of the map of (t, 0)", xlim=(-reach, reach))
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper left")


def first_share(scores: Tensor, alpha: float) -> Tensor:
    """The first weight [T] of α-entmax of (t, 0), for scores t [T]; in 0…1, ½ at 0."""
    return entmax(torch.stack([scores, torch.zeros_like(scores)], -1), alpha)[..., 0]
