"""Boxes of annotated pictures as examples: their choice, classes and splits."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

from trainables.data.boxes.dividing import divided, drawn, grouped
from trainables.data.boxes.listing import Corners, Listed, listed
from trainables.data.published import UNLABELLED
from trainables.data.root import ROOT

SPLITS = ("train", "val", "test")
log = logging.getLogger(__name__)

_EYE = re.compile(r"[_-](l|r|left|right)$", re.IGNORECASE)
"""How the stems of the two pictures of a stereo pair end."""

_ROUNDING = 1e-9
"""So much, in shares, an area may have gained when its sides were divided by those of a picture."""


@dataclass(frozen=True)
class Options:
    """Which boxes: see `trainables.settings.boxes.Boxes`."""

    crop: Literal["largest", "all"] = "all"
    min_crop_size: int = 32
    classes: tuple[str, ...] | None = None
    coarse_map: str | None = None
    max_per_class: int | None = None
    sequence_pattern: str | None = None
    time_gap: float | None = None
    time_pattern: str = r"(\d+)_(\d+)"
    field: str | None = None
    val_share: float = 0.1
    test_share: float = 0.1
    takes_empty: bool = False


@dataclass(frozen=True)
class Box:
    """An example: a box of a picture, its label, its group and its split."""

    file: str
    corners: Corners
    label: str
    group: str
    split: str


@dataclass(frozen=True)
class Crops:
    """The classes, sorted, of all splits; the boxes in the order of their files; the labels that
    were dropped since a split has none of them; and, as boxes, whole pictures that have none, where
    they are asked for. Their split is called `unsup`, and their labels mean nothing. `pictures` are
    the files of all that are listed, with boxes or without.
    """

    classes: tuple[str, ...]
    boxes: tuple[Box, ...]
    dropped: tuple[str, ...]
    empty: tuple[Box, ...] = ()
    pictures: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[Box, ...]:
        """The boxes, and pictures that have none behind them."""
        return self.boxes + self.empty

    @property
    def fingerprint(self) -> str:
        """A hash of classes and boxes, 16 hexadecimal digits."""
        return hashlib.sha256(repr((self.classes, self.every)).encode()).hexdigest()[:16]


def crops(path: Path, seed: int, options: Options, root: Path = ROOT) -> Crops:
    """The boxes of a file of annotations, or of a folder of masks (`instances`, kept below `root`),
    in their splits, drawn by seed.

    A split has whole groups: pictures that are listed as taken together, the two of a stereo pair
    (whose stems differ in l and r), of the same text where `sequence_pattern` matches, or with
    times between which is no gap above `time_gap` seconds. Times are where `time_pattern` first
    matches the stem: seconds, and microseconds in a second group of it if there is one. Pictures
    without boxes, where it `takes_empty` ones, are those of no group with boxes of validation or
    test.

    Raises:
        LookupError: there is no such file, or a label that the map has nowhere.
        ValueError: a file is damaged, fewer than two classes are left, a picture has no time, or
            none is without a box.
    """
    stamps = tuple(_stamp(Path(one)) for one in (str(path), options.coarse_map) if one)
    return _crops(path, seed, options, root, stamps)


def _stamp(path: Path) -> int:
    places = [path, *path.glob("*/")] if path.is_dir() else [path]
    return max(one.stat().st_mtime_ns for one in places) if path.exists() else 0


@lru_cache(maxsize=8)
def _crops(path: Path, seed: int, options: Options, root: Path, stamps: tuple[int, ...]) -> Crops:
    pictures = _listed(path, options, root)
    names = _names(options.coarse_map)
    found = [(one, *box) for one in pictures for box in _boxes(one, names, options)]
    if options.max_per_class is not None:
        found = _capped(found, options.max_per_class, seed)
    number = dict(zip([one.file for one in pictures], _groups(pictures, options), strict=True))
    groups, labels = [number[one.file] for one, _, _ in found], [label for _, label, _ in found]
    shares = {
        "train": 1 - options.val_share - options.test_share,
        "val": options.val_share,
        "test": options.test_share,
    }
    splits = divided(groups, labels, shares, seed)
    there = [{label for label, at in zip(labels, splits, strict=True) if at == name}
             for name in SPLITS]  # fmt: skip
    classes = tuple(sorted(set.intersection(*there)))
    dropped = tuple(sorted(set(labels) - set(classes)))
    if dropped:
        log.warning(
            "%s: %s left out, since not all of train, val and test have boxes of them",
            *(path, ", ".join(dropped)),
        )
    if len(classes) < 2:
        raise ValueError(
            f"data.path must list at least two classes with boxes in train, val and test, and "
            f"{path} has {', '.join(classes) or 'none'}; of {', '.join(dropped) or 'no others'} "
            f"not all splits have boxes"
        )
    boxes = [
        Box(one.file, corners, label, pictures[group].file, split)
        for (one, label, corners), group, split in zip(found, groups, splits, strict=True)
        if label in classes
    ]
    empty = ()
    if options.takes_empty:
        apart = {group for group, split in zip(groups, splits, strict=True) if split != "train"}
        empty = _empty(pictures, number, apart, classes[0])
    return Crops(classes, tuple(boxes), dropped, empty, tuple(one.file for one in pictures))


def place_of(path: Path, pictures: str | None) -> Path:
    """The folder that files of a list of boxes, or of a folder of masks, are below: `pictures`, or
    where they are listed if it is None.
    """
    return Path(pictures or (path if path.is_dir() else path.parent))


def _empty(
    pictures: list[Listed], number: Mapping[str, int], apart: set[int], label: str
) -> tuple[Box, ...]:
    """Whole pictures without boxes that are in none of the groups that are kept apart."""
    found = [one for one in pictures if not one.boxes and number[one.file] not in apart]
    if not found:
        raise ValueError(
            "data.boxes.empty_pictures must be 'none' where each picture has a box, or is of a "
            "group with boxes of validation or test"
        )
    whole = (0.0, 0.0, 1.0, 1.0)
    return tuple(
        Box(one.file, whole, label, pictures[number[one.file]].file, UNLABELLED) for one in found
    )


def _listed(path: Path, options: Options, root: Path) -> list[Listed]:
    """The pictures of a list, or of a folder of masks, for which alone there is NumPy."""
    if not path.is_dir():
        return listed(path, options.field)
    from trainables.data.boxes.instances import instances

    return instances(path, root)


def _boxes(
    picture: Listed, names: Mapping[str, str | None] | None, options: Options
) -> Iterable[tuple[str, Corners]]:
    """Those of a picture that are large enough, of the classes that are asked for."""
    kept: list[tuple[str, Corners]] = []
    for label, corners in picture.boxes:
        if names is not None and label not in names:
            raise LookupError(
                f"data.boxes.coarse_map must say what becomes of {label!r}, or have it in drop"
            )
        name = label if names is None else names[label]
        is_asked = options.classes is None or name in options.classes
        least = options.min_crop_size**2 * (1 + _ROUNDING)
        if name is not None and is_asked and _area(picture, corners) > least:
            kept.append((name, corners))
    if options.crop == "largest" and kept:
        return [max(kept, key=lambda one: _area(picture, one[1]))]
    return kept


def _area(picture: Listed, corners: Corners) -> float:
    """In pixels."""
    left, top, right, bottom = corners
    return (right - left) * picture.width * (bottom - top) * picture.height


def _names(path: str | None) -> dict[str, str | None] | None:
    """What each label becomes, None where it is dropped: `{"classes": {name: labels}, "drop": …}`.

    Raises:
        LookupError: there is no such file. ValueError: it is not so, or has a label twice.
    """
    if path is None:
        return None
    if not Path(path).is_file():
        raise LookupError(f"data.boxes.coarse_map must be a file, and there is none at {path!r}")
    try:
        found = json.loads(Path(path).read_text())
        pairs = [(label, name) for name, labels in found["classes"].items() for label in labels]
        pairs += [(label, None) for label in found.get("drop", [])]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'data.boxes.coarse_map must be JSON {{"classes": {{name: [labels]}}, "drop": '
            f"[labels]}}, and {path} is not ({error!r})"
        ) from None
    labels = [label for label, _ in pairs]
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise ValueError(f"data.boxes.coarse_map must have each label once, got {twice[0]!r} twice")
    return dict(pairs)


def _capped(
    found: list[tuple[Listed, str, Corners]], most: int, seed: int
) -> list[tuple[Listed, str, Corners]]:
    """At most so many boxes of each label, drawn by seed."""
    order = sorted(range(len(found)), key=lambda one: drawn(seed, found[one][0].file, one))
    count: dict[str, int] = {}
    kept: list[int] = []
    for one in order:
        label = found[one][1]
        count[label] = count.get(label, 0) + 1
        kept += [one] if count[label] <= most else []
    return [found[one] for one in sorted(kept)]


def _groups(pictures: list[Listed], options: Options) -> list[int]:
    """The number of the first picture of the group of each."""
    pattern = options.sequence_pattern and re.compile(options.sequence_pattern)
    keys: list[list[str]] = []
    for one in pictures:
        place = PurePosixPath(one.file)
        own = [f"pair {place.parent / _EYE.sub('', place.stem)}"]
        own += [f"together {one.together}"] if one.together else []
        if pattern and (match := pattern.search(one.file)):
            own.append(f"sequence {match.group()}")
        keys.append(own)
    if options.time_gap is not None:
        for own, key in zip(keys, _stretches(pictures, options), strict=True):
            own.append(key)
    return grouped(keys)


def _stretches(pictures: list[Listed], options: Options) -> list[str]:
    """Which stretch of time without a gap each picture is of."""
    gap, times = (
        round((options.time_gap or 0) * 1e6),
        [_time(one.file, options.time_pattern) for one in pictures],
    )
    order = sorted(range(len(times)), key=times.__getitem__)
    found, number = [""] * len(times), 0
    for before, place in zip([None, *order], order, strict=False):
        number += before is not None and times[place] - times[before] > gap
        found[place] = f"time {number}"
    return found


def _time(file: str, pattern: str) -> int:
    """In microseconds."""
    match = re.search(pattern, PurePosixPath(file).stem)
    numbers = match.groups()[:2] if match else ()
    if not numbers or not all(one and one.isdecimal() for one in numbers):
        raise ValueError(
            f"data.boxes.time_pattern must find a time in the name of each picture, and "
            f"{pattern!r} finds none in {file!r}"
        )
    seconds, *rest = map(int, numbers)
    return seconds * 1_000_000 + sum(rest)
