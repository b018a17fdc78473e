"""Pictures and their boxes as they are listed by COCO, or by an export of FiftyOne."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Corners = tuple[float, float, float, float]
"""Left, top, right, bottom, in shares of the picture."""


@dataclass(frozen=True)
class Listed:
    """A picture: its file below the folder of pictures, its sides in pixels, what it was taken
    together with (empty: nothing that is known), and its boxes with their labels.
    """

    file: str
    width: int
    height: int
    together: str
    boxes: tuple[tuple[str, Corners], ...]


def corners(x: float, y: float, width: float, height: float) -> Corners | None:
    """A box in 0…1, whose sides may be negative, as corners inside the picture; None if empty."""
    left, right = sorted((x, x + width))
    top, bottom = sorted((y, y + height))
    left, top, right, bottom = (min(max(one, 0.0), 1.0) for one in (left, top, right, bottom))
    return (left, top, right, bottom) if right > left and bottom > top else None


def listed(path: Path, field: str | None = None) -> list[Listed]:
    """The pictures of a file of annotations, in the order of their files.

    `path` is JSON of COCO (`images`, `annotations`, `categories`; crowds are left out), or the
    `samples.json` of an export of FiftyOne, whose boxes are in `field` (None: in the only one).

    Raises:
        LookupError: there is no such file. ValueError: it is neither, or something in it is not
            as it has to be; names the file, the entry and its value.
    """
    if not path.is_file():
        raise LookupError(f"data.path must be a file of boxes, and there is none at {str(path)!r}")
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from None
    whole = _Entry(path, "", found) if isinstance(found, dict) else None
    if whole and "samples" in whole.facts:
        return sorted(_of_samples(whole, field), key=lambda one: one.file)
    if whole and {"images", "annotations", "categories"} <= whole.facts.keys():
        return sorted(_of_coco(whole), key=lambda one: one.file)
    raise ValueError(
        f"{path} must have images, annotations and categories, as COCO, or samples, as FiftyOne"
    )


@dataclass(frozen=True)
class _Entry:
    """An object of a file of JSON, and the place where it stands there.

    What it says raises ValueError where it is not as it has to be.
    """

    path: Path
    place: str
    facts: Mapping[str, Any]

    def wrong(self, name: str, rule: str) -> ValueError:
        """The sentence on what is not so."""
        value = reprlib.repr(self.facts.get(name))
        return ValueError(f"{self.path}: {self.place}{name} must be {rule}, got {value}")

    def entries(self, name: str) -> list[_Entry]:
        """The objects of a list."""
        found = self.facts.get(name)
        if not isinstance(found, list):
            raise self.wrong(name, "a list")
        places = [f"{self.place}{name}[{number}]" for number in range(len(found))]
        for place, one in zip(places, found, strict=True):
            if not isinstance(one, dict):
                raise ValueError(f"{self.path}: {place} must be an object, got {reprlib.repr(one)}")
        return [_Entry(self.path, f"{at}.", one) for at, one in zip(places, found, strict=True)]

    def part(self, name: str) -> _Entry:
        """An object in it; empty if there is none."""
        found = self.facts.get(name)
        if not isinstance(found, dict | None):
            raise self.wrong(name, "an object or null")
        return _Entry(self.path, f"{self.place}{name}.", found or {})

    def text(self, name: str) -> str:
        """A name, which may be a number."""
        found = self.facts.get(name)
        if not isinstance(found, str | int) or isinstance(found, bool) or found == "":
            raise self.wrong(name, "a text that is not empty")
        return str(found)

    def key(self, name: str) -> str | float:
        """What an entry is known by."""
        found = self.facts.get(name)
        if not isinstance(found, str | int | float) or isinstance(found, bool):
            raise self.wrong(name, "a number or a text")
        return found

    def box(self, name: str) -> Corners:
        """Four numbers."""
        found = self.facts.get(name)
        if not isinstance(found, list) or len(found) != 4 or not all(map(_is_finite, found)):
            raise self.wrong(name, "four numbers: left, top, width and height")
        return found[0], found[1], found[2], found[3]

    def sides(self, file: str) -> tuple[int, int]:
        """Those of a picture."""
        found: list[Any] = [self.facts.get(name) for name in ("width", "height")]
        if not all(_is_finite(one) and one >= 1 for one in found):
            raise ValueError(
                f"{self.path}: {file} must be listed with its width and height in pixels, got "
                f"{self.place}width {found[0]!r} and height {found[1]!r}"
            )
        return int(found[0]), int(found[1])


def _is_finite(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _by_id(entries: list[_Entry]) -> dict[str | float, _Entry]:
    found: dict[str | float, _Entry] = {}
    for each in entries:
        if each.key("id") in found:
            raise each.wrong("id", "there once")
        found[each.key("id")] = each
    return found


def _of_coco(whole: _Entry) -> Iterator[Listed]:
    images, categories = _by_id(whole.entries("images")), _by_id(whole.entries("categories"))
    names = {key: each.text("name") for key, each in categories.items()}
    files = {key: each.text("file_name") for key, each in images.items()}
    sides = {key: each.sides(files[key]) for key, each in images.items()}
    boxes: dict[str | float, list[tuple[str, Corners]]] = {key: [] for key in images}
    for each in whole.entries("annotations"):
        image, category = each.key("image_id"), each.key("category_id")
        if image not in images:
            raise each.wrong("image_id", "the id of one of images")
        if category not in names:
            raise each.wrong("category_id", "the id of one of categories")
        (width, height), (x, y, w, h) = sides[image], each.box("bbox")
        box = corners(x / width, y / height, w / width, h / height)
        if box is not None and not each.facts.get("iscrowd"):
            boxes[image].append((names[category], box))
    for key in images:
        yield Listed(files[key], *sides[key], "", tuple(boxes[key]))


def _of_samples(whole: _Entry, field: str | None) -> Iterator[Listed]:
    for each in whole.entries("samples"):
        file = each.text("filepath")
        width, height = each.part("metadata").sides(file)
        boxes = [
            (one.text("label"), box)
            for one in _detections(each, field, file)
            if (box := corners(*one.box("bounding_box"))) is not None
        ]
        yield Listed(file, width, height, _group(each.part("group")), tuple(boxes))


def _group(group: _Entry) -> str:
    """Its identifier, which is in an object of its own in an export; empty if there is none."""
    found = group.facts.get("_id")
    return str((found.get("$oid", found) if isinstance(found, dict) else found) or "")


def _detections(sample: _Entry, field: str | None, file: str) -> list[_Entry]:
    fields = {
        name: sample.part(name)
        for name, value in sample.facts.items()
        if isinstance(value, dict) and "detections" in value
    }
    if field is None and len(fields) > 1:
        raise ValueError(
            f"data.boxes.field must say which boxes of {file} are meant: {', '.join(fields)}"
        )
    found = next(iter(fields.values()), None) if field is None else fields.get(field)
    return found.entries("detections") if found else []
