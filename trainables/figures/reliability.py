"""Pictures of how sure a classifier is: the reliability diagram, and its surest mistakes."""

# B bins, R images, C channels.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.figures.palette import CURVES
from trainables.figures.panels import plain, say
from trainables.figures.pictures import shown
from trainables.metrics.reliability import Reliability

_COLUMNS = 4
_SIDE = 96


def reliability_diagram(
    path: Path,
    found: Reliability,
    *,
    blind: tuple[float, float] | None = None,
    title: str = "",
) -> None:
    """The accuracy of each bin beside its mean confidence, and below how many answers it has.

    On the diagonal a classifier is right as often as it says; below it is too sure. `blind` is the
    confidence and the accuracy of what looks at no image.
    """
    bins = len(found.counts)
    middles, there = (np.arange(bins) + 0.5) / bins, (found.counts > 0).numpy()
    accuracy, sure = found.accuracy.numpy(), found.confidence.numpy()
    with canvas(path, 4.6, 5.0) as figure:
        upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
        upper.plot([0, 1], [0, 1], color="0.5", linestyle=":", label="as sure as right")
        upper.bar(
            middles[there],
            accuracy[there],
            0.92 / bins,
            color=CURVES[5],
            label="share that is right",
        )
        for x, low, high in zip(middles[there], accuracy[there], sure[there], strict=True):
            upper.plot([x, x], [low, high], color=CURVES[1], linewidth=2)
        upper.plot(middles[there], sure[there], "_", color=CURVES[1], label="mean confidence")
        if blind is not None:
            upper.plot(*blind, "x", color="black", label="majority class")
        upper.set_xlim(0, 1)
        upper.set_ylim(0, 1.02)
        upper.set_ylabel("accuracy")
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
        upper.set_title(title, fontsize=10)
        lower.bar(middles, found.counts.numpy(), 0.92 / bins, color="0.6")
        lower.set_xlabel("confidence in the answer")
        lower.set_ylabel("answers")
        for axes in (upper, lower):
            plain(axes)


def wrong_answers(
    path: Path,
    images: Tensor,
    said: Sequence[str],
    sure: Sequence[float],
    true: Sequence[str],
    *,
    title: str = "",
) -> None:
    """Images [R, C, H, W] in 0…1 whose class was said wrongly, with what was said, how surely, and
    what is true.
    """
    rows = max(1, -(-len(images) // _COLUMNS))
    with canvas(path, 1.75 * _COLUMNS, 2.1 * rows + 0.4) as figure:
        panels = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
        figure.suptitle(title, fontsize=10)
        for axes in panels:
            axes.set_axis_off()
        if not len(images):
            say(panels[0], "none is wrong")
        for axes, image, *words in zip(panels, images, said, sure, true, strict=False):
            axes.imshow(shown(image, (_SIDE, _SIDE)).numpy())
            name, share, label = words
            axes.set_title(f"{name} ({share:.0%})\nis {label}", fontsize=8)
