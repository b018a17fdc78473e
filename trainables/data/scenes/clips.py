"""Clips as TensorFlow Datasets stores those of MOVi-C, D and E (Greff et al. 2022), made scenes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.data.scenes import pngs
from trainables.data.scenes.examples import Bytes, Values, parse
from trainables.data.scenes.formats import Fields, Piece
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.sources import Advance, in_a_row
from trainables.data.scenes.wire import RecordFile, named


class Instances(NamedTuple):
    """How many a clip has at most, and the field that says of which category each is, if any."""

    most: int
    category: str = ""


_INSTANCES = {
    "movi_c": Instances(10),
    "movi_d": Instances(23),
    "movi_e": Instances(23),
    "digit_grids": Instances(9, category="digit"),
}
_SPLITS = {"train": "train", "validation": "val", "test": "test"}
_VIDEO, _SEGMENTS = "video", "segmentations"
_COUNT, _PLACES = "metadata/num_instances", "instances/image_positions"
_CATEGORY = "instances/category"
_CATEGORIES = 255  # counted from 1 they fill a byte


class ClipScenes:
    """The frames of clips, those of a clip one behind the other, as scenes of the file's split.

    `told` are clips of each split, or empty; a split without files is empty. Of a record only what
    is kept is read: the frames, which instance each pixel belongs to (0: background), how many
    instances there are, and where in the picture they are. The fields are `clip`, `frame`, and
    `image_positions` [N, O, 2], column and row in 0…1, with zeros for the objects that are not
    there, O = 10 for MOVi-C, 23 for D and E; `counts` are the instances of the clip. Where a set
    has a category for each instance, there are `visibility` [N, 1 + O], whether an entity has a
    pixel in the frame, and the category [N, 1 + O] counted from 1: 0 for the background and for
    what is not there.
    """

    num_background = 1

    def __init__(
        self,
        name: str,
        files: Sequence[Path],
        frame: Frame,
        told: Mapping[str, int],
        advance: Advance,
    ) -> None:
        self._most, self._category = _INSTANCES[name]
        self._names = {_VIDEO, _SEGMENTS, _COUNT, _PLACES} | (
            {_CATEGORY} if self._category else set()
        )
        self._frame, self._told, self._advance = frame, told, advance
        self._files = {
            split: [path for path in files if path.name.startswith(f"{name}-{stored}.")]
            for stored, split in _SPLITS.items()
        }
        self._checksums: dict[str, str] = {}
        self._frames = dict.fromkeys(self._files, 0)
        self.units = sum(path.stat().st_size for path in files)
        self.scenes = None

    def pieces(self, skip: int) -> Iterator[Piece]:
        """A piece for each clip; the first one may begin within a clip."""
        done = clip = 0
        for split in self._files:
            for path, number, record in self._records(split):
                with named(path, number):
                    features = parse(record, self._names)
                    frames = len(_pictures(features, _VIDEO))
                    first = min(max(skip - done, 0), frames)
                    piece = self._clip(features, clip, first) if first < frames else None
                if piece is not None:
                    yield piece
                self._frames[split] += frames
                done += frames
                clip += 1

    def splits(self, count: int) -> Mapping[str, tuple[int, int]]:
        """As `Source`."""
        return in_a_row(self._frames)

    def checksums(self) -> Mapping[str, str]:
        """As `Source`."""
        return self._checksums

    def _records(self, split: str) -> Iterator[tuple[Path, int, Bytes]]:
        left = self._told.get(split)
        for path in self._files[split]:
            with RecordFile(path, self._advance, hashes=True) as file:
                for number, record in enumerate(file.records() if left != 0 else ()):
                    yield path, number, record
                    if left is not None:
                        left -= 1
                    if left == 0:
                        break
                self._checksums[path.name] = file.checksum()
        if left:
            raise ValueError(
                f"{split} must be at most the clips of its files, "
                f"{self._told[split] - left}, got {self._told[split]}"
            )

    def _clip(self, features: Mapping[str, Values], clip: int, first: int) -> Piece:
        video, segments = _pictures(features, _VIDEO), _pictures(features, _SEGMENTS)
        frames = len(video)
        if len(segments) != frames:
            raise ValueError(f"has {frames} pictures and {len(segments)} segmentations")
        count = self._count(features)
        labels = pngs.stacked(pngs.numbers, segments[first:])
        if labels.max() > count:
            raise ValueError(f"must have labels 0…{count}, got {labels.max()}")
        images = pngs.stacked(pngs.colour, video[first:])
        if images.shape[:3] != labels.shape:
            raise ValueError(f"has pictures {images.shape[1:3]} and labels {labels.shape[1:]}")
        fields: Fields = {
            "counts": np.full(frames, count, np.uint8),
            "clip": np.full(frames, clip, np.int32),
            "frame": np.arange(frames, dtype=np.uint8),
            "image_positions": self._places(features, count, frames),
        }
        if self._category:
            fields["visibility"] = _seen(labels, 1 + self._most)
            fields[self._category] = self._categories(features, count, frames)
        return Piece(
            self._frame.pictures(images),
            self._frame.nearest(labels),
            {name: values[first:] for name, values in fields.items()},
        )

    def _count(self, features: Mapping[str, Values]) -> int:
        stored = features.get(_COUNT, [])
        if len(stored) != 1 or isinstance(stored, list) or stored.dtype != np.int64:
            raise ValueError(f"must have one whole number {_COUNT!r}")
        if not 0 <= stored[0] <= self._most:
            raise ValueError(f"must have 0…{self._most} instances, got {stored[0]}")
        return int(stored[0])

    def _categories(
        self, features: Mapping[str, Values], count: int, frames: int
    ) -> NDArray[np.uint8]:
        stored = features.get(_CATEGORY, [])
        if len(stored) != count or isinstance(stored, list) or stored.dtype != np.int64:
            raise ValueError(
                f"has a feature {_CATEGORY!r} that must be of {count} whole numbers, got "
                f"{len(stored)} values"
            )
        if count and not 0 <= stored.min() <= stored.max() < _CATEGORIES:
            raise ValueError(
                f"must have categories 0…{_CATEGORIES - 1}, got {stored.min()} … {stored.max()}"
            )
        found = np.zeros((frames, 1 + self._most), np.uint8)
        found[:, 1 : 1 + count] = 1 + stored
        return found

    def _places(
        self, features: Mapping[str, Values], count: int, frames: int
    ) -> NDArray[np.float32]:
        found = np.zeros((frames, self._most, 2), np.float32)
        stored = features.get(_PLACES, [])
        if len(stored) != count * frames * 2 or isinstance(stored, list):
            raise ValueError(
                f"has a feature {_PLACES!r} that must be of {count * frames * 2} values, got "
                f"{len(stored)}"
            )
        found[:, :count] = stored.reshape(count, frames, 2).swapaxes(0, 1)
        return found


def _pictures(features: Mapping[str, Values], name: str) -> list[bytes]:
    found = features.get(name)
    if not isinstance(found, list) or not found:
        raise ValueError(f"has no list of pictures {name!r}")
    return found


def _seen(labels: NDArray[np.uint8], entities: int) -> NDArray[np.bool_]:
    """Whether each entity has a pixel in labels [F, H, W], [F, E]."""
    return (labels[:, None] == np.arange(entities)[:, None, None]).any((2, 3))
