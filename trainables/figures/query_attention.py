"""Where queries of a detector look: by layer, by model, by head, over the picture.

A picture is float [3, H, W] of 0…1, as the network sees it but without padding; boxes are centre,
width and height in 0…1 of it. Maps are those of the whole grid: a weight covers a square of `cell`
pixels, and what lies beyond the picture is cut off. Each map is drawn by its own largest weight.
The predicted box of a query is red, true boxes are green.
"""

# Q queries, N true boxes, L layers, n heads, h × w cells of the grid.

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainables.figures.boxes import Labelled
from trainables.figures.canvas import canvas
from trainables.figures.outlines import PREDICTED, TRUE, TRUE_LINE, PictureAxes
from trainables.figures.panels import say
from trainables.losses.boxes import iou, pairwise, to_corners

_SIDE = 2.1
"""Inches of the longer side of a picture."""


class Queries(NamedTuple):
    """What the queries of a layer, or of a model, look at and find in one picture."""

    maps: Tensor
    """[Q, h, w], at least 0, such as the mean over heads."""
    boxes: Tensor
    """[Q, 4], centre, width and height in 0…1."""
    classes: Tensor
    """[Q], int64."""
    scores: Tensor
    """[Q] in 0…1."""


class Look(NamedTuple):
    """A cell of a table: a map [h, w] with a box [4], and words above it."""

    map: Tensor
    box: Tensor
    words: str


def query_layers(
    path: Path,
    *,
    image: Tensor,
    layers: Mapping[str, Queries],
    cell: float,
    true: Labelled | None = None,
    names: Mapping[int, str] | None = None,
    score_above: float = 0.9,
    most: int = 6,
    title: str = "",
) -> None:
    """A row for each layer, a column for each query that is sure in the last one; best first.

    At the left the picture with all boxes of these queries. One layer alone is one row.

    Args:
        path: of the PNG.
        image: [3, H, W].
        layers: by name, in their order.
        cell: pixels that a weight covers in each direction, the stride of the backbone.
        true: the objects.
        names: of classes; those without one have their number.
        score_above: of the last layer, in 0…1.
        most: how many queries.
        title: of the page.
    """
    last = list(layers.values())[-1] if layers else None
    chosen = [] if last is None else sure_queries(last, score_above, most)
    rows = {
        name: [_look(one, query, names or {}) for query in chosen] for name, one in layers.items()
    }
    heads = [f"query {query}" for query in chosen]
    nothing = f"no query with a score above {score_above:g}"
    _table(path, _Page(image, cell, true, title, heads, nothing), rows)


def query_models(
    path: Path,
    *,
    image: Tensor,
    models: Mapping[str, Queries],
    cell: float | Mapping[str, float],
    true: Labelled,
    names: Mapping[int, str] | None = None,
    score_above: float = 0.5,
    most: int = 6,
    title: str = "",
) -> None:
    """A row for each model, a column for each true object: where the query looks that finds it.

    It is the one whose box fits best, of those with the right class and a score above the
    threshold; where none of these meets the object, "not found". Arguments as of `query_layers`;
    the first `most` objects are shown, and `cell` may differ by model.
    """
    count = min(most, len(true.boxes))
    known = names or {}
    rows: dict[str, list[Look | None]] = {}
    for name, one in models.items():
        queries = finding_queries(one, true, score_above)[:count]
        rows[name] = [None if query < 0 else _look(one, query, known) for query in queries]
    heads = [known.get(one, f"class {one}") for one in true.classes[:count].tolist()]
    _table(path, _Page(image, cell, true, title, heads, "no objects"), rows)


def query_heads(
    path: Path,
    *,
    image: Tensor,
    maps: Tensor,
    boxes: Tensor,
    cell: float,
    true: Labelled | None = None,
    layers: Sequence[str] = (),
    title: str = "",
) -> None:
    """One query: a row for each layer, the mean of its heads and each head.

    Args:
        path: of the PNG.
        image: [3, H, W].
        maps: [L, n, h, w].
        boxes: of the query after each layer, [L, 4].
        cell: pixels that a weight covers in each direction, the stride of the backbone.
        true: the objects.
        layers: what stands at the left of rows; else their numbers.
        title: of the page.
    """
    sides = list(layers) or [f"layer {number}" for number in range(len(maps))]
    rows = {
        side: [Look(one, box, "") for one in (heads.mean(0), *heads)]
        for side, heads, box in zip(sides, maps.detach().float(), boxes, strict=True)
    }
    heads = ["mean of heads", *(f"head {number}" for number in range(maps.shape[1]))]
    _table(path, _Page(image, cell, true, title, heads, ""), rows)


def sure_queries(queries: Queries, score_above: float, most: int) -> list[int]:
    """The numbers of at most `most` queries with larger scores than a threshold, best first."""
    order = queries.scores.argsort(descending=True, stable=True)
    return order[queries.scores[order] > score_above][:most].tolist()


def finding_queries(queries: Queries, true: Labelled, score_above: float) -> list[int]:
    """For each object the query that finds it, or −1.

    Of those of its class with a score above the threshold the one with the largest IoU, above 0.
    """
    if not len(true.boxes) or not len(queries.boxes):
        return [-1] * len(true.boxes)
    corners = (to_corners(one.detach().cpu().float()) for one in (true.boxes, queries.boxes))
    is_asked = true.classes.cpu()[:, None] == queries.classes.cpu()
    overlaps = iou(*pairwise(*corners)).nan_to_num(0.0)
    overlaps = overlaps.where(is_asked & (queries.scores.cpu() > score_above), 0.0)
    best, query = overlaps.max(1)
    return query.where(best > 0, -1).tolist()


def seen_share(weights: Tensor, picture: tuple[int, int], cell: float) -> float:
    """The share of a map [h, w] in cells that begin in a picture of that height and width.

    The rest lies beyond it. NaN for a map of zeros.
    """
    height, width = (math.ceil(side / cell) for side in picture)
    weights = weights.detach().double()
    return (weights[:height, :width].sum() / weights.sum()).item()


def draw_look(picture: PictureAxes, look: Look, cell: float, true: Labelled | None) -> None:
    """A map with the box of its query and true ones; above it what share lies beyond the picture.

    A share below one in two hundred is not mentioned.
    """
    picture.attention(look.map, cell)
    if true is not None:
        picture.outline(true.boxes, TRUE, TRUE_LINE)
    picture.outline(look.box[None], PREDICTED)
    words = [look.words] if look.words else []
    seen = seen_share(look.map, (picture.height, picture.width), cell)
    if math.isnan(seen):
        words.append("looks nowhere")
    elif seen < 0.995:
        words.append(f"{1 - seen:.0%} beyond")
    picture.axes.set_title(", ".join(words), fontsize=8, pad=3)


class _Page(NamedTuple):
    image: Tensor
    cell: float | Mapping[str, float]
    true: Labelled | None
    title: str
    heads: Sequence[str]
    nothing: str
    """What the picture says if there is no column."""


def _table(path: Path, page: _Page, rows: Mapping[str, Sequence[Look | None]]) -> None:
    """The picture, and beside it rows of looks, all of one length; None leaves a place empty."""
    if not rows:
        page = page._replace(heads=(), nothing="nothing to show")
    height, width = page.image.shape[1:]
    side, columns = _SIDE / max(height, width), 1 + len(page.heads)
    across = max(3.2, columns * (width * side + 0.05) + 0.5)
    down = max(1, len(rows)) * (height * side + 0.25) + 0.25 + (0.3 if page.title else 0)
    with canvas(path, across, down) as figure:
        figure.suptitle(page.title, fontsize=11)
        panels = figure.subplots(max(1, len(rows)), columns, squeeze=False)
        for name, row in zip(rows or [""], panels, strict=True):
            _draw_row(row, name, rows.get(name, ()), page)
        for axes, head in zip(panels[0, 1:], page.heads, strict=True):
            axes.set_title("\n".join(filter(None, (head, axes.get_title()))), fontsize=8, pad=3)


def _draw_row(panels: Sequence[Any], name: str, looks: Sequence[Look | None], page: _Page) -> None:
    """The picture with all boxes of the row, and its looks."""
    picture = PictureAxes(panels[0], page.image)
    picture.axes.set_ylabel(name, fontsize=9)
    if page.true is not None:
        picture.outline(page.true.boxes, TRUE, TRUE_LINE)
    picture.outline(_boxes(looks), PREDICTED)
    if not looks:
        picture.say(page.nothing)
    for axes, look in zip(panels[1:], looks, strict=True):
        if look is None:
            say(axes, "not found")
        else:
            cell = page.cell if isinstance(page.cell, int | float) else page.cell[name]
            draw_look(PictureAxes(axes, page.image, is_grey=True), look, cell, page.true)


def _boxes(looks: Sequence[Look | None]) -> Tensor:
    """Those of a row, each once, [N, 4]."""
    found = [look.box.detach().cpu() for look in looks if look is not None]
    return torch.stack(found).unique(dim=0) if found else torch.zeros(0, 4)


def _look(queries: Queries, query: int, names: Mapping[int, str]) -> Look:
    number = int(queries.classes[query])
    words = f"{names.get(number, f'class {number}')} {queries.scores[query].item():.2f}"
    return Look(queries.maps[query], queries.boxes[query], words)
