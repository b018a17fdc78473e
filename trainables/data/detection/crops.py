"""Which boxes of annotated pictures are examples, of which classes, and in which splits."""

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

from trainables.data.detection.dividing import divided, drawn, grouped
from trainables.data.detection.listing import Corners, Listed, listed

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
    field: str | None = None
    val_share: float = 0.1
    test_share: float = 0.1


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
    """The classes, sorted, of all splits; the boxes in the order of their files; and the labels
    that were dropped since a split has none of them.
    """

    classes: tuple[str, ...]
    boxes: tuple[Box, ...]
    dropped: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """A hash of classes and boxes, 16 hexadecimal digits."""
        return hashlib.sha256(repr((self.classes, self.boxes)).encode()).hexdigest()[:16]


def crops(path: Path, seed: int, options: Options) -> Crops:
    """The boxes of a file of annotations in their splits, drawn by seed.

    A split has whole groups: pictures that are listed as taken together, the two of a stereo pair
    (whose stems differ in l and r), or of the same text where `sequence_pattern` matches.

    Raises:
        LookupError: there is no such file, or a label that the map has nowhere.
        ValueError: a file is damaged, or fewer than two classes are left.
    """
    stamps = tuple(_stamp(Path(one)) for one in (str(path), options.coarse_map) if one)
    return _crops(path, seed, options, stamps)


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=8)
def _crops(path: Path, seed: int, options: Options, stamps: tuple[int, ...]) -> Crops:
    pictures = listed(path, options.field)
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
    return Crops(classes, tuple(boxes), dropped)


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
    return grouped(keys)
