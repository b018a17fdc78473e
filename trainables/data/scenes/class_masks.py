"""Pictures with a mask of classes each, one file for either, as MassMIND has them.

N pictures, H × W their size, C classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.data.files import checksum
from trainables.data.scenes.formats import Fields, Piece
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.sources import Advance, in_a_row, shares

_TOGETHER = 32
_TIME = re.compile(r"(\d+)_(\d+)")


class Pair(NamedTuple):
    """A picture and its mask; seconds and microseconds since 1970 in the picture's name."""

    seconds: int
    microseconds: int
    picture: Path
    mask: Path


class ClassMaskScenes:
    """Pictures in the order of their times: 70 % for training, then validation, then the test.

    So frames that follow one another are in one split, but for two cuts. `told` are other sizes, or
    empty. A picture is called `<seconds>_<microseconds>`, its mask the same, or that and a `_` with
    anything behind it; both are of the same size. What is in masks beyond the C classes belongs to
    none.

    Pictures have one channel, or three. The fields are `seconds`, and `visibility` [N, C]: which
    classes are to be seen; `counts` are those but the first.
    """

    num_background = 1

    def __init__(
        self,
        files: Sequence[Path],
        frame: Frame,
        told: Mapping[str, int],
        advance: Advance,
        *,
        classes: int,
    ) -> None:
        self._frame, self._classes, self._advance = frame, classes, advance
        found = pairs(files)
        self._sizes = dict(told) or shares(len(found))
        wanted = sum(self._sizes.values())
        if wanted > len(found):
            raise ValueError(
                f"train, val and test must be at most the {len(found)} pictures together, "
                f"got {wanted}"
            )
        self._pairs = found[:wanted]
        self.units = self.scenes = wanted

    def pieces(self, skip: int) -> Iterator[Piece]:
        """As `Source`."""
        self._advance(skip)
        for start in range(skip, len(self._pairs), _TOGETHER):
            some = self._pairs[start : start + _TOGETHER]
            yield self._piece(some)
            self._advance(len(some))

    def splits(self, count: int) -> Mapping[str, tuple[int, int]]:
        """As `Source`."""
        return in_a_row(self._sizes)

    def checksums(self) -> Mapping[str, str]:
        """As `Source`."""
        paths = [path for pair in self._pairs for path in (pair.picture, pair.mask)]
        return {f"{path.parent.name}/{path.name}": checksum(path) for path in paths}

    def _piece(self, some: Sequence[Pair]) -> Piece:
        images, labels = zip(*(_read(pair) for pair in some), strict=True)
        if len({one.shape for one in images}) > 1:
            shown = ", ".join(sorted({str(one.shape) for one in images}))
            raise ValueError(
                f"{some[0].picture.parent} must have pictures of one size, got {shown}"
            )
        maps = self._frame.nearest(np.stack(labels))
        seen = np.stack([(maps == one).any((1, 2)) for one in range(self._classes)], 1)
        fields: Fields = {
            "seconds": np.array([pair.seconds for pair in some], np.int64),
            "visibility": seen,
            "counts": seen[:, 1:].sum(1, dtype=np.uint8),
        }
        return Piece(self._frame.pictures(np.stack(images)), maps, fields)


def pairs(files: Sequence[Path]) -> list[Pair]:
    """Pictures with their masks, by their times, of files below `images` and `masks`.

    Raises:
        ValueError: a picture has no time in its name, or not one mask; or a mask has no picture.
    """
    masks: dict[tuple[str, str], Path] = {}
    for path in files:
        if path.parent.name == "masks":
            key = time_of(path)
            if key in masks:
                raise ValueError(
                    f"{path} must be the only mask of its picture, and {masks[key]} is"
                )
            masks[key] = path
    found: list[Pair] = []
    for path in files:
        if path.parent.name != "masks":
            key = time_of(path)
            if key not in masks:
                raise ValueError(f"{path} must have a mask, {path.stem}_….png below masks")
            found.append(Pair(int(key[0]), int(key[1]), path, masks.pop(key)))
    if masks:
        raise ValueError(f"{next(iter(masks.values()))} must have a picture below images")
    return sorted(found)


def time_of(path: Path) -> tuple[str, str]:
    """The two numbers that a name begins with. Raises ValueError if it does not."""
    found = _TIME.match(path.stem)
    if found is None or path.stem[found.end() :][:1] not in ("", "_"):
        raise ValueError(f"{path} must be called <seconds>_<microseconds>, and for a mask _…")
    return found[1], found[2]


def _read(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture [H, W, C] and its mask [H, W]."""
    picture, mask = _opened(pair.picture, "L", "RGB"), _opened(pair.mask, "L", "P")
    if picture.shape[:2] != mask.shape:
        raise ValueError(
            f"{pair.mask} must be as large as its picture, {picture.shape[:2]}, got {mask.shape}"
        )
    return (picture[..., None] if picture.ndim == 2 else picture), mask


def _opened(path: Path, *modes: str) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as opened:
            if opened.mode not in modes:
                raise ValueError(f"its mode must be {' or '.join(modes)}, got {opened.mode}")
            return np.asarray(opened)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from None
