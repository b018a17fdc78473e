"""The one place where figures are opened, written and let go."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trainables.core.files import appearing

DPI = 120


@contextmanager
def canvas(path: Path, width: float, height: float) -> Generator[Figure]:
    """A figure of `width` × `height` inches, written as a PNG to `path` when the block ends well.

    No global state is touched, so nothing stays open; the file appears whole or not at all.
    """
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    try:
        yield figure
        with appearing(path) as partial:
            figure.savefig(partial, format="png")
    finally:
        figure.clear()
