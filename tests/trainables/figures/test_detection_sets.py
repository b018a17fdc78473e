"""What is shown of a set with boxes is what is annotated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.data.detection.catalog import COCO, TINY
from trainables.data.detection.store import open_set
from trainables.figures.detection_sets import boxed, show_boxes
from trainables.figures.palette import color
from trainables.synthetic.catalog import MAKERS


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    for size in (96, 64):
        MAKERS["tiny"].make(
            root, scenes=16, image_size=size, seed=0, progress=lambda done, total: None, rules={}
        )
    return root


def test_numbers_are_those_of_the_set(root: Path, tmp_path: Path) -> None:
    found = show_boxes(
        TINY, root, split="train", count=8, store="tiny-96", into=tmp_path / "tiny.png"
    )
    opened = open_set(TINY, root, image_size=96)
    splits = opened.splits.items()
    assert found.rows == [
        {
            "class": name,
            "number": number,
            **{
                split: sum(int((one.targets(e).classes == number).sum()) for e in range(len(one)))
                for split, one in splits
            },
        }
        for number, name in opened.categories.items()
    ]
    assert found.facts["pictures"] == "8 train, 4 val, 4 test" and found.facts["crowds"] == "2"
    assert found.facts["each"] == "1.88, at most 7; 25.0% of train have none"
    with Image.open(found.picture) as page:
        assert page.width > 2 * 256 and page.height > 8 * 256


def test_a_box_is_drawn_at_its_edges_in_the_colour_of_its_class(root: Path) -> None:
    split = open_set(TINY, root, image_size=96).split("train")
    height, width = split.size(0)
    image = boxed(torch.zeros(2 * height, 2 * width, 3, dtype=torch.uint8), split, 0, 2.0)
    rows, columns = np.nonzero((image.numpy() == list(bytes.fromhex(color(1)[1:]))).all(-1))
    boxes = 2 * split.targets(0).boxes
    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert np.abs(seen - [*boxes[:, :2].min(0), *boxes[:, 2:].max(0)]).max() <= 1


def test_one_size_of_several_is_named(root: Path, tmp_path: Path) -> None:
    into = tmp_path / "a.png"
    with pytest.raises(
        LookupError, match="--store must be one of tiny-64, tiny-96, got 'tiny-160'"
    ):
        show_boxes(TINY, root, split="val", count=1, store=None, into=into)
    with pytest.raises(ValueError, match="--split must be one of train, val, test, got 'none'"):
        show_boxes(TINY, root, split="none", count=1, store="tiny-64", into=into)
    with pytest.raises(LookupError, match="data set coco is not there"):
        show_boxes(COCO, root, split="val", count=1, store=None, into=into)
    assert not into.exists() and TINY.missing(root) is None
    assert "run `raysearch data make tiny --root" in str(TINY.missing(root, image_size=0))
    assert "--image-size 128" in str(TINY.missing(root, image_size=128))
    assert TINY.check(root) == []
