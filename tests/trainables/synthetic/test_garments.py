"""Scenes of garments: real ones of the split, each pixel of the last one there, boxes of masks."""

from __future__ import annotations

import contextlib
import gzip
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from tests.trainables.data.files import idx
from trainables.data.catalog import FASHION_MNIST
from trainables.data.names import FASHION_CLASSES
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.store import open_store
from trainables.settings.scenes import Scenes
from trainables.synthetic import garments
from trainables.synthetic.catalog import MAKERS
from trainables.synthetic.sets import MADE
from trainables.synthetic.splits import split_of
from trainables.synthetic.writing import write_set

GREYS = {"train": range(50, 100), "val": range(100, 110), "test": range(150, 170)}
"""Of the only colour of each picture, from which its split and class are known."""


def pictures(greys: list[int]) -> np.ndarray:
    """A rectangle of one grey each, with a gap within that belongs to it."""
    found = np.zeros((len(greys), 28, 28), np.uint8)
    for image, grey in zip(found, greys, strict=True):
        image[4 : 24 - grey % 5, 3 + grey % 4 : 25] = grey
        image[12:14, 12:14] = 0
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with files in the form of Fashion-MNIST."""
    root = tmp_path_factory.mktemp("root")
    (root / "fashion_mnist").mkdir()
    train = [*GREYS["train"], *GREYS["val"]]
    for part, greys in (("train", train), ("t10k", list(GREYS["test"]))):
        labels = np.array(greys, np.uint8) % 10
        for kind, array in (("images-idx3", pictures(greys)), ("labels-idx1", labels)):
            path = root / "fashion_mnist" / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(idx(array)))
    return root


def scene(root: Path, index: int, **rules: Any) -> dict[str, Any]:
    files = tuple(root / "fashion_mnist" / file.name for file in FASHION_MNIST.forms[0])
    chosen: dict[str, Any] = {"image_size": 64, "files": files, **rules}
    return dict(garments.scene(0, index, **chosen))


@pytest.mark.parametrize("index", range(8))
def test_a_garment_is_one_of_the_split_with_its_class(root: Path, index: int) -> None:
    made = scene(root, index)
    split = split_of(index).removesuffix("idation")
    masks = made["mask"][..., 0] > 0
    seen = [int(made["image"][mask].max()) for mask in masks[1:] if mask.any()]
    assert set(seen) <= set(GREYS[split]) and 2 <= len(set(seen)) == len(seen) <= 5
    classes = [1 + grey % 10 for grey in seen]
    assert made["garment"].tolist() == [0, *classes, *[0] * (6 - len(classes))]
    assert made["visibility"].tolist() == [1.0] * (1 + len(seen)) + [0.0] * (6 - len(seen))


@pytest.mark.parametrize("index", range(4))
def test_masks_hold_each_pixel_once_and_the_background_is_of_one_grey(
    root: Path, index: int
) -> None:
    made = scene(root, index, tinted=True)
    masks = made["mask"][..., 0] > 0
    assert masks.shape == (7, 64, 64) and (masks.sum(0) == 1).all()
    assert len(np.unique(made["image"][masks[0]])) == 1
    assert all(np.ptp(made["image"][mask], axis=-1).max() > 0 for mask in masks[1:] if mask.any())


@pytest.mark.parametrize("index", range(6))
def test_a_later_garment_hides_the_earlier_ones(root: Path, index: int) -> None:
    made = scene(root, index, least=5)
    last = made["mask"][5, ..., 0] > 0  # a rectangle that nothing is before
    x, y, width, height = made["box"][5] * 64
    left, top = round(x - width / 2), round(y - height / 2)
    inside = last[top : top + round(height), left : left + round(width)]
    assert last.sum() == inside.sum() >= inside.size - 4  # of a reduced one corners may be blurred
    assert inside[1:-1].all() and inside[:, 1:-1].all()


def test_a_box_is_the_tightest_around_what_is_seen() -> None:
    masks = np.random.default_rng(0).random((3, 9, 9)) < 0.05
    masks[2] = False
    found = garments.boxes(masks)
    for box, mask in zip(found[1:3], masks, strict=False):
        places = np.argwhere(mask)
        (top, left), (bottom, right) = places.min(0), places.max(0) + 1
        middle = (left + right) / 2, (top + bottom) / 2
        expected = np.array([*middle, right - left, bottom - top]) / 9
        np.testing.assert_allclose(box, expected, rtol=1e-6)
    assert not found[0].any() and not found[3].any()


@pytest.mark.slow  # TensorFlow's import
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_the_store_and_coco_hold_the_same_scenes(root: Path) -> None:
    options: dict[str, Any] = {"image_size": 32, "progress": lambda done, total: None}
    folder = MAKERS["garments"].make(root, scenes=12, seed=0, rules={"coco": True}, **options)
    SCENE_SETS["garments"].prepare(root, made=True, **options)
    store = open_store(Scenes(name="garments", made=True, image_size=32, root=str(root)).folder())
    assert [len(store.splits[split]) for split in ("train", "val", "test")] == [9, 2, 1]
    for split, scenes in store.splits.items():
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(folder / "coco/annotations" / f"instances_{split}.json")
        assert len(coco.imgs) == len(scenes)
        for number in coco.imgs:
            place = np.array([number - 1])
            labels, found = scenes.labels(place)[0], coco.loadAnns(coco.getAnnIds(number))
            assert len(found) == scenes.counts[number - 1] == labels.max()
            for entity, annotation in enumerate(found, 1):
                assert np.array_equal(coco.annToMask(annotation) > 0, labels == entity)
                x, y, width, height = scenes.fields["box"][number - 1, entity] * 32
                box = [x - width / 2, y - height / 2, width, height]
                np.testing.assert_allclose(annotation["bbox"], box, atol=1e-5)
                assert annotation["category_id"] == scenes.fields["garment"][number - 1, entity]
        assert [coco.cats[one]["name"] for one in sorted(coco.cats)] == list(FASHION_CLASSES)


def test_without_the_pictures_one_sentence_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_below_root = replace(FASHION_MNIST, places=("fashion_mnist",))
    monkeypatch.setitem(MADE, "garments", replace(MADE["garments"], needs=only_below_root))
    said = "garments is made of fashion_mnist: data set fashion_mnist is not there .*; run `raysear"
    with pytest.raises(LookupError, match=said):
        write_set("garments", tmp_path / "made/garments-64", scenes=3, root=tmp_path)
    assert not any(tmp_path.rglob("*.tfrecords"))


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"image_size": 27}, "image_size must be at least 28 for garments, got 27"),
        ({"least": 0}, "least and most must be 1 ≤ least ≤ most ≤ 6, got 0, 5"),
        ({"least": 6}, "least and most must be 1 ≤ least ≤ most ≤ 6, got 6, 5"),
        ({"most": 7}, "least and most must be 1 ≤ least ≤ most ≤ 6, got 2, 7"),
    ],
)
def test_what_a_scene_cannot_have_is_refused(root: Path, rules: dict[str, Any], said: str) -> None:
    scene(root, 0, image_size=28, least=1, most=6)
    with pytest.raises(ValueError, match=said):
        scene(root, 0, **rules)
