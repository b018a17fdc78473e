"""A microscope's picture of cell nuclei (Caicedo et al. 2019) in tiles, those of a split together.

S pixels of a tile's side, E entities of the tile with the most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from trainables.data.files import checksum
from trainables.data.scenes.formats import Fields, Piece
from trainables.data.scenes.sources import Advance, in_a_row, joined

_TRAIN_SHARE = 5 / 8  # of the rows of tiles; the rest is for validation and test, side by side
_WHITE, _MANY = 255, 255


class Area(NamedTuple):
    """A part of a picture, in pixels; `end` is behind it."""

    top: int
    left: int
    bottom: int
    right: int


class NucleiTiles:
    """Square tiles of a picture and of the numbers of its nuclei, as scenes.

    No pixel is in two splits: the upper five eighths of the picture, in whole tiles, are for
    training, of the rest the left half for validation and the right half for the test. Training
    tiles lie half a tile apart, so that most pixels are in four of them; others side by side. What
    a tile has of a nucleus is an object, however little that is.

    A picture has one channel. The fields are `row` and `column`, where the tile begins in the
    picture; [N, E] `nucleus`, which of the picture's an object is (0 for the background and for
    none), `area` in pixels, and `visibility`. `told` are other sizes, the first tiles of each
    split, or empty.
    """

    num_background = 1

    def __init__(
        self, files: Sequence[Path], size: int, told: Mapping[str, int], advance: Advance
    ) -> None:
        self._files, self._size, self._advance = files, size, advance
        self._image, self._numbers = _opened(*files)
        places = {
            split: corners(area, size, size // 2 if split == "train" else size)
            for split, area in areas(self._image.shape, size).items()
        }
        for split, number in told.items():
            if number > len(places[split]):
                raise ValueError(
                    f"{split} must be at most the {len(places[split])} tiles of its part of the "
                    f"picture, got {number}"
                )
            places[split] = places[split][:number]
        self._sizes = {split: len(those) for split, those in places.items()}
        self._places = np.concatenate([*places.values()])
        self.units = self.scenes = len(self._places)

    def pieces(self, skip: int) -> Iterator[Piece]:
        """As `Source`."""
        self._advance(skip)
        there = [self._nuclei(place) for place in self._places]
        most = max(map(len, there))
        tiles = [
            self._piece(place, found, most)
            for place, found in zip(self._places, there, strict=True)
        ]
        if skip < len(tiles):
            yield joined(tiles[skip:])
        self._advance(len(tiles) - skip)

    def splits(self, count: int) -> Mapping[str, tuple[int, int]]:
        """As `Source`."""
        return in_a_row(self._sizes)

    def checksums(self) -> Mapping[str, str]:
        """As `Source`."""
        return {path.name: checksum(path) for path in self._files}

    def _at(self, place: NDArray[Any]) -> tuple[slice, slice]:
        row, column = place.tolist()
        return slice(row, row + self._size), slice(column, column + self._size)

    def _nuclei(self, place: NDArray[Any]) -> NDArray[Any]:
        """The numbers in the picture of those that a tile has, ascending."""
        numbers = self._numbers[self._at(place)]
        found = np.unique(numbers[numbers > 0])
        if len(found) > _MANY:
            raise ValueError(
                f"image_size must leave at most {_MANY} nuclei in a tile, got {len(found)}"
            )
        return found

    def _piece(self, place: NDArray[Any], found: NDArray[Any], most: int) -> Piece:
        here = self._at(place)
        # One more than how many nuclei have lower numbers; the background's 0 is below them all.
        labels = np.searchsorted(found, self._numbers[here], side="right").astype(np.uint8)
        nucleus = np.zeros(1 + most, np.int32)
        nucleus[1 : 1 + len(found)] = found
        area = np.bincount(labels.ravel(), minlength=1 + most).astype(np.int32)
        fields: Fields = {
            "row": place[0].astype(np.int32),
            "column": place[1].astype(np.int32),
            "nucleus": nucleus,
            "area": area,
            "visibility": area > 0,
            "counts": np.array(len(found), np.uint8),
        }
        whole = {name: np.asarray(value)[None] for name, value in fields.items()}
        return Piece(self._image[here][None, ..., None], labels[None], whole)


def areas(shape: tuple[int, ...], size: int) -> dict[str, Area]:
    """The part of a picture [H, W] from which the tiles of each split are.

    Raises:
        ValueError: there are fewer than two tiles in its height or width.
    """
    rows, columns = shape[0] // size, shape[1] // size
    if min(rows, columns) < 2:
        raise ValueError(f"image_size must be at most {min(shape) // 2} for nuclei, got {size}")
    cut = max(1, int(rows * _TRAIN_SHARE)) * size
    middle, bottom, right = columns // 2 * size, rows * size, columns * size
    return {
        "train": Area(0, 0, cut, right),
        "val": Area(cut, 0, bottom, middle),
        "test": Area(cut, middle, bottom, right),
    }


def corners(area: Area, size: int, step: int) -> NDArray[np.int64]:
    """Row and column [N, 2] of the tiles within a part, a step apart."""
    rows = range(area.top, area.bottom - size + 1, step)
    columns = range(area.left, area.right - size + 1, step)
    return np.array([(row, column) for row in rows for column in columns])


def _opened(image: Path, numbers: Path) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Pixels [H, W] and the number of the nucleus at each, from 1; 0 is background."""
    pixels, labels = (_grey(path) for path in (image, numbers))
    if pixels.shape != labels.shape:
        raise ValueError(
            f"{numbers} must be as large as {image.name}, {pixels.shape}, got {labels.shape}"
        )
    if pixels.max() > _WHITE:
        raise ValueError(f"{image} must have values 0…{_WHITE}, got {pixels.max()}")
    return pixels.astype(np.uint8), labels


def _grey(path: Path) -> NDArray[Any]:
    try:
        found = np.asarray(Image.open(path))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from None
    if found.ndim != 2 or found.dtype.kind not in "iu" or found.min() < 0:
        raise ValueError(f"{path} must have one channel of whole numbers, got {found.dtype}")
    return found
