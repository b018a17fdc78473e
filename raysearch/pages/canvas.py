"""The one place where the pictures of a report are opened, written and let go; their look."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from raysearch.pages.picture import Picture as Picture
from raysearch.texts import one_line

DPI = 168
"""Seven pixels of the file for four of the page, which has 96 to the inch: sharp on any screen."""

INK, MUTED, GRID, FAINT = "#1c2430", "#5b6675", "#e4e8ee", "#c3cad5"
BLUE, VERMILLION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
PURPLE, SKY = "#aa4499", "#56b4e9"
"""Okabe and Ito (2008), distinct for the colour-blind; the purple is darker than theirs."""

NARROW = (5.6, 3.75)
"""Size in inches: half of the page's width."""


@contextmanager
def canvas(path: Path, size: tuple[float, float]) -> Generator[Figure]:
    """A figure of this size in inches, written as a PNG when the block ends well.

    No global state is touched, so nothing stays open. A letter that no font has is a box, silently.
    """
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    try:
        yield figure
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(path, format="png", metadata={"Software": None})
    finally:
        figure.clear()


def width_of(size: tuple[float, float]) -> int:
    """The natural width on a page, in pixels."""
    return round(96 * size[0])


def plain(text: object, most: int = 40) -> str:
    """A text as matplotlib is to write it: no formulas, on one line, at most so many letters."""
    return one_line(text, most).replace("$", r"\$")


def named(text: object, most: int = 40) -> str:
    """The same as a name in a legend, where matplotlib leaves out what begins with a stroke."""
    line = plain(text, most)
    return f" {line}" if line.startswith("_") else line


def dress(axes: Axes, x: str, y: str, *, grid: str = "both") -> None:
    """Labels, thin lines and quiet colours."""
    axes.set_xlabel(plain(x, 70), color=INK, fontsize=9.5)
    axes.set_ylabel(plain(y, 60), color=INK, fontsize=9.5)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=3, width=0.7, labelcolor=INK)
    axes.tick_params(which="minor", length=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    if grid in ("both", "x", "y"):
        axes.grid(axis=grid, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)


def legend(figure: Figure, axes: Axes, handles: Sequence[Any] | None = None) -> None:
    """What the marks mean, in a line above the picture."""
    shown = list(handles) if handles is not None else axes.get_legend_handles_labels()[0]
    if not shown:
        return
    figure.legend(
        handles=shown,
        loc="outside upper left",
        ncols=len(shown) if len(shown) <= 6 else 4,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        handletextpad=0.3,
        handlelength=1.6,
        columnspacing=1.0,
        borderaxespad=0.1,
    )
