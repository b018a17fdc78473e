"""Pictures of the α of attention by layer and head: at the end, and while it is learned."""

# L layers, H heads, S steps.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator, MaxNLocator, StrMethodFormatter
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.figures.palette import CURVES
from trainables.figures.panels import legend, numbers, plain, say, shade

_EDGE = 1e-3
"""An α this near to an end of its range counts as at the end."""
_COLUMNS = 3


def alphas_by_layer(
    path: Path,
    models: Mapping[str, Tensor],
    *,
    low: float = 1.01,
    high: float = 2.0,
    title: str = "",
) -> None:
    """α of every head against its layer, a panel for each model; 1 is softmax, 2 sparsemax.

    Rings are heads at an end of the range; how many there are stands above.

    Args:
        path: of the PNG.
        models: α [L, H] of each.
        low: least α that can be.
        high: largest one.
        title: of the page.
    """
    with canvas(path, 0.8 + 3.9 * max(1, len(models)), 3.9) as figure:
        figure.suptitle(title, fontsize=11)
        axes = figure.subplots(1, max(1, len(models)), sharey=True, squeeze=False)[0]
        for one, (name, alphas) in zip(axes, models.items(), strict=False):
            draw_alphas(one, alphas, low, high)
            one.set_title("\n".join(filter(None, (name, one.get_title()))), fontsize=10)
        axes[0].set_ylabel("α")
        if not models:
            say(axes[0], "no α")


def draw_alphas(axes: Any, alphas: Tensor, low: float, high: float) -> None:
    """A point for each head [L, H], heads side by side within their layer, from 0."""
    values = numbers(alphas)
    if not values.size:
        say(axes, "no α", is_alone=False)
        return
    layers, heads = values.shape
    across = np.arange(layers)[:, None] + 0.6 * ((np.arange(heads) + 0.5) / heads - 0.5)
    is_end = (values <= low + _EDGE) | (values >= high - _EDGE)
    for end in (low, high):
        axes.axhline(end, color="0.7", linestyle=":", linewidth=1, zorder=0)
    axes.scatter(across[~is_end], values[~is_end], s=22, color=shade(0))
    axes.scatter(across[is_end], values[is_end], s=22, facecolors="none", edgecolors=shade(1))
    axes.set_title(f"{is_end.sum()} of {values.size} at an end", fontsize=9)
    axes.set(xlabel="layer", xticks=range(layers), xlim=(-0.5, layers - 0.5))
    plain(axes)


def alphas_by_step(
    path: Path,
    steps: ArrayLike,
    alphas: Tensor,
    *,
    heads: Sequence[int] | None = None,
    layers: Sequence[int] | None = None,
    title: str = "",
) -> None:
    """α against the step, a panel for each layer, a line for each head.

    Args:
        path: of the PNG.
        steps: [S].
        alphas: [S, L, H].
        heads: which to draw, from 0; else all.
        layers: the numbers [L] of the layers, from 0; else the first ones.
        title: of the page.
    """
    values, times = numbers(alphas), np.asarray(steps)
    count = values.shape[1] if values.size else 0
    names = range(count) if layers is None else layers
    columns = max(1, min(_COLUMNS, count))
    rows = max(1, -(-count // columns))
    with canvas(path, 1.4 + 3.2 * columns, 0.6 + 2.4 * rows) as figure:
        figure.suptitle(title, fontsize=11)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for place, axes in enumerate(panels.flatten()):
            if place < count:
                draw_alpha_lines(axes, times, values[:, place], heads)
                axes.set_title(f"layer {names[place]}", fontsize=9)
            else:
                axes.set_axis_off()
        if not count:
            say(panels[0, 0], "no α")
            return
        for axes in panels[:, 0]:
            axes.set_ylabel("α")
        for axes in panels.flatten()[max(0, count - columns) : count]:
            axes.set_xlabel("step")
            axes.tick_params(labelbottom=True)
            ticks = MaxNLocator(4, integer=True) if len(times) > 1 else FixedLocator(times.tolist())
            axes.xaxis.set_major_locator(ticks)
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        legend(figure, panels.flatten()[:1])


def draw_alpha_lines(
    axes: Any, steps: NDArray[Any], alphas: NDArray[Any], heads: Sequence[int] | None = None
) -> None:
    """Lines over steps [S] of heads, α [S, H]; dashed from the ninth on, where colours repeat."""
    for head in range(alphas.shape[1]) if heads is None else heads:
        style = "-" if head < len(CURVES) else "--"
        axes.plot(
            steps, alphas[:, head], style, color=shade(head), linewidth=1.2,
            label=f"head {head}", marker="o" if len(steps) == 1 else "", markersize=4,
        )  # fmt: skip
    plain(axes)
