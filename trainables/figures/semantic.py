"""Pictures of classes of pixels: images beside what is there and what was found."""

# R images, H × W pixels.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from trainables.figures.palette import color, paint
from trainables.figures.pictures import INK, Page, cell_size, save, shown, table
from trainables.metrics.label_maps import resized

_SWATCH, _LINE, _MARGIN, _TEXT = 14, 20, 12, 12
NO_CLASS = "none"
"""What the legend calls pixels that belong to no class: they are white."""


def class_table(
    path: Path,
    *,
    images: Tensor,
    maps: Mapping[str, Tensor],
    classes: Sequence[str],
    notes: Sequence[str] = (),
    title: str = "",
) -> None:
    """A row for each image: the image | each of the maps; below it which colour is which class.

    `images` [R, 3, H, W] in 0…1, `maps` [R, h, w] by their heads, of any size, with indices of
    `classes`; what lies outside of these is white. A note stands below each image.
    """
    size = cell_size(images.shape[2], images.shape[3], 144)
    columns = {"image": shown(images, size)}
    for name, one in maps.items():
        columns[name] = _painted(resized(one.cpu(), size), len(classes))
    rows = list(zip(*columns.values(), strict=True))
    sheet = table(rows, Page(title, heads=list(columns), notes=notes))
    save(_with_legend(sheet, classes), path)


def _painted(labels: Tensor, classes: int) -> Tensor:
    """Colours of labels [R, H, W], uint8 [R, H, W, 3]."""
    labels = labels.long()
    is_known = (labels >= 0) & (labels < classes)
    return torch.where(is_known[..., None], paint(labels.where(is_known, 0)), 255)


def _with_legend(sheet: Image.Image, classes: Sequence[str]) -> Image.Image:
    """The sheet with names and colours of classes below it, in as many lines as they take."""
    font = ImageFont.load_default(_TEXT)
    places: list[tuple[int, int]] = []
    left, top = _MARGIN, sheet.height
    for name in (*classes, NO_CLASS):
        wide = _SWATCH + 6 + round(font.getlength(name)) + 14
        if left + wide > sheet.width and left > _MARGIN:
            left, top = _MARGIN, top + _LINE
        places.append((left, top))
        left += wide
    whole = Image.new("RGB", (sheet.width, top + _LINE + _MARGIN), "white")
    whole.paste(sheet)
    draw = ImageDraw.Draw(whole)
    colors = [*map(color, range(len(classes))), "#ffffff"]
    for (x, y), name, fill in zip(places, (*classes, NO_CLASS), colors, strict=True):
        draw.rectangle((x, y, x + _SWATCH, y + _SWATCH), fill, outline="#999999")
        draw.text((x + _SWATCH + 6, y + _SWATCH // 2), name, INK, font, anchor="lm")
    return whole
