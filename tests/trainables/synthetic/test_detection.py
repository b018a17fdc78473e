"""The tiny set has each edge of detection data, and canvases have garments of all sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as masks

from tests.trainables.data import files
from trainables.data.catalog import FASHION_MNIST
from trainables.data.detection.batches import batch
from trainables.data.detection.catalog import GARMENTS_BOXES, TINY
from trainables.data.detection.geometry import DRAWS, Augmentation
from trainables.data.detection.store import BoxSet, open_set
from trainables.synthetic import garment_boxes
from trainables.synthetic.catalog import MAKERS
from trainables.synthetic.detection import CATEGORIES, FOREIGN


def make(name: str, root: Path, scenes: int, image_size: int | None = None, **rules: Any) -> Path:
    return MAKERS[name].make(
        root,
        scenes=scenes,
        image_size=image_size,
        seed=0,
        progress=lambda done, total: None,
        rules=rules,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    make("tiny", root, 16)
    files.write_mnist(root / "fashion_mnist", 120, 40)
    make("garments_boxes", root, 30, 96)
    return root


@pytest.fixture(scope="module")
def tiny(root: Path) -> BoxSet:
    return open_set(TINY, root)


def annotated(root: Path, split: str) -> dict[str, Any]:
    return json.loads((root / f"made/tiny-160/annotations/instances_{split}.json").read_text())


def test_the_tiny_set_has_the_splits_of_the_catalogue(tiny: BoxSet) -> None:
    assert {name: len(split) for name, split in tiny.splits.items()} == TINY.splits
    assert tiny.num_classes == TINY.num_classes == 91 and dict(tiny.categories) == CATEGORIES


def test_pictures_are_of_many_sizes(tiny: BoxSet) -> None:
    sizes = [split.size(e) for split in tiny.splits.values() for e in range(len(split))]
    assert len(set(sizes)) == len(sizes) and min(map(min, sizes)) == 96
    assert max(map(max, sizes)) == 160
    assert any(height > width for height, width in sizes) and any(h < w for h, w in sizes)
    assert sum(side % 32 > 0 for size in sizes for side in size) > 10


def test_each_edge_is_there(root: Path, tiny: BoxSet) -> None:
    train, val = annotated(root, "train"), annotated(root, "val")
    of = {one["id"]: [] for one in train["images"]}
    for one in train["annotations"]:
        of[one["image_id"]].append(one)
    counts = [len(tiny.split("train").targets(place).boxes) for place in range(8)]
    crowds = [sum(one.get("iscrowd", 0) for one in some) for some in of.values()]
    assert counts[2] == crowds[2] == 0 and not of[3]  # nothing is annotated
    assert counts[3] == 0 and crowds[3] == 1  # a crowd alone
    assert counts[4] == 1 and crowds[4] == 1  # and with another
    assert max(counts) > 5  # than there are queries
    assert all("area" not in one and "iscrowd" not in one for one in of[2])
    assert any(one["bbox"][2] == 0 for one in of[6])  # no width
    assert any(one["bbox"][0] < 0 for one in of[7])  # leaves the picture
    areas = [one["area"] for one in train["annotations"] if one.get("area")]
    assert min(areas) < 32**2 < 96**2 < max(areas)
    assert any(32**2 < area < 96**2 for area in areas)
    assert any(len({o["id"] for o in some if o["category_id"] == 1}) > 1 for some in of.values())
    assert {1, 90} == {one["category_id"] for one in train["annotations"]}
    assert {1, 2, 44, 90} == {one["category_id"] for one in val["annotations"]}
    boxes = np.concatenate([tiny.split("val").targets(place).boxes for place in range(4)])
    assert ((boxes[:, 2:] - boxes[:, :2]) < 1).all(1).any()  # below a pixel


def mode(path: Path) -> str:
    with Image.open(path) as opened:
        return opened.mode


def test_a_grey_picture_has_one_channel_in_its_file(tiny: BoxSet) -> None:
    assert [mode(tiny.split("train").path(place)) for place in (0, 5)] == ["RGB", "L"]
    assert mode(tiny.split("val").path(0)) == "L"


def test_a_crowd_has_the_run_lengths_of_pycocotools(root: Path) -> None:
    crowds = [one for one in annotated(root, "train")["annotations"] if one.get("iscrowd")]
    for one in crowds:
        height, width = one["segmentation"]["size"]
        packed = masks.frPyObjects(one["segmentation"], height, width)
        assert masks.area(packed) == one["area"] and masks.toBbox(packed).tolist() == one["bbox"]


def test_a_shape_fills_its_box(tiny: BoxSet) -> None:
    """Shapes are brighter than the texture behind them: what is bright has the annotated box."""
    split = tiny.split("train")
    bright = np.asarray(Image.open(split.path(0))).max(-1) > 0.75 * 255
    left, top, right, bottom = split.targets(0).boxes[0].astype(int)
    rows, columns = np.nonzero(bright[:80])
    found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert np.abs(np.array(found) - [left, top, right, bottom]).max() <= 1


def test_all_of_it_makes_batches(tiny: BoxSet) -> None:
    how = Augmentation((64, 80), 120, 0.5, 0.5, (50, 60), (40, 60))
    draws = torch.rand(8, DRAWS, generator=torch.Generator().manual_seed(0))
    found = batch(tiny.split("train"), range(8), range(8), how=how, draws=draws)
    assert found["images"].isfinite().all() and found["counts"].max() > 5
    real = torch.arange(found["boxes"].shape[1]) < found["counts"][:, None]
    assert (found["boxes"][real][:, 2:] > 0).all() and (found["boxes"] <= 1).all()
    assert (found["classes"] > 0).equal(real)


def test_foreign_names_stand_for_the_same_boxes(root: Path, tiny: BoxSet) -> None:
    said = json.loads((root / "made/tiny-160" / FOREIGN).read_text())
    assert [one["filename"] for one in said] == [tiny.split("test").path(p).name for p in range(4)]
    names = {each["category"] for one in said for each in one["objects"]}
    assert names == {"ball", "building", "bike"}
    first = said[0]["objects"][0]
    assert first == {"category": "ball", "box": [20, 20, 80, 80]}


def test_more_pictures_begin_with_the_same_and_repeat_the_cases(tmp_path: Path) -> None:
    make("tiny", tmp_path, 32, 32)
    found = open_set(TINY, tmp_path, image_size=32)
    assert {name: len(split) for name, split in found.splits.items()} == {
        "train": 16,
        "val": 8,
        "test": 8,
    }
    train = found.split("train")
    assert np.array_equal(train.targets(0).boxes, train.targets(8).boxes)
    assert train.path(0).read_bytes() != train.path(8).read_bytes()


def test_too_few_or_too_small_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scenes of tiny must be at least 16, got 15"):
        make("tiny", tmp_path, 15)
    with pytest.raises(ValueError, match="image_size must be at least 32 for tiny, got 31"):
        make("tiny", tmp_path, 16, 31)
    with pytest.raises(ValueError, match="crop must be left out for tiny, got 'none'"):
        MAKERS["tiny"].make(
            tmp_path,
            scenes=16,
            image_size=None,
            crop="none",
            seed=0,
            progress=lambda done, total: None,
            rules={},
        )


def canvas(root: Path, index: int, **rules: Any) -> dict[str, Any]:
    paths = tuple(root / "fashion_mnist" / file.name for file in FASHION_MNIST.forms[0])
    chosen: dict[str, Any] = {"image_size": 96, **rules}
    return garment_boxes.scene(0, index, files=paths, **chosen)


def test_boxes_are_those_of_what_is_seen(root: Path) -> None:
    found = open_set(GARMENTS_BOXES, root, image_size=96)
    assert {name: len(split) for name, split in found.splits.items()} == {
        "train": 24,
        "val": 3,
        "test": 3,
    }
    assert found.num_classes == GARMENTS_BOXES.num_classes == 11
    made, targets = canvas(root, 0), found.split("train").targets(0)
    assert targets.classes.tolist() == made["classes"].tolist()
    for box, mask, area in zip(targets.boxes, made["masks"], targets.areas, strict=True):
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert area == mask.sum()


def test_garments_are_small_medium_and_large_about_as_often(root: Path) -> None:
    areas = [m.sum() for index in range(60) for m in canvas(root, index, most=3)["masks"]]
    shares = np.histogram(areas, [0, (96 / 8) ** 2, (96 / 3) ** 2, 96**2])[0] / len(areas)
    assert shares.min() > 0.2


def test_canvases_are_of_many_sizes_or_square(root: Path) -> None:
    sizes = [canvas(root, index)["image"].shape[:2] for index in range(20)]
    assert len(set(sizes)) > 15 and min(map(min, sizes)) >= 72 and max(map(max, sizes)) <= 96
    assert canvas(root, 0, shortest=1.0)["image"].shape == (96, 96, 3)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"image_size": 31}, "image_size must be at least 32 for garments_boxes, got 31"),
        ({"least": 0}, "least and most must be 1 ≤ least ≤ most, got 0, 6"),
        ({"shortest": 0.4}, "shortest must be in 0.5…1, got 0.4"),
    ],
)
def test_numbers_that_a_canvas_cannot_have_are_named(
    root: Path, rules: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        canvas(root, 0, **rules)
