"""Lists of boxes that are not as they have to be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from trainables.data.boxes.listing import listed
from trainables.settings.images import Images


def coco() -> dict[str, Any]:
    image = {"id": 1, "file_name": "a.png", "width": 10, "height": 10}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}
    return {"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "ship"}]}


def samples() -> dict[str, Any]:
    box = {"label": "ship", "bounding_box": [0.1, 0.1, 0.5, 0.5]}
    sides = {"width": 10, "height": 10}
    sample = {"filepath": "a.png", "metadata": sides, "boxes": {"detections": [box]}}
    return {"samples": [sample]}


GONE = object()


def changed(listing: dict[str, Any], place: tuple[Any, ...], value: object) -> dict[str, Any]:
    """A value in it replaced, or taken away."""
    *way, last = place
    at: Any = listing
    for one in way:
        at = at[one]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return listing


IDS, ANNOTATION, IMAGE = "a number or a text", ("annotations", 0), ("images", 0)
FOUR = "four numbers: left, top, width and height"
TEXT = "a text that is not empty"
SAMPLE = ("samples", 0)
BOX = (*SAMPLE, "boxes", "detections", 0)
WRONG = [
    (coco, (*ANNOTATION, "image_id"), 7, "the id of one of images"),
    (coco, (*ANNOTATION, "image_id"), GONE, IDS),
    (coco, (*ANNOTATION, "category_id"), 7, "the id of one of categories"),
    (coco, (*ANNOTATION, "category_id"), [1], IDS),
    (coco, (*ANNOTATION, "bbox"), GONE, FOUR),
    (coco, (*ANNOTATION, "bbox"), [1, 2, 3], FOUR),
    (coco, (*ANNOTATION, "bbox"), [1, 2, 3, "4"], FOUR),
    (coco, (*ANNOTATION, "bbox"), [1, 2, 3, float("nan")], FOUR),
    (coco, ANNOTATION, 3, "an object"),
    (coco, (*IMAGE, "file_name"), GONE, TEXT),
    (coco, (*IMAGE, "id"), None, IDS),
    (coco, ("categories", 0, "name"), "", TEXT),
    (coco, ("categories",), [{"id": 1, "name": "a"}] * 2, "there once"),
    (coco, ("images",), {"a": 1}, "a list"),
    (coco, ("annotations",), None, "a list"),
    (samples, ("samples",), {}, "a list"),
    (samples, SAMPLE, "a.png", "an object"),
    (samples, (*SAMPLE, "filepath"), GONE, TEXT),
    (samples, (*SAMPLE, "metadata"), [10, 10], "an object or null"),
    (samples, (*SAMPLE, "group"), "g", "an object or null"),
    (samples, (*SAMPLE, "boxes", "detections"), {}, "a list"),
    (samples, (*BOX, "label"), GONE, TEXT),
    (samples, (*BOX, "bounding_box"), GONE, FOUR),
    (samples, (*BOX, "bounding_box"), [0.1, 0.2, 0.3], FOUR),
]


def named(place: tuple[Any, ...]) -> str:
    text = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in place)
    return text.removeprefix(".")


@pytest.mark.parametrize(("form", "place", "value", "rule"), WRONG)
def test_what_is_wrong_is_said_with_file_entry_rule_and_value(
    form: Any, place: tuple[Any, ...], value: object, rule: str, tmp_path: Path
) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(form()))
    assert [one.file for one in listed(path)] == ["a.png"]
    path.write_text(json.dumps(changed(form(), place, value)))
    entry = "categories[1].id" if rule == "there once" else named(place)
    shown = 1 if rule == "there once" else None if value is GONE else value
    sentence = f"{path}: {entry} must be {rule}, got {shown!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        listed(path)
    assert Images(name="boxes", path=str(path)).missing() == sentence


@pytest.mark.parametrize("value", [GONE, 0, "10", None, float("inf")])
@pytest.mark.parametrize(
    ("form", "place"), [(coco, IMAGE), (samples, (*SAMPLE, "metadata"))], ids=["coco", "samples"]
)
def test_pictures_have_sides(
    form: Any, place: tuple[Any, ...], value: object, tmp_path: Path
) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(changed(form(), (*place, "width"), value)))
    shown = None if value is GONE else value
    sentence = f"{path}: a.png must be listed with its width and height in pixels, got "
    with pytest.raises(ValueError, match=re.escape(f"{sentence}{named(place)}.width {shown!r}")):
        listed(path)
