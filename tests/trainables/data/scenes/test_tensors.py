"""Every set of scenes trains on images in 0…1, and has masks where it has labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.data.scenes import written
from tests.trainables.data.scenes.test_clevr import clevr
from trainables.data.scenes import tensors
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.formats import SCHEMAS
from trainables.data.scenes.prepare import prepare
from trainables.data.scenes.store import open_store


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != "garments"])
def test_each_split_of_records_has_images_and_masks(tmp_path: Path, name: str) -> None:
    file = SCENE_SETS[name].forms[0][0]
    scenes = [written.scene(name, seed) for seed in range(8)]
    written.write(tmp_path / name / file, scenes)
    store = open_store(prepare(SCENE_SETS[name], tmp_path, image_size=12, crop="none"))
    background, entities = store.num_background, SCHEMAS[name].entities
    for split in (one for one in store.splits.values() if len(one)):
        place = np.arange(len(split))
        found = tensors.images(split, place)
        assert found.shape == (len(place), 3, 12, 12) and found.dtype == torch.float32
        labels = tensors.labels(split, place)
        masks, there = tensors.masks(labels, 1 + entities - background)
        assert torch.equal(masks.sum(1), torch.ones(len(place), 12, 12))
        assert there[:, 1:].sum(1).tolist() == split.counts.tolist()
        assert torch.equal(
            found,
            torch.from_numpy(split.images(place) / 255).float().movedim(3, 1).expand(-1, 3, -1, -1),
        )
        assert found.is_contiguous(memory_format=torch.channels_last)


def test_clevr_with_masks_has_labels_for_validation_and_test(tmp_path: Path) -> None:
    name = "clevr_with_masks"
    scenes = [written.scene(name, seed) for seed in range(20)]
    written.write(tmp_path / name / SCENE_SETS[name].forms[0][0], scenes)
    store = open_store(prepare(SCENE_SETS[name], tmp_path, image_size=12, crop="whole"))
    assert {split: len(one) for split, one in store.splits.items()} == {
        "train": 14,
        "val": 3,
        "test": 3,
    }
    for split, first in {"train": 0, "val": 14, "test": 17}.items():
        found = store.splits[split]
        expected = np.stack([each["mask"].argmax(0) for each in scenes[first : first + 3]])
        assert np.array_equal(tensors.labels(found, np.arange(3)), expected)
        codes = np.stack([each["color"] for each in scenes[first : first + 3]])
        assert np.array_equal(found.fields["color"][:3], codes)


def test_a_set_without_masks_has_images(tmp_path: Path) -> None:
    clevr(tmp_path / "clevr", 3, 2)
    split = open_store(prepare(SCENE_SETS["clevr"], tmp_path, image_size=8)).splits["train"]
    assert tensors.images(split, np.arange(2)).shape == (2, 3, 8, 8)
    with pytest.raises(ValueError, match="labels must be of a set with masks"):
        tensors.labels(split, np.arange(2))


def test_a_mask_for_each_entity_and_none_for_more() -> None:
    labels = torch.tensor([[[0, 2], [2, 0]], [[1, 1], [1, 1]]])
    found, there = tensors.masks(labels, 3)
    assert there.tolist() == [[True, False, True], [False, True, False]]
    assert found[0, 2].tolist() == [[False, True], [True, False]]
    with pytest.raises(ValueError, match="entities must be above the highest label, 2, got 2"):
        tensors.masks(labels, 2)
