"""Whether a file is in the form of COCO's instances, and if not, where."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any


def checked(raw: bytes, path: Path) -> dict[str, Any]:
    """The JSON of an annotation file, with nothing in it that later readers would trip over.

    Pictures have numbers of their own, a size, and a file below their folder; annotations numbers
    of their own from 1 (pycocotools takes 0 for none), a picture and a category that are there and
    a box of four finite numbers; `area` and `iscrowd` may be left out.

    Raises:
        ValueError: it is otherwise; names the first that is.
    """
    try:
        whole = json.loads(raw)
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
        if not isinstance(one.get("name"), str):
            raise ValueError(f"{path}: category {one['id']} must have a name")
    for one in whole["annotations"]:
        _check_annotation(one, images, categories, path)
    return whole


def _numbered(entries: Sequence[Any], where: str, least: int) -> set[int]:
    """The numbers of entries, all different."""
    found: set[int] = set()
    for one in entries:
        number: Any = one.get("id") if isinstance(one, Mapping) else None
        if not _is_whole(number) or number < least:
            raise ValueError(f"{where} must have whole ids of at least {least}, got {number!r}")
        if number in found:
            raise ValueError(f"{where} must have ids of their own, got {number} twice")
        found.add(number)
    return found


def _check_image(one: Mapping[str, Any], path: Path) -> None:
    for side in ("height", "width"):
        if not _is_whole(one.get(side)) or one[side] < 1:
            raise ValueError(
                f"{path}: image {one['id']} must have a {side} of at least 1 pixel, got "
                f"{one.get(side)!r}"
            )
    name = one.get("file_name")
    if not isinstance(name, str) or not name or _leaves(name):
        raise ValueError(
            f"{path}: image {one['id']} must have a file_name below the folder of pictures, got "
            f"{name!r}"
        )


def _leaves(name: str) -> bool:
    return PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts


def _check_annotation(
    one: Mapping[str, Any], images: set[int], categories: set[int], path: Path
) -> None:
    where = f"{path}: annotation {one['id']}"
    for field, known in (("image_id", images), ("category_id", categories)):
        if not _is_whole(one.get(field)) or one[field] not in known:
            raise ValueError(f"{where} must have one of the file's {field}s, got {one.get(field)}")
    box = one.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise ValueError(f"{where} must have a bbox of four finite numbers, got {box}")
    if one.get("iscrowd", 0) not in (0, 1):
        raise ValueError(f"{where} must have an iscrowd of 0 or 1, got {one['iscrowd']!r}")
    if one.get("area") is not None and not _is_number(one["area"]):
        raise ValueError(f"{where} must have a finite area or none, got {one['area']!r}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
