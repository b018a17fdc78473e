"""Which scenes are taken; every set trains on images in 0…1, and has labels where it has masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.data.scenes import written
from tests.trainables.data.scenes.test_clevr import clevr
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.choosing import chosen, pixels
from trainables.data.scenes.formats import SCHEMAS
from trainables.data.scenes.prepare import prepare
from trainables.data.scenes.store import open_store
from trainables.metrics.masks import entity_masks


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != "garments"])
def test_each_split_of_records_has_images_and_masks(tmp_path: Path, name: str) -> None:
    file = SCENE_SETS[name].forms[0][0]
    scenes = [written.scene(name, seed) for seed in range(8)]
    written.write(tmp_path / name / file, scenes)
    store = open_store(prepare(SCENE_SETS[name], tmp_path, image_size=12, crop="none"))
    background, entities = store.num_background, SCHEMAS[name].entities
    for split in (one for one in store.splits.values() if len(one)):
        place = np.arange(len(split))
        found = pixels(split, place)
        assert found.shape == (len(place), 3, 12, 12) and found.dtype == torch.float32
        labels = torch.from_numpy(split.labels(place))
        there = entity_masks(labels, 1 + entities - background).flatten(2).any(2)
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
        assert np.array_equal(found.labels(np.arange(3)), expected)
        codes = np.stack([each["color"] for each in scenes[first : first + 3]])
        assert np.array_equal(found.fields["color"][:3], codes)


def test_a_set_without_masks_has_images(tmp_path: Path) -> None:
    clevr(tmp_path / "clevr", 3, 2)
    split = open_store(prepare(SCENE_SETS["clevr"], tmp_path, image_size=8)).splits["train"]
    assert pixels(split, np.arange(2)).shape == (2, 3, 8, 8)


def test_scenes_are_chosen_by_objects_and_by_draw(tmp_path: Path) -> None:
    name = "clevr_with_masks"
    scenes = [written.scene(name, seed) for seed in range(20)]
    written.write(tmp_path / name / SCENE_SETS[name].forms[0][0], scenes)
    split = open_store(prepare(SCENE_SETS[name], tmp_path, image_size=12)).splits["train"]

    def taken(least: int, most: int | None, limit: int | None, seed: int = 0) -> list[int]:
        draw = torch.Generator().manual_seed(seed)
        found = chosen(
            split, min_objects=least, max_objects=most, frames=None, limit=limit, draw=draw
        )
        return found.tolist()

    every = list(range(len(split)))
    assert taken(0, None, None) == every == taken(0, None, len(split))
    half = int(np.median(split.counts))
    assert taken(0, half, None) == [one for one in every if split.counts[one] <= half]
    some = taken(0, None, 5)
    assert len(set(some)) == 5 and some == sorted(some) == taken(0, None, 5)
    assert some != taken(0, None, 5, seed=1)
