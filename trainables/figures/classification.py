"""Pictures of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.metrics.classification import normalised

_FEW = 20
"""So many classes have cells with room for their numbers."""


def confusion_matrix(path: Path, counts: Tensor, classes: Sequence[str], title: str) -> None:
    """Draws counts [C, C] (row true, column predicted), shaded by the share of the row.

    The numbers stand in the cells of up to 20 classes.
    """
    shares = normalised(counts).numpy()
    is_small = len(classes) <= _FEW
    side = 2.2 + (0.42 if is_small else 0.12) * len(classes)
    turned = 90 if max(map(len, classes)) > 3 else 0
    with canvas(path, side + 0.8, side) as figure:
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
        letters = None if is_small else 6
        axes.set_xticks(range(len(classes)), classes, rotation=turned, fontsize=letters)
        axes.set_yticks(range(len(classes)), classes, fontsize=letters)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        axes.set_title(title)
        for row, column in counts.nonzero().tolist() if is_small else ():
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = str(int(counts[row, column]))
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
