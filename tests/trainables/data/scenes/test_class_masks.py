"""Pictures with masks of classes: in the order of their times, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.data.scenes.catalog import MARITIME, SCENE_SETS
from trainables.data.scenes.class_masks import ClassMaskScenes
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.store import Store, open_store

MASSMIND = SCENE_SETS["massmind"]
NUMBER, ROWS, COLUMNS = 14, 8, 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures whose names do not come in the order of their times as words."""
    for below in ("images", "masks"):
        (tmp_path / "massmind" / below).mkdir(parents=True)
    for place in range(NUMBER):
        picture, mask = expected(place)
        name = f"{99 + place // 2}_{500_000 * (place % 2)}"
        Image.fromarray(picture).save(tmp_path / "massmind" / "images" / f"{name}.png")
        suffix = "_label_ground-truth_semantic_v2" if place % 3 else ""
        Image.fromarray(mask).save(tmp_path / "massmind" / "masks" / f"{name}{suffix}.png")
    return tmp_path


def expected(place: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture and mask number so much by its time."""
    draw = np.random.default_rng(place)
    picture = draw.integers(0, 256, (ROWS, COLUMNS), dtype=np.uint8)
    return picture, draw.integers(0, 8, (ROWS, COLUMNS), dtype=np.uint8)


def prepared(folder: Path, **options: object) -> Store:
    sizes = {"train": 10, "val": 2, "test": 2}
    given = {"image_size": ROWS, "sizes": sizes, **options}
    return open_store(MASSMIND.prepare(folder, progress=lambda done, total: None, **given))


def test_splits_follow_one_another_in_time_and_nothing_is_changed(folder: Path) -> None:
    store = prepared(folder)
    assert [len(store.splits[name]) for name in ("train", "val", "test")] == [10, 2, 2]
    for name, start in (("train", 0), ("val", 10), ("test", 12)):
        scenes = store.splits[name]
        for place in range(len(scenes)):
            picture, mask = expected(start + place)
            assert np.array_equal(scenes.images(np.array([place]))[0, ..., 0], picture)
            assert np.array_equal(scenes.labels(np.array([place]))[0], mask)
            seen = [int((mask == one).any()) for one in range(len(MARITIME))]
            assert scenes.fields["visibility"][place].tolist() == seen
            assert scenes.counts[place] == sum(seen[1:])
            assert scenes.fields["seconds"][place] == 99 + (start + place) // 2


def test_the_usual_sizes_are_shares_and_pictures_keep_their_proportions(folder: Path) -> None:
    files = MASSMIND.found(folder / "massmind")
    source = ClassMaskScenes(files, Frame(4, "whole"), {}, lambda done: None, classes=7)
    assert source.splits(NUMBER) == {"train": (0, 10), "val": (10, 12), "test": (12, 14)}
    images = [piece.images.shape for piece in source.pieces(3)]
    assert images == [(NUMBER - 3, 4, 5, 1)]


def test_a_crop_leaves_the_classes_that_are_in_it(folder: Path) -> None:
    scenes = prepared(folder, crop="square").splits["train"]
    labels = scenes.labels(np.arange(10))
    assert labels.shape == (10, ROWS, ROWS)
    for one, count in zip(labels, scenes.counts, strict=True):
        assert count == len({*one.flatten().tolist()} & {1, 2, 3, 4, 5, 6})


def test_what_is_no_pair_is_refused_by_its_name(folder: Path) -> None:
    images, masks = (folder / "massmind" / below for below in ("images", "masks"))
    with pytest.raises(ValueError, match="must be at most the 14 pictures together, got 15"):
        prepared(folder, sizes={"train": 13, "val": 1, "test": 1})
    Image.new("L", (4, 4)).save(masks / "99_0_other.png")
    with pytest.raises(ValueError, match=r"99_0_other.png must be the only mask of its picture"):
        prepared(folder)
    (masks / "99_0_other.png").rename(masks / "9999_0.png")
    with pytest.raises(ValueError, match=r"9999_0.png must have a picture below images"):
        prepared(folder)
    (masks / "9999_0.png").rename(masks / "99_500000_label.png")
    (masks / "99_500000_label_ground-truth_semantic_v2.png").unlink()
    with pytest.raises(ValueError, match=r"must be as large as its picture, \(8, 10\), got \(4, 4"):
        prepared(folder)
    (masks / "99_500000_label.png").unlink()
    with pytest.raises(ValueError, match=r"99_500000.png must have a mask"):
        prepared(folder)
    (images / "99_500000.png").rename(images / "first.png")
    with pytest.raises(ValueError, match=r"first.png must be called <seconds>_<microseconds>"):
        prepared(folder)


def test_deep_pictures_are_refused(folder: Path) -> None:
    path = folder / "massmind" / "images" / "99_0.png"
    Image.fromarray(np.zeros((ROWS, COLUMNS), np.uint16)).save(path)
    with pytest.raises(ValueError, match=r"99_0.png cannot be read \(its mode must be L or RGB"):
        prepared(folder)
