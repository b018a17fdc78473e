"""Tables of small pictures with headings, without a drawing library: a page in milliseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from trainables.core.files import appearing

INK, GREY, EDGE = "#1a1a1a", "#666666", "#cccccc"
_GAP = 6
_MARGIN = 12
_TITLE = 26
_HEAD = 26
_NOTE = 18
_BAR = 5
_LEAST = 60
"""Pixels that a heading may have, however narrow its column is."""


@dataclass(frozen=True)
class Page:
    """What stands around the pictures of a table.

    `heads` above the columns, each over a bar of its colour in `bars` (None: no bar), after what
    they say in a `corner`; `sides` at the left of the rows; `notes` below them.
    """

    title: str = ""
    heads: Sequence[str] = ()
    bars: Sequence[str | None] = ()
    corner: str = ""
    sides: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=tuple[str, ...])


def table(rows: Sequence[Sequence[Tensor | None]], page: Page) -> Image.Image:
    """Pictures [h, w, 3], uint8, all of one size, in rows; None leaves a place empty."""
    first = next(one for row in rows for one in row if one is not None)
    height, width = first.shape[:2]
    sides = [_width(one, 13) + 10 for one in (*page.sides, page.corner) if one]
    left = _MARGIN + max(sides, default=0)
    top = _MARGIN + (_TITLE if page.title else 0) + (_HEAD if page.heads else 0)
    down, across = height + _GAP + (_NOTE if page.notes else 0), width + _GAP
    ends = [left + max(map(len, rows)) * across - _GAP, _MARGIN + _width(page.title, 16)]
    ends += [left + _width(note, 12) for note in page.notes]
    sheet = Image.new(
        "RGB", (max(ends) + _MARGIN, top + len(rows) * down - _GAP + _MARGIN), "white"
    )
    _write(ImageDraw.Draw(sheet), page, (top, left), (height, width), (down, across))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            if picture is not None:
                place = (left + x * across, top + y * down)
                sheet.paste(Image.fromarray(picture.contiguous().numpy()), place)
                ends_at = (place[0] + width, place[1] + height)
                ImageDraw.Draw(sheet).rectangle(
                    (place[0] - 1, place[1] - 1, *ends_at), outline=EDGE
                )
    return sheet


def _write(
    draw: ImageDraw.ImageDraw,
    page: Page,
    start: tuple[int, int],
    cell: tuple[int, int],
    step: tuple[int, int],
) -> None:
    """The words and bars around the pictures; all pairs are of rows and columns of pixels."""
    (top, left), (height, width), (down, across) = start, cell, step
    draw.text((_MARGIN, _MARGIN - 2), page.title, INK, _font(16))
    foot = top - _BAR - 5
    draw.text((left - 10, foot), page.corner, GREY, _font(13), anchor="rs")
    for number, head in enumerate(page.heads):
        place = left + number * across
        head, size = fitting(head, max(across, _LEAST)) if len(page.heads) > 1 else (head, 13)
        draw.text((place + width // 2, foot), head, INK, _font(size), anchor="ms")
    for number, bar in enumerate(page.bars):
        place = left + number * across
        if bar is not None:
            draw.rectangle((place - 1, top - _BAR - 2, place + width, top - 3), bar)
    for number, side in enumerate(page.sides):
        middle = top + number * down + height // 2
        draw.text((left - 10, middle), side, INK, _font(13), anchor="rm")
    for number, note in enumerate(page.notes):
        draw.text((left, top + number * down + height + 3), note, GREY, _font(12))


def save(
    image: Image.Image, path: Path, frames: Sequence[Image.Image] = (), rate: float = 4
) -> None:
    """Writes a PNG, with further frames an animated one, `rate` a second: whole or not at all."""
    several = {"save_all": True, "append_images": frames, "duration": 1000 / rate, "loop": 0}
    options: dict[str, Any] = several if frames else {"compress_level": 3}
    with appearing(path) as partial:
        image.save(partial, "PNG", **options)


def cell_size(height: int, width: int, side: int) -> tuple[int, int]:
    """The size at which a picture is shown: about `side` pixels high, enlarged by whole numbers."""
    if height <= side:
        times = max(1, round(side / height))
        return times * height, times * width
    return side, round(side * width / height)


def shown(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Float images [..., C, h, w] of 0…1 as uint8 [..., H, W, 3]; grey ones become three channels.

    Small ones keep their square pixels, large ones are averaged; what lies outside 0…1 is cut off.
    """
    image = image.detach().float().cpu()
    lead = image.shape[:-3]
    flat = image.reshape(-1, *image.shape[-3:])
    if size[0] >= flat.shape[2]:
        flat = functional.interpolate(flat, size, mode="nearest-exact")
    else:
        flat = functional.interpolate(flat, size, mode="bilinear", antialias=True)
    flat = (flat.nan_to_num(0.0).clamp(0, 1) * 255).round().to(torch.uint8).movedim(1, -1)
    return flat.expand(*flat.shape[:-1], 3).reshape(*lead, *size, 3)


def fitting(text: str, width: int) -> tuple[str, int]:
    """A heading for a column so many pixels wide, and the size of its letters.

    Of long ones letters are smaller, and of those that are still too long the middle is left out.
    """
    for size in (13, 11, 10):
        if _width(text, size) <= width:
            return text, size
    kept = len(text) - 1
    while kept > 2 and _width(_shortened(text, kept), 10) > width:
        kept -= 1
    return _shortened(text, kept), 10


def _shortened(text: str, kept: int) -> str:
    """So many letters of a text, from its start and its end."""
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own typeface."""
    return ImageFont.load_default(size)


def _width(text: str, size: int) -> int:
    """How many pixels wide a line of text is."""
    return math.ceil(_font(size).getlength(text))
