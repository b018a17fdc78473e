"""Pictures of how answers stay as they are while images change more and more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from trainables.figures.canvas import canvas
from trainables.figures.palette import CURVES


class Curve(NamedTuple):
    """Shares of images that stay `right`, and the `same`, at strengths from 0 on."""

    strengths: Sequence[float]
    right: Sequence[float]
    same: Sequence[float]


def steadiness_curves(
    path: Path, curves: Mapping[str, Mapping[str, Curve]], floor: float, title: str
) -> None:
    """Draws a panel for each change, in it two curves for each of those that answer.

    Args:
        path: of the PNG.
        curves: by the name of the change, then by who answers; at least one of each.
        floor: the share of the most frequent class, a line.
        title: of the page.
    """
    with canvas(path, 1.0 + 2.9 * len(curves), 3.3) as figure:
        panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
        for axes, (change, own) in zip(panels, curves.items(), strict=True):
            for shade, (name, curve) in zip(CURVES, own.items(), strict=False):
                axes.plot(
                    curve.strengths, curve.right, "o-", color=shade, ms=3, label=f"{name}: right"
                )
                axes.plot(
                    curve.strengths, curve.same, "s--", color=shade, ms=3, label=f"{name}: same"
                )
            axes.axhline(floor, color="0.6", linewidth=1, linestyle=":", label="majority")
            axes.set(xlabel=change, ylim=(0, 1.02))
            axes.grid(color="0.92")
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("share of images")
        panels[0].legend(fontsize=7, frameon=False, loc="lower left")
        figure.suptitle(title, fontsize=10)
