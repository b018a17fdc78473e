"""Which scenes are trained on and measured, and where their slots start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.slots import small
from trainables.data.scenes.choosing import most
from trainables.data.scenes.formats import SCHEMAS, scenes
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.store import open_store
from trainables.data.scenes.writing import StoreWriter
from trainables.slots.config import Discovery
from trainables.slots.discovery import DiscoveryExperiment
from trainables.slots.parts import Augmentation, Setting
from trainables.slots.scenes import augmented, read
from trainables.synthetic import dsprites


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    small.provide(folder)
    return folder


def config(root: Path, values: dict[str, Any] | None = None) -> Discovery:
    base = Discovery().with_values(small.values(Discovery()))
    return base.with_values(
        {"data.root": str(root), "training.batch_size": 4, "training.steps": 4, **(values or {})}
    )


def loaded(root: Path, values: dict[str, Any] | None = None) -> DiscoveryExperiment:
    experiment = DiscoveryExperiment.create(config(root, values).to_json())
    experiment.load()
    return experiment


@pytest.mark.parametrize(("least", "highest"), [(3, 3), (4, 6), (0, None)])
def test_scenes_have_as_many_objects_as_asked(root: Path, least: int, highest: int | None) -> None:
    asked = {"data.min_objects": least, "data.max_objects": highest, "training.batch_size": 1}
    experiment = loaded(root, asked)
    counts = open_store(experiment.config.data.folder()).splits["train"].counts
    assert experiment.num_examples == int(((counts >= least) & (counts <= most(highest))).sum()) > 0


def test_no_scene_at_all_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="none has 0 … 1 objects"):
        loaded(root, {"data.max_objects": 1})
    experiment = loaded(root)
    setting = Setting(min_objects=11, max_objects=12)
    with pytest.raises(ValueError, match=r"evaluation.main.min_objects .* none has 11 … 12"):
        experiment.positions("val", setting)


def test_a_limit_draws_scenes_by_the_seed_of_the_run(root: Path) -> None:
    asked = {"data.max_objects": None, "data.limit": 5}
    one, again = loaded(root, asked), loaded(root, asked)
    other = loaded(root, {**asked, "training.seed": 1})
    assert len(set(one._order)) == 5 and np.array_equal(one._order, again._order)
    assert not np.array_equal(one._order, other._order)


def test_of_clips_only_the_first_frames_are_taken(root: Path) -> None:
    frames = loaded(root, {"data.name": "movi_c", "data.frames": 1, "data.max_objects": None})
    whole = loaded(root, {"data.name": "movi_c", "data.max_objects": None})
    assert frames.num_examples * 4 == whole.num_examples


def test_a_share_is_a_part_of_the_batch_bit_for_bit(root: Path) -> None:
    experiment = loaded(root, {"augmentation.rotates": True})
    whole, places = experiment.batch(3), torch.tensor([1, 3])
    share = experiment.share(3, places)
    assert all(torch.equal(whole[name][places], share[name]) for name in whole)


def test_an_epoch_sees_each_scene_once(root: Path) -> None:
    experiment = loaded(root, {"data.max_objects": None})
    steps = experiment.num_examples // 4
    seen = torch.cat([experiment.batch(step)["examples"] for step in range(1, steps + 1)])
    assert sorted(seen.tolist()) == list(range(experiment.num_examples))


def test_the_number_of_slots_is_drawn_anew_in_each_step(root: Path) -> None:
    experiment = loaded(root, {"slots.least_slots": 5})
    counts = [experiment.slots_at(step) for step in range(1, 301)]
    assert set(counts) == {5, 6, 7} and min(map(counts.count, (5, 6, 7))) > 70
    assert counts == [experiment.slots_at(step) for step in range(1, 301)]
    assert experiment.batch(2)["noise"].shape[1] == counts[1]


@pytest.mark.parametrize("prior", ["gaussian", "quasi_monte_carlo"])
def test_noise_depends_on_the_place_not_on_the_batch(root: Path, prior: str) -> None:
    experiment = loaded(root, {"slots.prior": prior})
    whole = experiment.noise("slots", 2, torch.arange(64), 7)
    assert torch.equal(whole[[5, 9]], experiment.noise("slots", 2, torch.tensor([5, 9]), 7))
    assert abs(whole.mean()) < 0.1 and abs(whole.std() - 1) < 0.1


def test_evaluations_are_called_by_setting_and_split(root: Path) -> None:
    names = [(one.name, one.split) for one in loaded(root).evaluations()]
    assert names == [("val", "val"), ("test", "test"), ("more", "val"), ("test_more", "test")]
    alone = loaded(root, {"evaluation.more.num_slots": None}).evaluations()
    assert [one.name for one in alone] == ["val", "test"]


def test_another_set_is_measured_and_this_one_trained_on(root: Path) -> None:
    experiment = loaded(root, {"data.max_objects": None, "evaluation.other_set": "tetrominoes"})
    [look] = experiment.looked_at("val", Setting(scenes=4))
    other = open_store(config(root, {"data.name": "tetrominoes"}).data.folder())
    assert torch.equal(look.images, read(other.splits["val"], np.arange(4)))
    assert experiment.num_examples == small.SIZES["train"]


def test_images_go_from_minus_one_to_one(root: Path) -> None:
    split = open_store(config(root).data.folder()).splits["train"]
    pixels = split.images(np.arange(3)).astype(np.float64)
    expected = torch.from_numpy(pixels / 127.5 - 1).permute(0, 3, 1, 2)
    assert torch.allclose(read(split, np.arange(3)).double(), expected, atol=1e-6)


def test_a_grey_image_has_three_equal_channels(tmp_path: Path) -> None:
    scene = dsprites.scene(0, 0, image_size=16, variant="binarized")
    features = {name: np.asarray(value).reshape(1, -1) for name, value in scene.items()}
    piece = scenes(SCHEMAS["multi_dsprites_binarized"], features, Frame(image_size=16))
    writer = StoreWriter(tmp_path / "grey", {})
    writer.add(piece)
    writer.finish(lambda count: {"train": (0, count)}, lambda: {"num_background": 1})
    split = open_store(tmp_path / "grey").splits["train"]
    images = read(split, np.arange(1))
    assert images.shape == (1, 3, 16, 16) and torch.equal(
        images, images[:, :1].expand(-1, 3, -1, -1)
    )
    assert torch.equal(images[0, 0] > 0, torch.from_numpy(piece.images[0, ..., 0] > 127))


def test_mirroring_and_turning_leave_the_pixels_of_an_image() -> None:
    images = torch.rand(40, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    settings = Augmentation(flips=True, rotates=True)
    moved = augmented(images, settings, 0, 1, torch.arange(40))
    ways = torch.stack(
        [turned.rot90(k, (2, 3)) for turned in (images, images.flip(3)) for k in range(4)]
    )
    same = (ways == moved).flatten(2).all(2)
    assert same.any(0).all() and same.any(1).all()  # one of the eight each, and all occur
