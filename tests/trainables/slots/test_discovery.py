"""Object discovery: its loss, and what its evaluations say, against counting by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from tests.trainables.slots import small
from trainables.core.experiment import Evaluated
from trainables.data.scenes.formats import Piece
from trainables.data.scenes.writing import StoreWriter
from trainables.slots import discovery
from trainables.slots.config import Discovery
from trainables.slots.discovery import DiscoveryExperiment
from trainables.slots.parts import Setting
from trainables.slots.scenes import read

SPLITS = {"train": (0, 16), "val": (16, 24), "test": (24, 32)}
SETS = {"tetrominoes": True, "clevr": False}
"""And whether they have labels."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with scenes of one to three bright squares on black below it."""
    folder, random = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0)
    counts = random.integers(1, 4, 32).astype(np.uint8)
    labels = np.zeros((32, 16, 16), np.uint8)
    for scene, count in enumerate(counts):
        for entity in range(count):
            row, column = random.integers(0, 12, 2)
            labels[scene, row : row + 4, column : column + 4] = entity + 1
    colors = np.concatenate([np.zeros((1, 3)), random.integers(50, 255, (3, 3))]).astype(np.uint8)
    for name, has_labels in SETS.items():
        store = small.VALUES["slots.discovery"] | {"data.name": name, "data.root": str(folder)}
        writer = StoreWriter(Discovery().with_values(store).data.folder(), {})
        writer.add(Piece(colors[labels], labels if has_labels else None, {"counts": counts}))
        writer.finish(lambda count: SPLITS, lambda: {"num_background": 1})
    return folder


def loaded(root: Path, **values: Any) -> DiscoveryExperiment:
    """A small experiment with its data; a double underscore is a dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    config = Discovery().with_values(
        {
            **small.VALUES["slots.discovery"],
            "data.name": "tetrominoes",
            "data.root": str(root),
            "training.batch_size": 4,
            "slots.num_slots": 3,
            **named,
        }
    )
    experiment = DiscoveryExperiment.create(config.to_json())
    experiment.load()
    return experiment


def measured(
    experiment: DiscoveryExperiment, setting: Setting | None = None, last: bool = False
) -> Evaluated:
    """An evaluation on the validation split, as the loop makes it."""
    experiment.eval()
    with torch.inference_mode():
        return experiment.measure("val", setting or experiment.config.evaluation.main, last)


def test_the_loss_is_the_mean_square_of_what_is_drawn_wrong(root: Path) -> None:
    experiment = loaded(root)
    batch = experiment.batch(3)
    drawn = experiment.autoencoder(batch["images"], batch["noise"]).reconstruction
    found = experiment(batch, 3)
    assert torch.isclose(found.total, ((drawn - batch["images"]) ** 2).mean())
    assert torch.equal(found.terms["mse"], found.total)


@pytest.mark.parametrize(("step", "weight"), [(1, 2.0), (6, 1.0), (11, 0.0), (500, 0.0)])
def test_the_weight_of_a_step_is_that_behind_the_updates_before_it(
    root: Path, step: int, weight: float
) -> None:
    experiment = loaded(root, weights__reconstruction=[[0, 2.0], [10, 0.0]])
    found = experiment(experiment.batch(step), step)
    assert float(found.terms["weight"]) == weight
    assert torch.isclose(found.total, weight * found.terms["mse"])


def test_a_constant_weight_multiplies(root: Path) -> None:
    experiment = loaded(root, weights__reconstruction=0.5)
    found = experiment(experiment.batch(1), 1)
    assert torch.isclose(found.total, 0.5 * found.terms["mse"])


def test_its_scores_are_those_of_the_largest_masks(root: Path) -> None:
    experiment = loaded(root)
    found = measured(experiment).values
    positions = experiment.positions("val", experiment.config.evaluation.main)
    scenes = experiment._measured.splits["val"]
    (look,) = experiment.looked_at("val", experiment.config.evaluation.main)
    with torch.no_grad():
        seen = experiment.autoencoder(read(scenes, positions), look.noise)
    true, masks = scenes.labels(positions), seen.masks.argmax(1).numpy()
    images = [adjusted_rand_score(a.ravel(), b.ravel()) for a, b in zip(true, masks, strict=True)]
    inside = [adjusted_rand_score(a[a > 0], b[a > 0]) for a, b in zip(true, masks, strict=True)]
    error = (seen.reconstruction - look.images).square().mean()
    expected = {"ari": np.mean(images), "foreground_ari": np.mean(inside), "mse": float(error)}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_attention_is_compared_pixel_by_pixel_when_its_grid_is_smaller(root: Path) -> None:
    experiment = loaded(root, encoder__halvings=2)
    found = measured(experiment).values
    scenes, main = experiment._measured.splits["val"], experiment.config.evaluation.main
    (look,) = experiment.looked_at("val", main)
    with torch.no_grad():
        attention = experiment.autoencoder(look.images, look.noise).attention
    most = attention.argmax(1).view(-1, 4, 4).numpy().repeat(4, 1).repeat(4, 2)
    true = scenes.labels(look.positions)
    scores = [adjusted_rand_score(a.ravel(), b.ravel()) for a, b in zip(true, most, strict=True)]
    assert found["attention/ari"] == pytest.approx(np.mean(scores))
    used = [len(np.unique(one)) for one in most]
    assert found["attention/slots_used"] == pytest.approx(np.mean(used))


def test_how_many_scenes_are_seen_at_once_changes_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = loaded(root)
    expected = measured(experiment, last=True).values
    monkeypatch.setattr(discovery, "AT_ONCE", 1)
    assert measured(experiment, last=True).values == pytest.approx(expected, abs=1e-6)


def test_a_setting_has_slots_and_iterations_of_its_own(root: Path) -> None:
    experiment = loaded(root)
    found = measured(experiment, Setting(num_slots=9, iterations=1)).values
    assert 0 < found["entropy"] <= np.log(9) + 1e-9
    assert found != measured(experiment, Setting(num_slots=9, iterations=2)).values


def test_at_the_last_time_scores_are_also_given_by_number_of_objects(root: Path) -> None:
    experiment = loaded(root)
    setting = Setting(scenes=None)
    found = measured(experiment, setting, last=True).values
    counts = experiment._measured.splits["val"].counts
    each = {n: found[f"foreground_ari/{n}_objects"] for n in np.unique(counts)}
    assert np.mean([each[n] for n in counts]) == pytest.approx(found["foreground_ari"])
    assert not any("objects" in name for name in measured(experiment, setting).values)


def test_the_records_say_of_each_scene_what_the_means_are_of(root: Path, tmp_path: Path) -> None:
    experiment = loaded(root)
    found = measured(experiment, last=True)
    found.records["scenes"](tmp_path / "scenes.csv")
    with (tmp_path / "scenes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["position"]) for row in rows] == [0, 1, 2, 3]
    for name in ("mse", "ari", "attention/foreground_ari", "entropy"):
        assert np.mean([float(row[name]) for row in rows]) == pytest.approx(found.values[name])


def test_its_pictures_are_written_at_the_last_time_only(root: Path, tmp_path: Path) -> None:
    experiment = loaded(root)
    found = measured(experiment, last=True)
    for name, draw in found.figures.items():
        draw(tmp_path / f"{name}.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scenes.png", "slots.png"]
    assert not measured(experiment).figures


def test_no_pictures_are_drawn_if_none_are_asked_for(root: Path) -> None:
    assert not measured(loaded(root, evaluation__pictures=0), last=True).figures


def test_slots_with_vectors_of_their_own_take_no_noise(root: Path) -> None:
    experiment = loaded(root, slots__prior="learned", evaluation__more__num_slots=None)
    assert torch.isfinite(experiment(experiment.batch(1), 1).total)
    assert measured(experiment).values["slots_used"] <= 3


def test_of_scenes_without_labels_only_what_needs_none_is_said(root: Path) -> None:
    found = measured(loaded(root, data__name="clevr"), last=True)
    assert set(found.values) == {"mse", "entropy", "slots_used", "attention/slots_used"}
    assert set(found.figures) == {"scenes", "slots"}
