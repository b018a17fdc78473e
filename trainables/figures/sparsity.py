"""Pictures of how sparse attention is, and how much of it lies in boxes.

What is drawn is said by names; standard deviations are bands or bars of ± one. Values that are NaN
are left out.
"""

# L layers, T thresholds.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.figures.panels import legend, numbers, plain, say, shade

_MARKERS = "osD^vPX*"


class Band(NamedTuple):
    """Means with their standard deviations, of one length; numbers, arrays or tensors."""

    means: ArrayLike | Tensor
    deviations: ArrayLike | Tensor | None = None


def by_layer(
    path: Path,
    panels: Mapping[str, Mapping[str, Band]],
    *,
    measure: str = "Gini index",
    shares_axis: bool = True,
    title: str = "",
) -> None:
    """A measure in 0…1 against the layer, a curve for each name, such as each activation.

    Args:
        path: of the PNG.
        panels: side by side, such as "untrained" and "trained": curves [L] of each.
        measure: what stands at the left, such as "share of zeros".
        shares_axis: whether all panels have one range, by which they can be compared.
        title: of the page.
    """
    with canvas(path, 1.6 + 3.9 * max(1, len(panels)), 3.9) as figure:
        figure.suptitle(title, fontsize=11)
        axes = figure.subplots(1, max(1, len(panels)), sharey=shares_axis, squeeze=False)[0]
        for one, (name, curves) in zip(axes, panels.items(), strict=False):
            draw_layers(one, curves)
            one.set_title(name, fontsize=10)
        axes[0].set_ylabel(measure)
        if not panels:
            say(axes[0], "no curves")
        legend(figure, axes)


def draw_layers(axes: Any, curves: Mapping[str, Band]) -> None:
    """Curves [L] with their bands, cut off at 0 and 1; layers are counted from 0."""
    count = 0
    for place, (name, band) in enumerate(curves.items()):
        values = numbers(band.means)
        count = max(count, len(values))
        _draw_band(axes, np.arange(len(values)), band, name, place)
    axes.set(xlabel="layer", xticks=range(count))
    plain(axes)
    if not count:
        say(axes, "no curves", is_alone=False)


def by_threshold(
    path: Path, thresholds: Sequence[float], curves: Mapping[str, Band], *, title: str = ""
) -> None:
    """The share of weights that are at most a threshold, a curve for each name.

    Args:
        path: of the PNG.
        thresholds: T of them, at least 0, in any order; 0, exact zeros, stands apart at the left.
        curves: [T] each, in 0…1.
        title: of the page.
    """
    with canvas(path, 7.4, 4.0) as figure:
        axes = figure.subplots()
        axes.set_title(title, fontsize=11)
        draw_thresholds(axes, thresholds, curves)
        legend(figure, [axes])


def draw_thresholds(axes: Any, thresholds: Sequence[float], curves: Mapping[str, Band]) -> None:
    """Curves over a logarithmic axis, on which 0 has a place a decade below the least above it."""
    if not len(thresholds) or not curves:
        say(axes, "no curves")
        return
    values = np.sort(numbers(thresholds))
    order, above = numbers(thresholds).argsort(), values[values > 0]
    least, most = (above[0], above[-1]) if len(above) else (1.0, 0.1)
    places = np.where(values > 0, values, least / 10)
    has_zero = values[0] == 0
    for place, (name, band) in enumerate(curves.items()):
        means = numbers(band.means)[order]
        wide = np.zeros_like(means) if band.deviations is None else numbers(band.deviations)[order]
        # nothing joins 0 with the least threshold above it
        parts = (np.insert(one, 1, np.nan) if has_zero else one for one in (places, means, wide))
        across, *kinds = parts
        _draw_band(axes, across, Band(*kinds), name, place)
    axes.set(xscale="log", ylim=(-0.02, 1.02), xlabel="threshold", ylabel="share at most as large")
    powers = np.arange(np.floor(np.log10(least)), np.ceil(np.log10(most)) + 1)
    ticks = {10.0**one: f"$10^{{{one:.0f}}}$" for one in powers}
    if has_zero:
        ticks = {least / 10: "0"} | ticks
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    plain(axes)


def inside_boxes(
    path: Path,
    models: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    chance: Mapping[str, float] | None = None,
    title: str = "",
) -> None:
    """The share of attention inside of true boxes, by their size: a bar for each model.

    Args:
        path: of the PNG.
        models: of each by size, such as "all", "small", "medium", "large": mean and standard
            deviation in 0…1. The deviation may be NaN.
        chance: by size, what attention has in boxes that is equal over all cells.
        title: of the page.
    """
    sizes = len({size for one in models.values() for size in one})
    with canvas(path, 2.6 + max(3.0, 0.45 * sizes * (len(models) + 1)), 4.0) as figure:
        axes = figure.subplots()
        axes.set_title(title, fontsize=11)
        draw_inside(axes, models, chance or {})
        legend(figure, [axes])


def draw_inside(
    axes: Any,
    models: Mapping[str, Mapping[str, tuple[float, float]]],
    chance: Mapping[str, float],
) -> None:
    """Bars in groups by size, in the order in which sizes come; a mark across a group is chance."""
    sizes = list(dict.fromkeys(size for one in models.values() for size in one))
    if not sizes:
        say(axes, "no boxes")
        return
    width = 0.8 / len(models)
    for place, (name, values) in enumerate(models.items()):
        found = np.array([values.get(size, (np.nan, np.nan)) for size in sizes], float)
        across = np.arange(len(sizes)) + (place - (len(models) - 1) / 2) * width
        axes.bar(across, found[:, 0], width * 0.92, color=shade(place), label=name)
        axes.errorbar(
            across, found[:, 0], found[:, 1], fmt="none", ecolor="0.25", elinewidth=1, capsize=2
        )
        for x in across[np.isnan(found[:, 0])]:
            axes.text(x, 0, " none", rotation=90, ha="center", va="bottom", fontsize=7)
    label = "uniform attention"
    for place, size in enumerate(sizes):
        if size in chance:
            axes.hlines(chance[size], place - 0.44, place + 0.44, color="black", linewidth=1.5,
                        linestyle=":", label=label)  # fmt: skip
            label = "_nolegend_"
    axes.set_xticks(range(len(sizes)), sizes)
    axes.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(0, None))
    axes.set_ylabel("share of attention inside of boxes")
    plain(axes)


def _draw_band(axes: Any, places: NDArray[Any], band: Band, name: str, number: int) -> None:
    """A curve with its band, cut off at 0 and 1."""
    means = numbers(band.means)
    axes.plot(
        places, means, color=shade(number), marker=_MARKERS[number % len(_MARKERS)],
        markersize=4.5, linewidth=1.5, label=name,
    )  # fmt: skip
    if band.deviations is not None:
        wide = numbers(band.deviations)
        low, high = np.clip([means - wide, means + wide], 0, 1)
        axes.fill_between(places, low, high, color=shade(number), alpha=0.18, linewidth=0)
