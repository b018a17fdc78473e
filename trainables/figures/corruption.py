"""Pictures of accuracy on corrupted images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from trainables.figures.canvas import canvas


def accuracy_grid(
    path: Path, accuracies: Tensor, names: Sequence[str], clean: float, title: str
) -> None:
    """Draws accuracies [C, S] in 0…1, a row a corruption and a column a severity, with numbers.

    Colours go from 0 to the accuracy on clean images.
    """
    count, severities = accuracies.shape
    with canvas(path, 3.4 + 0.62 * severities, 1.6 + 0.3 * count) as figure:
        axes = figure.subplots()
        top = max(clean, float(accuracies.max()), 1e-3)
        image = axes.imshow(accuracies.numpy(), cmap="viridis", vmin=0, vmax=top, aspect="auto")
        figure.colorbar(image, ax=axes, label="accuracy", shrink=0.85)
        axes.set_yticks(range(count), [name.replace("_", " ") for name in names])
        axes.set_xticks(range(severities), [str(one + 1) for one in range(severities)])
        axes.set_xlabel("severity")
        axes.set_title(title, fontsize=10)
        for row, line in enumerate(accuracies.tolist()):
            for column, value in enumerate(line):
                colour = "black" if value > 0.6 * top else "white"
                text = f"{value:.2f}"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
