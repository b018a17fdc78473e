"""Annotations are read as they are, targets are filtered, the truth is not."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import coco
from pycocotools.cocoeval import COCOeval

from tests.trainables.data.detection import written
from trainables.data.detection import columns, store
from trainables.data.detection.catalog import COCO, DETECTION_SETS, GARMENTS_BOXES
from trainables.data.detection.store import Split, open_set, truth


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edges")
    written.write(folder, "all", written.edges(), grey=[9])
    return folder


@pytest.fixture(scope="module")
def split(folder: Path) -> Split:
    found = columns.mapped(folder, "edges", folder / "annotations/instances_all.json")
    return Split(found, np.arange(len(found.columns.image_ids)), folder / "all")


def test_pictures_are_in_the_order_of_their_numbers(split: Split) -> None:
    assert split.image_ids.tolist() == [3, 5, 7, 9]
    assert [split.size(example) for example in range(4)] == [(20, 50), (33, 47), (40, 30), (25, 25)]
    assert all(split.path(example).is_file() for example in range(4))


def test_targets_are_without_crowds_and_cut_at_the_edges(split: Split) -> None:
    found = split.targets(2)
    assert found.boxes.tolist() == [[5, 6, 15, 18], [0, 30, 6, 40]]
    assert found.classes.tolist() == [90, 2] and found.areas.tolist() == [77.5, 1.0]


@pytest.mark.parametrize("example", [0, 3], ids=["only a crowd", "no annotations"])
def test_a_picture_without_boxes_has_empty_targets(split: Split, example: int) -> None:
    boxes, classes, areas = split.targets(example)
    assert boxes.shape == (0, 4) and classes.shape == areas.shape == (0,)


def test_a_box_outside_is_dropped_and_one_below_a_pixel_is_not(split: Split) -> None:
    assert split.targets(1).boxes.tolist() == [[0.25, 0.25, 0.75, 0.5]]


def test_the_truth_is_all_that_the_file_says(split: Split) -> None:
    found = truth(split)
    said = written.edges()["annotations"]
    assert {one["id"]: one["bbox"] for one in found["annotations"]} == {
        one["id"]: one["bbox"] for one in said
    }
    by_id = {one["id"]: one for one in found["annotations"]}
    assert by_id[12]["area"] == 200 and by_id[12]["iscrowd"] == 0  # neither was said
    assert [by_id[number]["iscrowd"] for number in (14, 15)] == [1, 1]
    assert found["categories"] == written.CATEGORIES
    assert [one["id"] for one in found["images"]] == [3, 5, 7, 9]


def test_the_truth_of_some_examples_is_theirs(split: Split) -> None:
    found = truth(split, np.array([2]))
    assert [one["id"] for one in found["images"]] == [7]
    assert {one["image_id"] for one in found["annotations"]} == {7}


def average_precision(contents: dict[str, Any], results: list[dict[str, Any]]) -> float:
    with contextlib.redirect_stdout(io.StringIO()):
        index: Any = coco.COCO()
        index.dataset = contents
        index.createIndex()
        evaluation = COCOeval(index, index.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def detections(split: Split) -> list[dict[str, Any]]:
    return [
        {
            "image_id": int(split.image_ids[example]),
            "category_id": int(category),
            "bbox": [left, top, right - left, bottom - top],
            "score": 0.9,
        }
        for example in range(len(split))
        for (left, top, right, bottom), category in zip(*split.targets(example)[:2], strict=True)
    ]


def test_crowds_are_ignored_and_not_missed_by_pycocotools(tmp_path: Path) -> None:
    """A detection in a crowd costs nothing with the truth, and does once crowds are left out."""
    written.write(
        tmp_path,
        "crowd",
        written.whole(
            [written.image(1, 60, 60)],
            [
                written.box(1, 1, (0, 0, 50, 50), area=2500, iscrowd=1),
                written.box(2, 1, (50, 50, 8, 8), area=64, iscrowd=0),
            ],
        ),
    )
    found = columns.mapped(tmp_path, "crowd", tmp_path / "annotations/instances_crowd.json")
    split = Split(found, np.arange(1), tmp_path / "crowd")
    results = detections(split)
    results += [{**results[0], "bbox": [10, 10, 12, 12], "score": 0.95}]
    whole = truth(split)
    assert average_precision(whole, results) == pytest.approx(1.0)
    whole["annotations"] = [one for one in whole["annotations"] if not one["iscrowd"]]
    assert average_precision(whole, results) == pytest.approx(0.5)


def test_the_fingerprint_is_that_of_the_file(folder: Path, split: Split) -> None:
    raw = (folder / "annotations/instances_all.json").read_bytes()
    assert split.annotations.fingerprint == hashlib.sha256(raw).hexdigest()[:16]


def test_a_file_is_read_once(folder: Path, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "read", None)
    again = columns.mapped(folder, "edges", folder / "annotations/instances_all.json")
    assert np.array_equal(again.columns.boxes, split.columns.boxes)
    assert again.categories == {1: "one", 2: "two", 90: "ninety"}


def test_a_file_that_was_changed_is_read_anew(tmp_path: Path) -> None:
    written.write(tmp_path, "all", written.edges())
    path = tmp_path / "annotations/instances_all.json"
    before = columns.mapped(tmp_path, "edges", path)
    path.write_text(path.read_text().replace("77.5", "77.25"))
    after = columns.mapped(tmp_path, "edges", path)
    assert 77.25 in after.columns.areas and before.fingerprint != after.fingerprint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": None}, "must have a list of images"),
        (
            {"images": [written.image(1, 2, 3)] * 2},
            "images must have ids of their own, got 1 twice",
        ),
        ({"images": [written.image(1, 0, 3)]}, "image 1 must have a height of at least 1 pixel"),
        ({"images": [{**written.image(1, 2, 3), "file_name": "../a"}]}, "below the folder of"),
        ({"annotations": [written.box(0, 1, (0, 0, 1, 1))]}, "of at least 1 .*, got 0"),
        ({"annotations": [written.box(1, 8, (0, 0, 1, 1))]}, "one of the file's image_ids, got 8"),
        ({"annotations": [written.box(1, 1, (0, 0, 1, 1), 3)]}, "category_ids, got 3"),
        ({"annotations": [written.box(1, 1, (0, 0, 1))]}, "a bbox of four finite numbers"),
        ({"annotations": [written.box(1, 1, (0, 0, 1, 1), iscrowd=2)]}, "iscrowd of 0 or 1, got 2"),
        ({"annotations": [written.box(1, 1, (0, 0, 1, 1), area="a")]}, "a finite area or none"),
        ({"categories": [{"id": 1}]}, "category 1 must have a name"),
        ({"categories": [{"id": -1, "name": "a"}]}, "categories must have whole ids of at least 0"),
    ],
)
def test_what_is_no_coco_file_is_one_sentence(change: dict[str, Any], words: str) -> None:
    contents = {**written.whole([written.image(1, 2, 3)], []), **change}
    with pytest.raises(ValueError, match=words):
        columns.read(json.dumps(contents).encode(), Path("a.json"))
    with pytest.raises(ValueError, match="a.json must be JSON, and is not"):
        columns.read(b"{", Path("a.json"))


NAMED: dict[str, str] = {
    "images": "image 1 must have a",
    "annotations": "annotation 1 must have",
    "categories": "category 1 must have a",
}


@pytest.mark.parametrize(
    ("place", "field", "value", "words"),
    [
        ("images", "id", 2**63, r"images must have whole ids of at least 0 .*2⁶³, got 9223"),
        ("annotations", "id", 2**70, "annotations must have whole ids .*, got 1180591"),
        ("categories", "id", 10**400, r"categories must have whole ids .*, got 10{39}…$"),
        ("images", "width", 65_536, "width of at least 1 pixel and at most 65535, got 65536$"),
        ("images", "height", 10**30, "height of at least 1 .* 65535, got 10{30}$"),
        ("images", "width", 5.0, "width of at least 1 .*, got 5.0$"),
        ("images", "file_name", "a\udc80b.png", r"file_name that is text, .*, got 'a.udc80b.png'$"),
        ("images", "file_name", "a\0.png", r"file_name that is text, .*, got 'a.x00.png'$"),
        ("annotations", "bbox", [10**400, 0, 1, 1], r"bbox of four finite .*, got \[10{38}…$"),
        ("annotations", "bbox", [2.0**31 + 1, 0, 1, 1], "bbox of four .* within ±2147483648, got"),
        ("annotations", "bbox", [math.nan, 0, 1, 1], r"bbox of four finite .*, got \[nan, 0, 1, 1"),
        ("annotations", "area", 10**400, "a finite area or none, got 10{39}…$"),
        ("annotations", "image_id", "1" * 99, "one of the file's image_ids, got '1{39}…$"),
        ("annotations", "iscrowd", [0] * 99, r"iscrowd of 0 or 1, got \[0, .*…$"),
        ("categories", "name", "\ud800", r"a name that is text, got '.ud800'$"),
    ],
)
def test_numbers_and_names_that_no_column_holds_are_one_sentence(
    place: str, field: str, value: Any, words: str
) -> None:
    contents = json.loads(
        json.dumps(written.whole([written.image(1, 9, 9)], [written.box(1, 1, (0, 0, 1, 1))]))
    )
    contents[place][0][field] = value
    where = f"a.json: {place if field == 'id' else NAMED[place]}"
    with pytest.raises(ValueError, match=words) as error:
        columns.read(json.dumps(contents).encode(), Path("a.json"))
    assert str(error.value).startswith(where) and len(str(error.value)) < 200


def test_the_largest_numbers_that_fit_are_read() -> None:
    image = {**written.image(2**63 - 1, 65_535, 1), "file_name": "é.png"}
    box = written.box(2**63 - 1, 2**63 - 1, (-(2.0**31), 0, 2.0**31, 1))
    found = columns.read(json.dumps(written.whole([image], [box])).encode(), Path("a.json"))
    assert found.columns.image_ids.tolist() == found.columns.ids.tolist() == [2**63 - 1]
    assert found.columns.sizes.tolist() == [[65_535, 1]]
    assert found.columns.boxes.tolist() == [[-(2.0**31), 0, 2.0**31, 1]]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"[" * 100_000, "a.json must be JSON that is less deeply nested$"),
        (b'{"\xff', "a.json must be JSON, and is not: 'utf-8' codec can't decode"),
        (
            b'{"images": 1' + b"0" * 5000 + b"}",
            "a.json must be JSON, and is not: Exceeds the limit",
        ),
    ],
    ids=["nested", "bytes", "digits"],
)
def test_what_no_reader_of_json_takes_is_one_sentence(raw: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        columns.read(raw, Path("a.json"))


@pytest.mark.parametrize("category", [91, 2**31 + 5])
def test_a_category_beyond_the_classes_of_the_set_is_refused(tmp_path: Path, category: int) -> None:
    written.coco(tmp_path)
    path = tmp_path / "coco/annotations/instances_train2017.json"
    path.write_text(path.read_text().replace('"id": 90', f'"id": {category}').replace(
        '"category_id": 90', f'"category_id": {category}'
    ))  # fmt: skip
    said = f"instances_train2017.json: category {category} .'ninety'. must have an id below 91, "
    for _ in range(2):  # read, and mapped
        with pytest.raises(ValueError, match=f"{said}.* of coco, got {category}; allowed .* 90"):
            open_set(COCO, tmp_path)
    assert [f"category {category}" in one for one in COCO.check(tmp_path)] == [True]


def test_a_picture_of_another_size_is_refused_when_annotations_are_read(tmp_path: Path) -> None:
    written.coco(tmp_path)
    picture = tmp_path / "coco/val2017/501.png"
    with Image.open(picture) as opened:
        size = opened.size
    Image.new("RGB", (size[0], size[1] + 1)).save(picture)
    words = rf"501.png must have the height .* \({size[1]}, {size[0]}\), got \({size[1] + 1}, "
    with pytest.raises(ValueError, match=f"instances_val2017.json: .*{words}"):
        open_set(COCO, tmp_path)
    Image.new("RGB", size).save(picture)
    (tmp_path / "coco/val2017/502.png").write_bytes(b"no picture")  # left to who reads it
    assert len(open_set(COCO, tmp_path).split("test")) == 4
    Image.new("RGB", (3, 3)).save(picture)
    (sentence,) = COCO.check(tmp_path)
    assert "501.png must have the height and width that are annotated" in sentence


def test_damaged_columns_are_named(tmp_path: Path) -> None:
    written.coco(tmp_path)
    open_set(COCO, tmp_path)
    assert COCO.check(tmp_path) == []
    damaged = next((tmp_path / "cache").glob("coco-instances_val2017-*/")) / "boxes.npy"
    damaged.write_bytes(b"")
    assert "boxes.npy was changed; delete" in COCO.check(tmp_path)[0]
    with pytest.raises(ValueError, match="is damaged .*; delete it: it is made again"):
        open_set(COCO, tmp_path)


def test_check_names_pictures_that_are_not_there(tmp_path: Path) -> None:
    written.coco(tmp_path)
    (tmp_path / "coco/val2017/500.png").unlink()
    (sentence,) = COCO.check(tmp_path)
    assert sentence.startswith("1 pictures are not in") and sentence.endswith("the first 500.png")


def test_the_test_selects_nothing(tmp_path: Path) -> None:
    written.coco(tmp_path)
    found = open_set(COCO, tmp_path)
    ids = {name: set(split.image_ids.tolist()) for name, split in found.splits.items()}
    assert {name: len(one) for name, one in ids.items()} == {"train": 6, "val": 6, "test": 4}
    assert ids["train"] | ids["val"] == set(range(1, 13)) and not ids["train"] & ids["val"]
    assert ids["test"] == set(range(500, 504)) and found.num_classes == 91


def test_who_selects_is_drawn_by_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written.coco(tmp_path)
    monkeypatch.setattr(store, "SELECTING", 3)
    first, again, other = (open_set(COCO, tmp_path, seed=seed) for seed in (0, 0, 1))
    drawn = [one.split("val").image_ids.tolist() for one in (first, again, other)]
    assert drawn[0] == drawn[1] != drawn[2] and len(drawn[0]) == 3
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_the_published_protocol_selects_on_its_test(tmp_path: Path) -> None:
    written.coco(tmp_path)
    found = open_set(COCO, tmp_path, selects_on="val2017")
    assert len(found.split("train")) == 12
    assert found.split("val").image_ids.tolist() == found.split("test").image_ids.tolist()


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        LookupError, match="`raysearch data get coco --root .*`, or put .*train2017"
    ):
        open_set(COCO, tmp_path)
    with pytest.raises(LookupError, match="`raysearch data make garments_boxes --root"):
        open_set(GARMENTS_BOXES, tmp_path)
    with pytest.raises(LookupError, match="--image-size 96"):
        open_set(GARMENTS_BOXES, tmp_path, image_size=96)
    written.coco(tmp_path)
    with pytest.raises(LookupError, match="split must be one of train, val, test of coco, got 'a'"):
        open_set(COCO, tmp_path).split("a")
    with pytest.raises(ValueError, match="selects_on must be train2017 or val2017, got 'test'"):
        open_set(COCO, tmp_path, selects_on="test")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("coco", {"image_size": 64}),
        ("coco", {"names": "as_numbered"}),
        ("tiny", {"selects_on": "val2017"}),
    ],
)
def test_an_option_of_another_set_is_refused(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    (option,) = options
    with pytest.raises(ValueError, match=f"{option} must be left out for {name}, got"):
        open_set(DETECTION_SETS[name], tmp_path, **options)


def test_the_facts_of_coco_are_those_that_are_known() -> None:
    assert sum(COCO.splits.values()) == 123_287 and COCO.splits["test"] == 5_000
    assert list(DETECTION_SETS) == [each.name for each in DETECTION_SETS.values()]
