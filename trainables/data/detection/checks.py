"""A check that a file is in COCO's format of instances, and where it is not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

MOST_SIDE = 65_535
"""Pixels of a side of a JPEG at most (ITU-T T.81, table B.2): two bytes say it."""
_FARTHEST = 2.0**31
"""Pixels that an edge of a box lies away at most, so that areas and sums stay exact and finite."""
_LARGEST_ID = 2**63 - 1
"""What columns hold."""
_SHOWN = 40


def checked(raw: bytes, path: Path) -> dict[str, Any]:
    """The JSON of an annotation file, with nothing in it that later readers would trip over.

    Pictures have numbers of their own, a size of at most 65,535 pixels a side, and a file below
    their folder; annotations numbers of their own from 1 (pycocotools takes 0 for none), a picture
    and a category that are there and a box of four finite numbers; `area` and `iscrowd` may be left
    out. Numbers fit into columns, and names are text.

    Raises:
        ValueError: it is otherwise; names the first that is.
    """
    try:
        whole = json.loads(raw)
    except RecursionError:
        raise ValueError(f"{path} must be JSON that is less deeply nested") from None
    except ValueError as error:
        raise ValueError(f"{path} must be JSON, and is not: {error}") from None
    for name in ("images", "annotations", "categories"):
        if not isinstance(whole, dict) or not isinstance(whole.get(name), list):
            raise ValueError(f"{path} must have a list of {name}, as COCO's files have")
    images = _numbered(whole["images"], f"{path}: images", 0)
    categories = _numbered(whole["categories"], f"{path}: categories", 0)
    _numbered(whole["annotations"], f"{path}: annotations", 1)
    for one in whole["images"]:
        _check_image(one, path)
    for one in whole["categories"]:
        if not _is_text(one.get("name")):
            raise ValueError(
                f"{path}: category {one['id']} must have a name that is text, got "
                f"{_shown(one.get('name'))}"
            )
    for one in whole["annotations"]:
        _check_annotation(one, images, categories, path)
    return whole


def _numbered(entries: Sequence[Any], where: str, least: int) -> set[int]:
    """The numbers of entries, all different."""
    found: set[int] = set()
    for one in entries:
        number: Any = one.get("id") if isinstance(one, Mapping) else None
        if not _is_whole(number) or not least <= number <= _LARGEST_ID:
            raise ValueError(
                f"{where} must have whole ids of at least {least} and below 2⁶³, got "
                f"{_shown(number)}"
            )
        if number in found:
            raise ValueError(f"{where} must have ids of their own, got {number} twice")
        found.add(number)
    return found


def _check_image(one: Mapping[str, Any], path: Path) -> None:
    for side in ("height", "width"):
        if not _is_whole(one.get(side)) or not 1 <= one[side] <= MOST_SIDE:
            raise ValueError(
                f"{path}: image {one['id']} must have a {side} of at least 1 pixel and at most "
                f"{MOST_SIDE}, got {_shown(one.get(side))}"
            )
    name: Any = one.get("file_name")
    if not _is_text(name) or not name or "\0" in name or _leaves(name):
        raise ValueError(
            f"{path}: image {one['id']} must have a file_name that is text, below the folder of "
            f"pictures, got {_shown(name)}"
        )


def _leaves(name: str) -> bool:
    return PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts


def _check_annotation(
    one: Mapping[str, Any], images: set[int], categories: set[int], path: Path
) -> None:
    where = f"{path}: annotation {one['id']}"
    for field, known in (("image_id", images), ("category_id", categories)):
        if not _is_whole(one.get(field)) or one[field] not in known:
            raise ValueError(
                f"{where} must have one of the file's {field}s, got {_shown(one.get(field))}"
            )
    box = one.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_pixels, box)):
        raise ValueError(
            f"{where} must have a bbox of four finite numbers within ±{_FARTHEST:.0f}, got "
            f"{_shown(box)}"
        )
    if one.get("iscrowd", 0) not in (0, 1):
        raise ValueError(f"{where} must have an iscrowd of 0 or 1, got {_shown(one['iscrowd'])}")
    if one.get("area") is not None and not _is_number(one["area"]):
        raise ValueError(f"{where} must have a finite area or none, got {_shown(one['area'])}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # whole, and beyond double precision
        return False


def _is_pixels(value: Any) -> bool:
    return _is_number(value) and abs(value) <= _FARTHEST


def _is_text(value: Any) -> bool:
    """Whether it can be written: JSON may hold halves of pairs of UTF-16."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _shown(value: Any) -> str:
    """A value as it is said, shortened."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
