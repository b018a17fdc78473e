"""Made thermal pictures: each class is there, warm is bright, and they come back as written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainables.data.scenes.catalog import MARITIME, SCENE_SETS
from trainables.data.scenes.store import open_store
from trainables.synthetic import maritime
from trainables.synthetic.writing import write_set


def test_what_is_written_is_what_is_prepared(tmp_path: Path) -> None:
    massmind = SCENE_SETS["massmind"]
    folder = massmind.folder(tmp_path, made=True, image_size=32)
    write_set("massmind", folder, scenes=20, image_size=32, seed=3)
    options = {"made": True, "image_size": 32}
    store = open_store(massmind.prepare(tmp_path, progress=lambda done, total: None, **options))
    assert [len(store.splits[name]) for name in ("train", "val", "test")] == [14, 3, 3]
    scenes = store.splits["val"]
    for place in range(3):
        made = maritime.scene(3, 14 + place, image_size=32)
        assert np.array_equal(scenes.images(np.array([place]))[0, ..., 0], made["image"])
        assert np.array_equal(scenes.labels(np.array([place]))[0], made["mask"])
    assert scenes.images(np.array([0])).shape == (1, 32, 40, 1)


def test_each_class_is_there_and_living_ones_are_warmer_than_the_sky() -> None:
    made = [maritime.scene(0, index, image_size=48) for index in range(30)]
    images = np.stack([np.asarray(one["image"]) for one in made])
    masks = np.stack([np.asarray(one["mask"]) for one in made])
    assert np.bincount(masks.ravel(), minlength=len(MARITIME)).min() > 0
    means = [images[masks == one].mean() for one in range(len(MARITIME))]
    assert means[maritime.LIVING] == max(means) and means[maritime.SKY] == min(means)


def test_numbers_that_it_cannot_have_are_refused() -> None:
    assert np.asarray(maritime.scene(0, 0, image_size=32, boats=0)["mask"]).shape == (32, 40)
    with pytest.raises(ValueError, match="image_size must be at least 32 for massmind, got 31"):
        maritime.scene(0, 0, image_size=31)
    with pytest.raises(ValueError, match="boats must be 0…10, got 11"):
        maritime.scene(0, 0, image_size=32, boats=11)
