"""Sets of pictures with boxes, in splits: annotations mapped, pictures decoded when asked for."""

# E examples of a split, I pictures of a part, n boxes of a picture.

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.data.copying import copied
from trainables.data.detection.columns import Annotations, Columns, mapped
from trainables.data.detection.converting import Names, converted
from trainables.data.detection.facts import SELECTING, DetectionFacts
from trainables.data.detection.pictures import wrong_sizes
from trainables.data.places import CACHE, MANIFEST, wrong_arrays
from trainables.data.root import ROOT

Indices = NDArray[np.int64]


class Targets(NamedTuple):
    """The boxes of a picture that a detector is to find.

    `boxes` [n, 4] left, top, right and bottom in pixels, within the picture and never empty;
    `classes` [n]; `areas` [n] in square pixels, as annotated, 1 where that is not said.
    """

    boxes: NDArray[np.float64]
    classes: Indices
    areas: NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """E examples, numbers 0 … E − 1; `rows` are theirs in the columns of their part."""

    annotations: Annotations
    rows: Indices
    pictures: Path

    def __len__(self) -> int:
        """How many pictures, those without boxes too."""
        return len(self.rows)

    @property
    def columns(self) -> Columns:
        """All that is annotated of its part."""
        return self.annotations.columns

    @property
    def image_ids(self) -> Indices:
        """Numbers of the pictures, [E]."""
        return self.columns.image_ids[self.rows]

    def size(self, example: int) -> tuple[int, int]:
        """Height and width of a picture in pixels, as annotated."""
        height, width = self.columns.sizes[self.rows[example]].tolist()
        return height, width

    def path(self, example: int) -> Path:
        """Where a picture is."""
        return self.pictures / bytes(self.columns.file_names[self.rows[example]]).decode()

    def annotated(self, example: int) -> slice:
        """Which annotations are of a picture."""
        row = self.rows[example]
        return slice(int(self.columns.offsets[row]), int(self.columns.offsets[row + 1]))

    def targets(self, example: int) -> Targets:
        """What is to be found in a picture: no crowds; boxes cut at its edges, no empty ones."""
        here = self.annotated(example)
        height, width = self.size(example)
        boxes, kept = within(self.columns.boxes[here], self.columns.crowd[here], height, width)
        areas = np.nan_to_num(self.columns.areas[here], nan=1.0)
        return Targets(boxes[kept], self.columns.classes[here][kept], areas[kept])


@dataclass(frozen=True)
class BoxSet:
    """A set in its splits; C = `num_classes` is the largest number of a category and one.

    `fingerprint`: 16 hexadecimal digits of the SHA-256 of all annotation files and of how pictures
    are divided; pixels are not in it. `folder` is where its annotations are.
    """

    data_set: DetectionFacts
    folder: Path
    splits: Mapping[str, Split]
    categories: Mapping[int, str]
    num_classes: int
    fingerprint: str

    def split(self, name: str) -> Split:
        """A split. Raises LookupError if there is none of that name."""
        if name not in self.splits:
            raise LookupError(
                f"split must be one of {', '.join(self.splits)} of {self.data_set.name}, got "
                f"{name!r}"
            )
        return self.splits[name]


def open_set(
    data_set: DetectionFacts,
    root: Path = ROOT,
    *,
    image_size: int = 0,
    seed: int = 0,
    selects_on: Literal["train2017", "val2017"] = "train2017",
    names: Names = "mapped",
    copy_to: str | None = None,
) -> BoxSet:
    """A set of the catalogue; what is not yet read or converted is so first.

    Args:
        data_set: its facts.
        root: the folder of data sets.
        image_size: side in pixels of made and converted pictures; 0 is the customary one.
        seed: which of COCO's train2017 select.
        selects_on: of COCO alone. `train2017`: 5,000 of its pictures, drawn by `seed`, are the
            validation, the others for training, and val2017 is the test. `val2017`, the published
            protocol: all of train2017 is for training, and val2017 both validation and test.
        names: of UnRel alone, see `trainables.data.detection.unrel`.
        copy_to: the annotated pictures that are there are copied below it first, as
            `copying.copied` does it.

    Raises:
        LookupError: it is not there. ValueError: a file is wrong, or cannot be copied.
    """
    _check_options(data_set, image_size, selects_on, names)
    problem = data_set.missing(root, image_size=image_size)  # of this size, not of any
    if problem is not None:
        raise LookupError(problem)
    folder, places = _places(data_set, root, image_size, names)
    parts = {
        part: Split(found, np.arange(len(found.columns.image_ids)), _near(found, pictures, copy_to))
        for part, (path, pictures) in places.items()
        for found in [_of_classes(data_set, path, mapped(root, folder.name, path, pictures))]
    }
    splits = _divided(parts, seed, selects_on) if data_set.name == "coco" else parts
    return _box_set(data_set, folder, splits, parts)


def within(
    boxes: NDArray[np.float64], crowd: NDArray[np.bool_], height: Any, width: Any
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Annotated boxes [n, 4] cut at the edges of their pictures, and which are to be found [n].

    They become left, top, right and bottom. Height and width are of all, or [n]. Crowds are not to
    be found, nor boxes of which nothing is left.
    """
    boxes = boxes.copy()
    boxes[:, 2:] += boxes[:, :2]
    for axis, side in ((0, width), (1, height)):
        boxes[:, axis::2] = boxes[:, axis::2].clip(0, np.reshape(side, (-1, 1)))
    return boxes, ~crowd & (boxes[:, 2:] > boxes[:, :2]).all(1)


def truth(split: Split, examples: Indices | None = None) -> dict[str, Any]:
    """All that is annotated of a split (or of some of its examples), for pycocotools' COCO.

    Crowds, boxes that leave the picture and empty ones are in it, as pycocotools ignores or counts
    them by itself; an area that is not annotated is width times height, and `iscrowd` 0.
    """
    columns = split.columns
    images: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for example in range(len(split)) if examples is None else examples.tolist():
        height, width = split.size(example)
        number = int(columns.image_ids[split.rows[example]])
        images.append({"id": number, "height": height, "width": width})
        here = split.annotated(example)
        rows = zip(*(column[here].tolist() for column in _of_annotations(columns)), strict=True)
        for identity, box, category, is_crowd, area in rows:
            found.append(
                {
                    "id": identity,
                    "image_id": number,
                    "category_id": category,
                    "bbox": box,
                    "area": box[2] * box[3] if np.isnan(area) else area,
                    "iscrowd": int(is_crowd),
                }
            )
    categories = [{"id": id_, "name": name} for id_, name in split.annotations.categories.items()]
    return {"images": images, "annotations": found, "categories": categories}


def check(data_set: DetectionFacts, root: Path) -> list[str]:
    """What is wrong with the columns made of a set: a sentence each; with its files, the first.

    Pictures of another size than annotated are named, and those counted that are not there.
    """
    found: list[str] = []
    for size in data_set.sizes(root):
        folder = data_set.folder(root, image_size=size)
        wrong = [
            sentence
            for made in sorted((root / CACHE).glob(f"{folder.name}-*/"))
            if (made / MANIFEST).exists()
            for sentence in wrong_arrays(made)
        ]
        found += wrong or _wrong(data_set, root, size)
    return found


def _wrong(data_set: DetectionFacts, root: Path, size: int) -> list[str]:
    try:
        opened = open_set(data_set, root, image_size=size)
    except (ValueError, LookupError) as error:
        return [str(error)]
    return list(_wrong_pictures(opened.splits.values()))


def _wrong_pictures(splits: Sequence[Split] | Any) -> Iterator[str]:
    """A sentence on each picture of another size, and each folder where pictures are not there."""
    for split in {split.pictures: split for split in splits}.values():
        names = [name.decode() for name in split.columns.file_names]
        yield from wrong_sizes(split.pictures, names, split.columns.sizes)
        absent = [path for path in map(split.pictures.joinpath, names) if not path.is_file()]
        if absent:
            yield f"{len(absent)} pictures are not in {split.pictures}, the first {absent[0].name}"


def _of_annotations(columns: Columns) -> tuple[NDArray[Any], ...]:
    return columns.ids, columns.boxes, columns.classes, columns.crowd, columns.areas


def _check_options(data_set: DetectionFacts, image_size: int, selects_on: str, names: str) -> None:
    """Raises ValueError if an option is none, or is of another set."""
    if selects_on not in ("train2017", "val2017"):
        raise ValueError(f"data.selects_on must be train2017 or val2017, got {selects_on!r}")
    if names not in ("mapped", "as_numbered"):
        raise ValueError(f"names must be mapped or as_numbered, got {names!r}")
    for option, value, goes in (
        ("image_size", image_size or None, data_set.image_size > 0),
        ("selects_on", None if selects_on == "train2017" else selects_on, data_set.name == "coco"),
        ("names", None if names == "mapped" else names, data_set.name == "unrel"),
    ):
        if value is not None and not goes:
            raise ValueError(f"{option} must be left out for {data_set.name}, got {value!r}")


def _places(
    data_set: DetectionFacts, root: Path, image_size: int, names: Names
) -> tuple[Path, dict[str, tuple[Path, Path]]]:
    """Where a set is in the form of COCO, and by part its JSON and the folder of its pictures."""
    pictures: Path | None = None
    if data_set.kind == "converted":
        folder, pictures = converted(data_set, root, image_size=image_size, names=names)
    else:
        folder = data_set.folder(root, image_size=image_size)
    return folder, {
        name: (folder / part.annotations, pictures or folder / part.pictures)
        for name, part in data_set.parts.items()
    }


def _near(found: Annotations, pictures: Path, copy_to: str | None) -> Path:
    """The folder of pictures, or its copy. One that is not there is left to those who read it."""
    if copy_to is None:
        return pictures
    names = {name.decode() for name in found.columns.file_names}
    return copied(pictures, [name for name in names if (pictures / name).is_file()], copy_to)


def _of_classes(data_set: DetectionFacts, path: Path, found: Annotations) -> Annotations:
    """Annotations whose categories are all below the number of classes of their set.

    A detector would take one above for "no object", or have no output for it.
    """
    for number, name in found.categories.items():
        if number >= data_set.num_classes:
            raise ValueError(
                f"{path}: category {number} ({name[:40]!r}) must have an id below "
                f"{data_set.num_classes}, the number of classes of {data_set.name}, got {number}; "
                f"allowed are 0 … {data_set.num_classes - 1}"
            )
    return found


def _divided(
    parts: Mapping[str, Split], seed: int, selects_on: Literal["train2017", "val2017"]
) -> dict[str, Split]:
    """The splits of COCO."""
    train, test = parts["train"], parts["test"]
    if selects_on == "val2017":
        return {"train": train, "val": test, "test": test}
    if len(train) < 2:
        raise ValueError(f"train2017 must have at least 2 pictures, got {len(train)}")
    count = min(SELECTING, len(train) // 2)
    drawn = np.sort(np.random.RandomState(seed).permutation(len(train))[:count])
    rest = np.delete(train.rows, drawn)
    return {
        "train": Split(train.annotations, rest, train.pictures),
        "val": Split(train.annotations, train.rows[drawn], train.pictures),
        "test": test,
    }


def _box_set(
    data_set: DetectionFacts, folder: Path, splits: Mapping[str, Split], parts: Mapping[str, Split]
) -> BoxSet:
    categories: dict[int, str] = {}
    for part in parts.values():
        categories |= part.annotations.categories
    if not categories:
        raise ValueError(f"{folder} must have at least one category, and has none")
    digest = hashlib.sha256()
    for name, split in splits.items():
        digest.update(f"{name}/{split.annotations.fingerprint}\n".encode() + split.rows.tobytes())
    return BoxSet(
        data_set,
        folder,
        splits,
        dict(sorted(categories.items())),
        max(categories) + 1,
        digest.hexdigest()[:16],
    )
