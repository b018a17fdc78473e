"""Some pictures of a set with their boxes, and how many boxes there are of each class and size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from trainables.data.detection.catalog import DetectionSet
from trainables.data.detection.pictures import decoded
from trainables.data.detection.statistics import Statistics, statistics
from trainables.data.detection.store import BoxSet, Split, open_set
from trainables.data.root import ROOT
from trainables.figures.data_sets import Sample, of_split
from trainables.figures.palette import color
from trainables.figures.pictures import Page, save, table

SIDE = 256
"""Pixels of a picture's longer side on the page."""
_CROWD = "#a0a0a0"


def show_boxes(
    data_set: DetectionSet,
    root: Path | None,
    *,
    split: str,
    count: int,
    store: str | None,
    into: Path,
) -> Sample:
    """Of a split: `count` pictures, each without and with its boxes, and numbers of all splits.

    `store` is the name of a folder, where there are several sizes.

    Raises:
        LookupError: it is not there. ValueError: no such split, or it is empty.
    """
    opened = _opened(data_set, root or ROOT, store)
    chosen: Split = of_split(opened.splits, split)
    if not len(chosen):
        full = ", ".join(name for name, one in opened.splits.items() if len(one))
        raise ValueError(f"--split must be one with pictures ({full}), got {split!r}")
    some = np.linspace(0, len(chosen) - 1, min(count, len(chosen))).astype(np.int64).tolist()
    rows: list[list[Tensor | None]] = [list(_cells(chosen, example)) for example in some]
    notes = [_note(opened, chosen, example) for example in some]
    title = f"{opened.folder.name}, {split}"
    save(table(rows, Page(title, heads=("picture", "boxes"), notes=notes)), into)
    found = {name: statistics(one) for name, one in opened.splits.items()}
    return Sample(into, _facts(opened, found, split), _classes(opened, found))


def boxed(image: Tensor, split: Split, example: int, scale: float) -> Tensor:
    """A picture, uint8 [h, w, 3], with the boxes of an example drawn `scale` times as large.

    Boxes have the colour of their class; those of crowds are thin and grey.
    """
    sheet = Image.fromarray(image.numpy())
    draw = ImageDraw.Draw(sheet)
    here, columns = split.annotated(example), split.columns
    for (left, top, width, height), is_crowd in zip(
        columns.boxes[here].tolist(), columns.crowd[here].tolist(), strict=True
    ):
        if is_crowd and min(width, height) > 0:
            box = (left, top, left + width, top + height)
            draw.rectangle(_corners(box, scale), outline=_CROWD)
    targets = split.targets(example)
    for box, category in zip(targets.boxes.tolist(), targets.classes.tolist(), strict=True):
        draw.rectangle(_corners(box, scale), outline=color(max(1, category)), width=2)
    return torch.from_numpy(np.array(sheet))


def _corners(box: Sequence[float], scale: float) -> tuple[int, int, int, int]:
    """The first and the last column and row of a box, as Pillow wants them."""
    left, top, right, bottom = (round(scale * side) for side in box)
    return left, top, max(left, right - 1), max(top, bottom - 1)


def _opened(data_set: DetectionSet, root: Path, store: str | None) -> BoxSet:
    sizes = {data_set.folder(root, image_size=size).name: size for size in data_set.sizes(root)}
    if not sizes or data_set.missing(root) is not None:
        raise LookupError(data_set.missing(root) or f"data set {data_set.name} is not there")
    usual = data_set.folder(root).name
    name = store or (usual if usual in sizes or len(sizes) > 1 else next(iter(sizes)))
    if name not in sizes:
        raise LookupError(f"--store must be one of {', '.join(sizes)}, got {name!r}")
    return open_set(data_set, root, image_size=sizes[name])


def _cells(split: Split, example: int) -> tuple[Tensor, Tensor]:
    """A picture and the same with its boxes, each on a white square."""
    size = split.size(example)
    scale = SIDE / max(size)
    height, width = (max(1, round(scale * side)) for side in size)
    pixels = Image.fromarray(decoded(split.path(example), size).permute(1, 2, 0).numpy())
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
    shown = torch.from_numpy(np.array(pixels.resize((width, height), method)))
    return _on_white(shown), _on_white(boxed(shown, split, example, scale))


def _on_white(image: Tensor) -> Tensor:
    page = torch.full((SIDE, SIDE, 3), 255, dtype=torch.uint8)
    page[: image.shape[0], : image.shape[1]] = image
    return page


def _note(opened: BoxSet, split: Split, example: int) -> str:
    counts = Counter(opened.categories[one] for one in split.targets(example).classes.tolist())
    crowds = int(split.columns.crowd[split.annotated(example)].sum())
    parts = [f"{number} {name}" for name, number in counts.most_common()]
    parts += [f"{crowds} crowd{'s' if crowds > 1 else ''}"] if crowds else []
    return f"picture {split.image_ids[example]}: {', '.join(parts) or 'nothing'}"


def _facts(opened: BoxSet, found: dict[str, Statistics], split: str) -> dict[str, str]:
    chosen = found[split]
    total = sum(chosen.boxes.values())
    names = ("small", "medium", "large")
    shares = zip(names, chosen.sizes, strict=True)
    return {
        "store": str(opened.folder),
        "pictures": ", ".join(f"{one.pictures:,} {name}" for name, one in found.items()),
        "boxes": ", ".join(f"{sum(one.boxes.values()):,} {name}" for name, one in found.items()),
        "each": f"{total / chosen.pictures:.2f}, at most {len(chosen.per_picture) - 1}; "
        f"{chosen.per_picture[0] / chosen.pictures:.1%} of {split} have none",
        "sizes": f"{', '.join(f'{name} {share:.1%}' for name, share in shares)} of {split}",
        "crowds": str(chosen.crowds),
        "classes": f"numbers 0 … {opened.num_classes - 1}, {len(opened.categories)} of them used",
        "fingerprint": opened.fingerprint,
    }


def _classes(opened: BoxSet, found: dict[str, Statistics]) -> list[dict[str, Any]]:
    """A row for each class: how many boxes of it each split has."""
    return [
        {
            "class": name,
            "number": number,
            **{split: one.boxes.get(number, 0) for split, one in found.items()},
        }
        for number, name in opened.categories.items()
    ]
