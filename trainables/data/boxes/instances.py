"""Boxes of things in pictures with masks, as MassMIND has them: of its instances, or of pieces."""

# H × W pixels, I instances, C classes.

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from trainables.core.files import written
from trainables.data.boxes.listing import Listed
from trainables.data.cache import identity
from trainables.data.folder import ENDINGS, opened
from trainables.data.places import CACHE
from trainables.data.scenes.class_masks import pairs, time_of

THINGS = {2: "bridge", 3: "obstacle", 4: "living_obstacle"}
"""The classes of masks that have instances; the others are sky, water, shore and the boat."""

Labels = NDArray[np.int64]
Boxes = list[tuple[str, tuple[float, float, float, float]]]
_NUMBERS = 16
"""Masks have fewer classes than that."""


def instances(folder: Path, root: Path) -> list[Listed]:
    """The pictures of a folder with `images`, `masks` and perhaps `instances`, with their boxes.

    Files are called as in `scenes.class_masks`; masks have the number of a class at each pixel,
    those of instances any number for each thing, in one channel or several, 0 where there is none.
    The class of an instance is the one that most of its pixels have. Without `instances`, each
    connected piece of a class is one. What was found is kept below `root` and found once.

    Raises:
        LookupError: it has no pictures. ValueError: a picture has not one mask of each kind and of
            its size, or nothing can be written.
    """
    found = {
        name: sorted(one for one in (folder / name).glob("*") if one.suffix.lower() in ENDINGS)
        for name in ("images", "masks", "instances")
    }
    if not found["images"] or not found["masks"]:
        raise LookupError(
            f"data.path must be a list of boxes, or a folder with pictures in images and masks in "
            f"masks, as MassMIND, got {str(folder)!r}"
        )
    every = [*found["images"], *found["masks"], *found["instances"]]
    kept = root / CACHE / f"instances-{identity(every, THINGS)}.json"
    if not kept.is_file():
        listed = _listed([*found["images"], *found["masks"]], found["instances"])
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with written(kept) as file:
                file.write(json.dumps(listed).encode())
        except OSError as error:
            raise ValueError(
                f"data.root must be a folder that can be written, for the boxes of {folder}, got "
                f"{str(root)!r} ({error.strerror or error})"
            ) from None
    return [
        Listed(file, width, height, "", tuple((label, tuple(box)) for label, box in boxes))
        for file, width, height, boxes in json.loads(kept.read_text())
    ]


def _listed(files: Sequence[Path], numbered: Sequence[Path]) -> list[tuple[str, int, int, Boxes]]:
    """File, width, height and boxes of each picture."""
    of_time = {time_of(path): path for path in numbered}
    found: list[tuple[str, int, int, Boxes]] = []
    for pair in pairs(files):
        classes, numbers = _numbers(pair.mask), None
        if numbered:
            place = of_time.get(time_of(pair.picture))
            if place is None:
                raise ValueError(f"{pair.picture} must have a mask below instances, as others have")
            numbers = _numbers(place)
        sizes = {"picture": _size(pair.picture)}
        sizes |= {} if numbers is None else {"mask of instances": numbers.shape}
        for kind, size in sizes.items():
            if size != classes.shape:
                raise ValueError(
                    f"{pair.mask} must be as large as its {kind}, {size}, got {classes.shape}"
                )
        file = f"{pair.picture.parent.name}/{pair.picture.name}"
        height, width = classes.shape
        found.append((file, width, height, boxes_of(classes, numbers)))
    return found


def boxes_of(classes: Labels, numbers: Labels | None = None) -> Boxes:
    """The name of the class and the corners in 0…1 of each thing, by its class and number.

    Args:
        classes: [H, W], numbers of classes.
        numbers: [H, W], of instances, 0: none; without, pieces of a class that hang together, at
            corners too, are instances.
    """
    if numbers is None:
        numbers = _pieces(classes)
    ids, places = np.unique(numbers, return_inverse=True)
    places = places.reshape(classes.shape)
    flat = places.ravel() * _NUMBERS + classes.clip(0, _NUMBERS - 1).ravel()
    votes = np.bincount(flat, minlength=len(ids) * _NUMBERS).reshape(-1, _NUMBERS)
    height, width = classes.shape
    found: list[tuple[int, str, tuple[float, float, float, float]]] = []
    for place, area in enumerate(ndimage.find_objects(places + 1)):
        kind = int(votes[place].argmax())
        if ids[place] and kind in THINGS and area is not None:
            down, across = area
            box = (across.start / width, down.start / height)
            found.append((kind, THINGS[kind], (*box, across.stop / width, down.stop / height)))
    return [(name, box) for _, name, box in sorted(found)]


def _pieces(classes: Labels) -> Labels:
    """Numbers from 1 of connected pieces of things, 0 elsewhere, [H, W]."""
    found = np.zeros(classes.shape, np.int64)
    for kind in THINGS:
        pieces: Any = ndimage.label(classes == kind, structure=np.ones((3, 3)))
        found += np.where(pieces[0] > 0, pieces[0] + found.max(), 0)
    return found


def _numbers(path: Path) -> Labels:
    """A mask [H, W]; several channels are one number, the first the lowest byte."""
    with opened(path) as found:
        pixels = np.asarray(found).astype(np.int64)
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., :3]  # a fourth says what is transparent
    return colours @ (256 ** np.arange(colours.shape[-1]))


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as found:
        return found.height, found.width
