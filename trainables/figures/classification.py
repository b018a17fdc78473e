"""Pictures of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.metrics.classification import normalised


def confusion_matrix(path: Path, counts: Tensor, classes: Sequence[str], title: str) -> None:
    """Draws counts [C, C] (row true, column predicted), shaded by the share of the row."""
    shares = normalised(counts).numpy()
    side = 2.2 + 0.42 * len(classes)
    with canvas(path, side + 0.8, side) as figure:
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
        axes.set_xticks(range(len(classes)), classes)
        axes.set_yticks(range(len(classes)), classes)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        axes.set_title(title)
        for row in range(len(classes)):
            for column in range(len(classes)):
                count = int(counts[row, column])
                if count:
                    colour = "white" if shares[row, column] > 0.5 else "black"
                    axes.text(
                        column, row, str(count), ha="center", va="center", color=colour, fontsize=8
                    )
