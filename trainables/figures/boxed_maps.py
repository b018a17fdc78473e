"""Maps of boxes and of whole pictures, over the pictures that the boxes are in."""

# R boxes, C channels, H × W pixels, h × w places.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from trainables.figures.palette import CURVES
from trainables.figures.pictures import Page, save, shown, table
from trainables.figures.representations import tinted
from trainables.metrics.masks import normalized_maps

_HIGH = 132
"""Of a picture in pixels, about."""
_WHOLE = (0.0, 0.0, 1.0, 1.0)
_EDGE = torch.tensor(list(bytes.fromhex(CURVES[4][1:])), dtype=torch.uint8)


class MapRow(NamedTuple):
    """Maps [R, h, w] of one kind, each shown by its own range: of what was `seen` of each box, or
    of whole pictures (None).
    """

    name: str
    maps: Tensor
    seen: Sequence[tuple[float, ...]] | None = None


def boxed_maps_sheet(
    path: Path,
    pictures: Sequence[Tensor],
    boxes: Sequence[tuple[float, ...]],
    rows: Sequence[MapRow],
    *,
    names: Sequence[str],
    title: str = "",
) -> None:
    """A column for each box: its whole picture with the box, and below it each kind of map there.

    A map of a box lies where the box is, so that both say of one place what they make of it.

    Args:
        path: of the PNG.
        pictures: [C, H, W] each, float 0…1, of any sizes.
        boxes: left, top, right, bottom in shares of their pictures.
        rows: of maps.
        names: of the columns, such as classes.
        title: of the page.
    """
    wide = round(_HIGH * median(one.shape[2] / one.shape[1] for one in pictures))
    cell = (_HIGH, max(24, min(wide, 3 * _HIGH)))
    plain = [shown(one, _fitting(one, cell)) for one in pictures]
    lines = [[_framed(_outlined(*pair), cell) for pair in zip(plain, boxes, strict=True)]]
    for row in rows:
        heats = normalized_maps(row.maps.detach().float().cpu())
        seen = row.seen or [_WHOLE] * len(plain)
        over = [
            tinted(one, placed(heat, where, (one.shape[0], one.shape[1])))
            for one, heat, where in zip(plain, heats, seen, strict=True)
        ]
        lines.append([_framed(_outlined(*pair), cell) for pair in zip(over, boxes, strict=True)])
    page = Page(title, heads=list(names), sides=["picture", *(row.name for row in rows)])
    save(table(lines, page), path)


def placed(heat: Tensor, seen: Sequence[float], size: tuple[int, int]) -> Tensor:
    """A map [h, w] where it was seen in a picture, [H, W], bilinear; 0 around it.

    `seen` is left, top, right and bottom of the map in shares of the picture; what reaches out of
    it is cut off.
    """
    left, top, right, bottom = seen
    y, x = ((torch.arange(length) + 0.5) / length for length in size)
    across, down = 2 * (x - left) / (right - left) - 1, 2 * (y - top) / (bottom - top) - 1
    grid = torch.stack(torch.meshgrid(down, across, indexing="ij")[::-1], -1)[None]
    found = functional.grid_sample(
        heat[None, None], grid, "bilinear", padding_mode="border", align_corners=False
    )[0, 0]
    return found * (grid[0].abs() <= 1).all(-1)


def _fitting(picture: Tensor, cell: tuple[int, int]) -> tuple[int, int]:
    """The largest size of a picture in a cell."""
    high, wide = picture.shape[1:]
    scale = min(cell[0] / high, cell[1] / wide)
    return max(1, round(high * scale)), max(1, round(wide * scale))


def _outlined(picture: Tensor, box: Sequence[float]) -> Tensor:
    """A picture [H, W, 3], uint8, with the edge of a box just outside of it."""
    found, (high, wide) = picture.clone(), picture.shape[:2]
    left, right = (round(one * wide) for one in (box[0], box[2]))
    top, bottom = (round(one * high) for one in (box[1], box[3]))
    ends = max(0, left - 1), max(0, top - 1), min(wide, right + 1), min(high, bottom + 1)
    for rows, columns in (
        (slice(ends[1], ends[3]), slice(ends[0], left)),
        (slice(ends[1], ends[3]), slice(right, ends[2])),
        (slice(ends[1], top), slice(ends[0], ends[2])),
        (slice(bottom, ends[3]), slice(ends[0], ends[2])),
    ):
        found[rows, columns] = _EDGE
    return found


def _framed(picture: Tensor, cell: tuple[int, int]) -> Tensor:
    """In the middle of a white cell."""
    found = torch.full((*cell, 3), 255, dtype=torch.uint8)
    y, x = ((whole - own) // 2 for whole, own in zip(cell, picture.shape[:2], strict=True))
    found[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return found
