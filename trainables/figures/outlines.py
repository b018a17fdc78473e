"""Boxes, labels and maps on a picture, all in its pixels."""

# N boxes, H × W pixels of a picture, h × w cells of a grid.

from __future__ import annotations

from textwrap import fill
from typing import Any

import torch
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from torch import Tensor

from trainables.losses.boxes import to_corners

PREDICTED, TRUE, OTHER = "#e6194b", "#2ca02c", "#9a9a9a"
"""Red, green and a grey."""
TRUE_LINE, LINE = 2.8, 1.4
"""Points. Those of true boxes are wider, and lie below: where two boxes agree both are seen."""
_LETTERS = 7.5
_LONG = 20
"""Letters of a line in a picture."""
_MARGIN = 2.0
"""Pixels of the figure around the words of a label."""
_LEAST, _MOST = 0.25, 0.85
"""The opacity of a weight of 0, and of the largest one, over the picture."""


class PictureAxes:
    """Axes that show a picture [C, H, W] of 0…1 (C is 1 or 3), from (0, 0) to (W, H) at the bottom.

    Whatever is laid over it has one scale, that of its pixels, and moves no limit: what lies
    outside is cut off. Labels find their place when all is drawn, by `place_labels`.
    """

    def __init__(self, axes: Any, image: Tensor, *, is_grey: bool = False) -> None:
        pixels = image.detach().float().cpu().nan_to_num(0.0).clamp(0, 1)
        if is_grey:
            pixels = pixels.mean(0, keepdim=True)
        self.height, self.width = pixels.shape[1:]
        self.axes = axes
        self._labels: list[tuple[Any, tuple[float, ...]]] = []
        whole = (0, self.width, self.height, 0)
        axes.imshow(pixels.expand(3, -1, -1).movedim(0, -1).numpy(), extent=whole)
        axes.set_autoscale_on(False)
        axes.set_anchor("N")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set(color="0.8", linewidth=0.5)

    def corners(self, boxes: Tensor) -> Tensor:
        """Left, top, right and bottom in pixels [N, 4] of boxes [N, 4] by their centre in 0…1."""
        size = torch.tensor([self.width, self.height] * 2, dtype=torch.float64)
        return to_corners(boxes.detach().cpu().double()) * size

    def outline(self, boxes: Tensor, color: str, line: float = LINE, opacity: float = 1.0) -> None:
        """The edges of boxes [N, 4], centre, width and height in 0…1; what is not finite has none.

        `line` in points.
        """
        for left, top, right, bottom in self.corners(boxes).tolist():
            if not abs(left + top + right + bottom) < torch.inf:
                continue
            edges = Rectangle((left, top), right - left, bottom - top, fill=False)
            edges.set(edgecolor=color, linewidth=line, alpha=opacity)
            self.axes.add_patch(edges)

    def label(self, box: Tensor, words: str, color: str) -> None:
        """Words at a box [4], centre, width and height in 0…1, white on the colour."""
        corners = self.corners(box)
        if not corners.isfinite().all():
            return
        text = self.axes.text(0, 0, words, color="white", fontsize=_LETTERS, va="bottom")
        text.set_parse_math(False)
        text.set_bbox({"facecolor": color, "edgecolor": "none", "alpha": 0.85, "pad": 1.0})
        text.set_in_layout(False)
        text.set_clip_on(True)
        self._labels.append((text, tuple(corners.tolist())))

    def attention(self, weights: Tensor, cell: float) -> None:
        """Weights [h, w], at least 0, over the picture, by the largest: the more, the brighter.

        A weight covers the square of `cell` pixels that it looks at; the first begins at the upper
        left corner. Cells, and parts of cells, beyond the picture are cut off.
        """
        values = weights.detach().double().cpu().nan_to_num(0.0).numpy()
        most = float(values.max()) or 1.0
        height, width = values.shape
        self.axes.imshow(
            values, extent=(0, width * cell, height * cell, 0), cmap="viridis", vmin=0, vmax=most,
            alpha=_LEAST + (_MOST - _LEAST) * (values / most), interpolation="nearest",
        )  # fmt: skip
        self.axes.set(xlim=(0, self.width), ylim=(self.height, 0))

    def say(self, words: str) -> None:
        """Words in the middle of the picture, such as why nothing is on it."""
        text = self.axes.text(
            self.width / 2, self.height / 2, fill(words, _LONG), ha="center", va="center",
            fontsize=_LETTERS,
        )  # fmt: skip
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.0})
        text.set_in_layout(False)

    def place_labels(self) -> None:
        """Each label goes to a corner of its box, within the picture, where no other is.

        To be called once the layout of the figure is made (`Figure.draw_without_rendering`). One
        that is wider than the picture loses letters. Where all corners are taken it goes to the one
        where it hides least.
        """
        frame, taken = self.axes.bbox, list[Bbox]()
        for text, corners in self._labels:
            extent = _shortened(text, frame.width - 2 * _MARGIN)
            width, height = extent.width + 2 * _MARGIN, extent.height + 2 * _MARGIN
            ends = self.axes.transData.transform([corners[:2], corners[2:]])
            (left, top), (right, bottom) = ends.tolist()
            starts = [
                _within(frame, x, y, width, height)
                for x in (left, right - width)
                for y in (top, top - height, bottom - height, bottom)
            ]
            free = [Bbox.from_bounds(x, y, width, height) for x, y in starts]
            best = min(free, key=lambda one: sum(_shared(one, other) for other in taken))
            taken.append(best)
            place = (best.x0 + _MARGIN, best.y0 + _MARGIN)
            text.set_position(self.axes.transData.inverted().transform(place))


def _shortened(text: Any, width: float) -> Any:
    """What a text covers, in pixels of the figure, once it is cut to a width."""
    words = text.get_text()
    while (extent := text.get_window_extent()).width > width and len(words) > 1:
        words = words[:-1]
        text.set_text(words.rstrip() + "…")
    return extent


def _within(frame: Any, x: float, y: float, width: float, height: float) -> tuple[float, float]:
    """The nearest place of something of a size at which it lies in a frame."""
    return (
        min(max(x, frame.x0), frame.x1 - width),
        min(max(y, frame.y0), frame.y1 - height),
    )


def _shared(first: Bbox, second: Bbox) -> float:
    """The area that two rectangles have in common."""
    both = Bbox.intersection(first, second)
    return 0.0 if both is None else both.width * both.height
