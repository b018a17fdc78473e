"""Pictures of detectors: what is found beside what is there, matches, precision and recall.

Pictures are float [3, H, W] of 0…1, without padding, of any sizes; boxes are centre, width and
height in 0…1 of their picture. What is predicted is red, what is true is green.
"""

# N boxes, Q queries; T overlaps, R recalls, K classes, A ranges of areas.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from trainables.figures.canvas import canvas
from trainables.figures.outlines import OTHER, PREDICTED, TRUE, TRUE_LINE, PictureAxes
from trainables.figures.palette import CURVES
from trainables.figures.panels import say

_SIDE = 3.4
"""Inches of the longer side of a picture."""
_COLUMNS = 4
_RANGES = ("all", "small", "medium", "large")


class Labelled(NamedTuple):
    """Boxes of one picture."""

    boxes: Tensor
    """[N, 4], centre, width and height in 0…1."""
    classes: Tensor
    """[N], int64."""
    scores: Tensor | None = None
    """[N] in 0…1, of those that are predicted."""


def detection_table(
    path: Path,
    *,
    images: Sequence[Tensor],
    found: Sequence[Labelled] | None = None,
    true: Sequence[Labelled] | None = None,
    names: Mapping[int, str] | None = None,
    score_above: float = 0.7,
    title: str = "",
) -> None:
    """Pictures with what is found in them and what is there, up to four in a row.

    Args:
        path: of the PNG.
        images: [3, H, W] each.
        found: of each picture; those of larger scores than `score_above` are drawn.
        true: of each picture. One of the two may be missing.
        names: of classes; those without one have their number.
        score_above: in 0…1.
        title: of the page.
    """
    columns = min(_COLUMNS, max(1, len(images)))
    rows = [images[start : start + columns] for start in range(0, len(images), columns)] or [[]]
    width, heights = _cell(images)[0], [_cell(row)[1] + 0.3 for row in rows]
    with canvas(path, columns * width + 0.2, sum(heights) + 0.4) as figure:
        panels = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights).flatten()
        figure.suptitle(title, fontsize=11)
        pictures: list[PictureAxes] = []
        for number, (axes, image) in enumerate(zip(panels, images, strict=False)):
            picture = PictureAxes(axes, image)
            ours = None if found is None else found[number]
            theirs = None if true is None else true[number]
            draw_detections(picture, ours, theirs, names or {}, score_above)
            pictures.append(picture)
        for axes in panels[len(images) :]:
            axes.set_axis_off()
        if not images:
            say(panels[0], "no pictures")
        figure.draw_without_rendering()
        for picture in pictures:
            picture.place_labels()


def draw_detections(
    picture: PictureAxes,
    found: Labelled | None,
    true: Labelled | None,
    names: Mapping[int, str],
    score_above: float,
) -> None:
    """On one picture: above it how many are drawn of each kind, at each box its class and score."""
    words: list[str] = []
    if true is not None:
        picture.outline(true.boxes, TRUE, TRUE_LINE)
        words.append(f"{len(true.boxes)} true")
    if found is not None:
        kept = above(found, score_above)
        picture.outline(kept.boxes, PREDICTED)
        for box, text in zip(kept.boxes, _words(kept, names), strict=True):
            picture.label(box, text, PREDICTED)
        words.insert(0, f"{len(kept.boxes)} found")
        if not len(kept.boxes):
            picture.say(f"nothing found with a score above {score_above:g}")
    if true is not None:
        for box, text in zip(true.boxes, _words(true, names), strict=True):
            picture.label(box, text, TRUE)
    picture.axes.set_title(", ".join(words), fontsize=8, pad=3)


def above(found: Labelled, score: float) -> Labelled:
    """The boxes of larger scores than `score`, best first; all where there are no scores."""
    if found.scores is None:
        return found
    order = found.scores.argsort(descending=True, stable=True)
    order = order[found.scores[order] > score]
    return Labelled(found.boxes[order], found.classes[order], found.scores[order])


def matched_boxes(
    path: Path,
    *,
    image: Tensor,
    boxes: Tensor,
    true: Labelled,
    queries: Tensor,
    objects: Tensor,
    names: Mapping[int, str] | None = None,
    title: str = "",
) -> None:
    """What the loss sees: objects green, the boxes that are matched with them red, all others grey.

    A line joins the centres of a pair; a label has the number of the query.

    Args:
        path: of the PNG.
        image: [3, H, W].
        boxes: of all queries, [Q, 4].
        true: the objects.
        queries: of each pair, int64 [M].
        objects: of each pair, int64 [M], which of `true`.
        names: of classes; those without one have their number.
        title: stands before the counts.
    """
    width, height = (1.6 * side for side in _cell([image]))
    with canvas(path, width + 0.2, height + 0.5) as figure:
        picture = PictureAxes(figure.subplots(), image)
        draw_matches(picture, boxes, true, queries, objects, names or {})
        counts = f"{len(boxes)} queries, {len(true.boxes)} objects, {len(queries)} pairs"
        picture.axes.set_title(": ".join(filter(None, (title, counts))), fontsize=9)
        figure.draw_without_rendering()
        picture.place_labels()


def draw_matches(
    picture: PictureAxes,
    boxes: Tensor,
    true: Labelled,
    queries: Tensor,
    objects: Tensor,
    names: Mapping[int, str],
) -> None:
    """On one picture; arguments as of `matched_boxes`."""
    boxes, queries, objects = boxes.detach().cpu(), queries.cpu(), objects.cpu()
    matched = boxes[queries]
    is_other = np.ones(len(boxes), bool)
    is_other[queries.numpy()] = False
    picture.outline(boxes[is_other], OTHER, 0.6, 0.6)
    picture.outline(true.boxes, TRUE, TRUE_LINE)
    picture.outline(matched, PREDICTED)
    size = np.array([picture.width, picture.height])
    ends = (matched[:, :2].numpy() * size, true.boxes.cpu()[objects][:, :2].numpy() * size)
    for (x, y), (other_x, other_y) in zip(*ends, strict=True):
        picture.axes.plot([x, other_x], [y, other_y], color=PREDICTED, linewidth=0.8, zorder=1)
    for box, query in zip(matched, queries.tolist(), strict=True):
        picture.label(box, f"query {query}", PREDICTED)
    for box, text in zip(true.boxes, _words(true, names), strict=True):
        picture.label(box, text, TRUE)


def precision_recall(
    path: Path,
    curves: Mapping[str, np.ndarray[Any, Any]],
    *,
    area: int = 0,
    title: str = "",
) -> None:
    """Precision against recall, a curve for each name: at overlaps 0.5, 0.75, and 0.5 … 0.95.

    The mean over classes; in the legends the average precision, which is the mean of the curve.

    Args:
        path: of the PNG.
        curves: [T, R, K, A] each, as of `metrics.boxes.BoxScores`, NaN where nothing is to be
            found. To draw some of the classes, give those alone.
        area: which of A: all, small, medium, large.
        title: of the page.
    """
    parts = {"overlap 0.5": [0], "overlap 0.75": [5], "overlaps 0.5 … 0.95": list(range(10))}
    with canvas(path, 11.4, 4.1) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        words = f"{_RANGES[area]} objects"
        figure.suptitle(": ".join(filter(None, (title, words))), fontsize=11)
        for axes, (name, overlaps) in zip(panels, parts.items(), strict=True):
            chosen = {key: one[..., area][overlaps] for key, one in curves.items()}
            draw_precision(axes, chosen)
            axes.set_title(name, fontsize=10)
        panels[0].set_ylabel("precision")


def draw_precision(axes: Any, curves: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """A curve for each [T, R, K], the mean over T and K of what is not NaN; recalls are in 0…1."""
    axes.set(xlabel="recall", xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    for place, (name, precision) in enumerate(curves.items()):
        is_known = ~np.isnan(precision)
        if not is_known.any():
            axes.plot([], [], color=CURVES[place % len(CURVES)], label=f"{name}  no objects")
            continue
        # a class is known at all recalls or at none
        curve = np.where(is_known, precision, 0).sum((0, 2)) / is_known.sum((0, 2))
        recalls = np.linspace(0, 1, len(curve))
        shade = CURVES[place % len(CURVES)]
        axes.plot(recalls, curve, color=shade, linewidth=1.5, label=f"{name}  {curve.mean():.3f}")
    if curves:
        axes.legend(title="average precision", fontsize=8, title_fontsize=8, loc="best")
    else:
        axes.text(0.5, 0.5, "no curves", ha="center", va="center", color="0.35")


def area_histogram(
    path: Path,
    areas: Mapping[str, Tensor],
    *,
    limits: tuple[float, float] = (32.0**2, 96.0**2),
    title: str = "",
) -> None:
    """How many objects have which area, on a logarithmic axis, an outline for each name.

    Args:
        path: of the PNG.
        areas: in pixels, [N] each.
        limits: between small, medium and large; dashed. In the legend are the shares of the three.
        title: of the page.
    """
    with canvas(path, 7.2, 4.0) as figure:
        axes = figure.subplots()
        axes.set_title(title, fontsize=11)
        draw_areas(axes, areas, limits)


def draw_areas(axes: Any, areas: Mapping[str, Tensor], limits: tuple[float, float]) -> None:
    """A histogram of four bins an octave of the side; arguments as of `area_histogram`."""
    known = {name: one[one > 0].detach().cpu().double().numpy() for name, one in areas.items()}
    known = {name: one for name, one in known.items() if len(one)}
    if not known:
        say(axes, "no objects")
        return
    together = np.concatenate(list(known.values()))
    first, last = np.floor(np.log2(together.min()) * 2), np.floor(np.log2(together.max()) * 2) + 1
    edges = 2 ** (np.arange(first, last + 1) / 2)
    for place, (name, values) in enumerate(known.items()):
        small, large = (values < limits[0]).mean(), (values >= limits[1]).mean()
        shares = f"{small:.0%} small, {1 - small - large:.0%} medium, {large:.0%} large"
        shade = CURVES[place % len(CURVES)]
        counts = np.histogram(values, edges)[0]
        axes.stairs(counts, edges, color=shade, linewidth=1.5, label=f"{name}: {shares}")
    for limit in limits:
        axes.axvline(limit, color="0.5", linestyle="--", linewidth=1, zorder=0)
    axes.set(xscale="log", xlabel="area in square pixels", ylabel="objects")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)


def _words(boxes: Labelled, names: Mapping[int, str]) -> list[str]:
    """What stands at each box."""
    words = [names.get(one, f"class {one}") for one in boxes.classes.tolist()]
    if boxes.scores is None:
        return words
    return [f"{word} {one:.2f}" for word, one in zip(words, boxes.scores.tolist(), strict=True)]


def _cell(images: Sequence[Tensor]) -> tuple[float, float]:
    """Width and height in inches that hold each picture, the longer one `_SIDE`."""
    if not images:
        return _SIDE, _SIDE / 2
    wide, tall = (max(one.shape[axis] / max(one.shape[1:]) for one in images) for axis in (2, 1))
    return wide * _SIDE, tall * _SIDE
