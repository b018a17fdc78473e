"""What is written as COCO is what pycocotools reads."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as lengths
from pycocotools.coco import COCO

from trainables.synthetic.coco import CocoWriter, instance, run_lengths


def masks(seed: int, count: int = 3, height: int = 7, width: int = 11) -> np.ndarray:
    """Random ones that share no pixel."""
    owner = np.random.default_rng(seed).integers(0, count + 1, (height, width))
    return owner == np.arange(1, count + 1)[:, None, None]


def opened(folder: Path, split: str) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(folder / "annotations" / f"instances_{split}.json")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Two pictures for training, one for the test."""
    writer = CocoWriter(tmp_path, ("cup", "dog"), description="things")
    for number, split in enumerate(("train", "test", "train")):
        image = np.random.default_rng(number).integers(0, 256, (7, 11, 3), np.uint8)
        writer.add(split, image, masks(number), [1, 2, 1])
    writer.finish()
    return tmp_path


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of its own
def test_pycocotools_reads_the_same_masks_boxes_and_categories(written: Path) -> None:
    coco = opened(written, "train")
    for image, seed in zip((1, 2), (0, 2), strict=True):
        found: Any = coco.loadAnns(coco.getAnnIds(image))
        assert [coco.cats[each["category_id"]]["name"] for each in found] == ["cup", "dog", "cup"]
        for annotation, mask in zip(found, masks(seed), strict=True):
            assert np.array_equal(coco.annToMask(annotation), mask)
            assert annotation["bbox"] == lengths.toBbox(coco.annToRLE(annotation)).tolist()
            assert annotation["area"] == lengths.area(coco.annToRLE(annotation))


def test_pictures_are_where_the_instances_say(written: Path) -> None:
    for split, seeds in {"train": (0, 2), "test": (1,)}.items():
        coco = opened(written, split)
        assert list(coco.imgs) == list(range(1, 1 + len(seeds)))
        for facts, seed in zip(coco.imgs.values(), seeds, strict=True):
            picture = np.asarray(Image.open(written / split / facts["file_name"]))
            expected = np.random.default_rng(seed).integers(0, 256, (7, 11, 3), np.uint8)
            assert np.array_equal(picture, expected)
            assert (facts["height"], facts["width"]) == (7, 11)


@pytest.mark.parametrize("seed", range(5))
def test_run_lengths_are_those_of_pycocotools(seed: int) -> None:
    [mask] = masks(seed, 1)
    given: Any = {"size": [7, 11], "counts": run_lengths(mask)}
    ours: Any = lengths.frPyObjects(given, 7, 11)
    assert ours == lengths.encode(np.asfortranarray(mask, np.uint8))


def test_one_pixel_in_a_corner() -> None:
    mask = np.zeros((2, 3), np.bool_)
    mask[1, 2] = True
    found = instance(mask)
    assert found["bbox"] == [2, 1, 1, 1] and found["area"] == 1
    assert found["segmentation"] == {"size": [2, 3], "counts": [5, 1]}
    assert run_lengths(~mask) == [0, 5, 1] and run_lengths(np.ones((1, 2), np.bool_)) == [0, 2]
