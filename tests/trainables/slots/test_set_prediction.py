"""Set prediction: its batches, its loss, what it measures, and that it learns."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from tests.trainables.slots.test_targets import random_fields
from trainables.core.session import LocalSession
from trainables.data.scenes.catalog import store_folder
from trainables.data.scenes.formats import Piece
from trainables.data.scenes.writing import StoreWriter
from trainables.metrics.sets import average_precision
from trainables.slots.config import SetPrediction
from trainables.slots.parts import Setting
from trainables.slots.scenes import read
from trainables.slots.set_prediction import SetPredictionExperiment
from trainables.slots.set_predictor import set_loss
from trainables.slots.targets import encode

SMALL = {
    "data.image_size": 16,
    "encoder.channels": 8,
    "slots.num_slots": 5,
    "slots.width": 8,
    "slots.mlp_width": 8,
    "training.batch_size": 8,
    "evaluation.more.num_slots": None,
}
SPLITS = {"train": (0, 40), "val": (40, 60), "test": (60, 70)}
AP = {f"ap/{distance}" for distance in ("inf", "1", "0.5", "0.25", "0.125")}


def write(root: Path, *, has_labels: bool) -> Path:
    """A store of 70 scenes of 1 … 10 objects: a spot of its colour where each is."""
    fields = {**random_fields(70), "counts": np.zeros(70, np.uint8)}
    fields["counts"] = fields["visibility"][:, 1:].sum(1).astype(np.uint8)
    images, labels = np.full((70, 16, 16, 3), 90, np.uint8), np.zeros((70, 16, 16), np.uint8)
    for scene, entity in np.argwhere(fields["visibility"]):
        if entity:
            row, column = (int((fields[axis][scene, entity] + 3) / 6 * 12) for axis in "yx")
            color = fields["color"][scene, entity] * 31
            images[scene, row : row + 4, column : column + 4] = [color, 255 - color, 20 * entity]
            labels[scene, row : row + 4, column : column + 4] = entity
    folder = store_folder(
        root, "clevr_with_masks", made=True, image_size=16, crop="centre", interpolation="nearest"
    )
    writer = StoreWriter(folder, {})
    writer.add(Piece(images, labels if has_labels else None, fields))
    return writer.finish(lambda count: SPLITS, lambda: {"num_background": 1})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with small scenes below it."""
    folder = tmp_path_factory.mktemp("scenes")
    write(folder, has_labels=True)
    return folder


def configured(root: Path, **values: Any) -> SetPrediction:
    """A small configuration; a double underscore is a dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    place = {"data.root": str(root), "data.made": True}
    return SetPrediction().with_values({**SMALL, **place, **named})


def loaded(root: Path, **values: Any) -> SetPredictionExperiment:
    """A small experiment with its data."""
    experiment = SetPredictionExperiment.create(configured(root, **values).to_json())
    experiment.load()
    return experiment


@pytest.mark.parametrize("order", ["categories_first", "coordinates_first"])
@pytest.mark.parametrize("padding", ["zeros", "normalized"])
def test_a_batch_holds_images_and_targets_of_the_scenes_that_it_names(
    root: Path, order: Any, padding: Any
) -> None:
    experiment = loaded(root, target__order=order, target__padding=padding)
    batch, scenes = experiment.batch(7), experiment._train
    positions = batch["examples"].numpy()
    fields = {name: values[positions] for name, values in scenes.fields.items()}
    expected = encode(fields, order=order, padding=padding)
    np.testing.assert_array_equal(batch["targets"], expected)
    assert torch.equal(batch["images"], read(scenes, positions))


def test_measured_ranges_are_those_of_the_objects_of_the_set(root: Path) -> None:
    experiment = loaded(root, target__coordinates="measured")
    rows = experiment._targets[..., 15:18][experiment._targets[..., 18] == 1]
    facts = experiment.load()["target.ranges"]
    assert facts == tuple(tuple(experiment._store.manifest["ranges"][axis]) for axis in "xyz")
    assert 0 <= float(rows.min()) < 0.01 and 0.99 < float(rows.max()) <= 1


@pytest.mark.parametrize("slots", [5, 10, 14])
def test_the_loss_is_a_mean_over_all_pairs_of_the_batch(root: Path, slots: int) -> None:
    experiment = loaded(root, slots__num_slots=slots, absent_weight=0.5)
    batch = experiment.batch(1)
    found = experiment(batch, 1)
    each = set_loss(
        experiment.network(batch["images"], batch["noise"]).properties, batch["targets"], real=18
    )
    torch.testing.assert_close(found.total, each.matched.mean() + 0.5 * each.absent.mean())
    parts = [
        {name: value[half] for name, value in batch.items()} for half in (slice(4), slice(4, 8))
    ]
    halves = [experiment(part, 1).total for part in parts]
    torch.testing.assert_close(found.total, torch.stack(halves).mean())


def test_without_its_weight_the_loss_is_that_of_matched_slots(root: Path) -> None:
    experiment = loaded(root, slots__num_slots=14)
    batch = experiment.batch(1)
    predicted = experiment.network(batch["images"], batch["noise"])
    each = set_loss(predicted.properties, batch["targets"], real=18)
    loss = experiment(batch, 1)
    assert torch.equal(loss.total, each.matched.mean()) and not loss.terms


@torch.inference_mode()
@pytest.mark.parametrize("slots", [None, 12])
def test_what_is_measured_is_worked_out_from_all_scenes_at_once(
    root: Path, slots: int | None
) -> None:
    experiment = loaded(root).eval()
    setting = Setting(num_slots=slots, iterations=2, max_objects=8)
    values = experiment.measure("val", setting, False).values
    scenes = experiment._store.splits["val"]
    positions = np.flatnonzero(scenes.counts <= 8)
    noise = experiment.noise("val slots", 0, torch.from_numpy(positions), slots or 5)
    found = experiment.network(read(scenes, positions), noise, iterations=2)
    goals = torch.from_numpy(encode(scenes.fields))[torch.from_numpy(positions)]
    precision = average_precision(found.properties, goals).tolist()
    assert [values[f"ap/{at}"] for at in ("inf", "1", "0.5", "0.25", "0.125")] == precision
    each = set_loss(found.properties, goals, real=18).matched
    assert values["loss"] == pytest.approx(float(each.mean()), rel=1e-5)
    confident = (found.properties[..., 18] > 0.5).sum(1).numpy()
    error = np.abs(confident - scenes.counts[positions].astype(int)).mean()
    assert values["count_error"] == pytest.approx(error)


@torch.inference_mode()
def test_attention_is_compared_with_every_fourth_pixel(root: Path) -> None:
    experiment = loaded(root).eval()
    values = experiment.measure("val", Setting(), False).values
    scenes, positions = experiment._store.splits["val"], np.arange(20)
    noise = experiment.noise("val slots", 0, torch.arange(20), 5)
    found = experiment.network(read(scenes, positions), noise).attention.argmax(1).numpy()
    true = scenes.labels(positions)[:, ::4, ::4].reshape(20, -1)
    whole = np.mean([adjusted_rand_score(*pair) for pair in zip(true, found, strict=True)])
    objects = np.mean(
        [adjusted_rand_score(t[t > 0], f[t > 0]) for t, f in zip(true, found, strict=True)]
    )
    assert values["attention/ari"] == pytest.approx(whole)
    assert values["attention/foreground_ari"] == pytest.approx(objects)
    used = np.mean([len(set(one)) for one in found])
    assert values["slots_used"] == pytest.approx(used)


@torch.inference_mode()
def test_the_last_time_has_each_number_of_objects_and_a_line_for_each_scene(
    root: Path, tmp_path: Path
) -> None:
    experiment = loaded(root).eval()
    found = experiment.measure("val", Setting(), True)
    counts = experiment._store.splits["val"].counts
    for number in set(counts.tolist()):
        alone = Setting(min_objects=number, max_objects=number)
        some = experiment.measure("val", alone, False).values
        for name in (*AP, "attention/foreground_ari"):
            assert found.values[f"{name}/{number}_objects"] == pytest.approx(some[name])
    found.records["scenes"](tmp_path / "scenes.csv")
    rows = list(csv.DictReader((tmp_path / "scenes.csv").read_text().splitlines()))
    assert [int(row["objects"]) for row in rows] == counts.tolist()
    loss = np.mean([float(row["loss"]) for row in rows])
    assert found.values["loss"] == pytest.approx(loss)
    found.figures["scenes"](tmp_path / "scenes.png")
    assert (tmp_path / "scenes.png").stat().st_size > 1000


@torch.inference_mode()
def test_without_labels_there_is_no_comparison_of_segments(tmp_path: Path) -> None:
    write(tmp_path, has_labels=False)
    found = loaded(tmp_path).eval().measure("val", Setting(), True)
    assert AP | {"loss", "entropy", "slots_used", "count_error"} <= found.values.keys()
    assert not any("ari" in name for name in found.values)


@pytest.mark.parametrize("prior", ["gaussian", "learned", "quasi_monte_carlo"])
def test_slots_of_every_prior_are_trained(root: Path, prior: str) -> None:
    experiment = loaded(root, slots__prior=prior)
    experiment(experiment.batch(1), 1).total.backward()
    gradient = experiment.network.slot_attention.mean.grad
    assert gradient is not None and bool(gradient.any())


def test_the_number_of_slots_may_differ_from_step_to_step(root: Path) -> None:
    experiment = loaded(root, slots__least_slots=2)
    numbers = {experiment.batch(step)["noise"].shape[1] for step in range(1, 30)}
    assert numbers == {2, 3, 4, 5}
    assert bool(experiment(experiment.batch(1), 1).total.isfinite())


@pytest.mark.slow
def test_a_whole_run_learns_and_reports_what_it_promises(root: Path, tmp_path: Path) -> None:
    config = configured(
        root,
        slots__num_slots=10,
        optimizer__lr=5e-3,
        schedule__warm_up=20,
        training__steps=80,
        training__evaluate_every=40,
        training__log_every=40,
        training__save_every=40,
        evaluation__more__num_slots=12,
    )
    session = LocalSession(tmp_path)
    SetPredictionExperiment.run(config.to_json(), session)
    first, last = session.reports.values()
    assert last["val/loss"] < first["val/loss"] < 0.2
    assert last["val/count_error"] < first["val/count_error"]
    names = AP | {"loss", "count_error", "entropy", "slots_used"}
    names |= {"attention/ari", "attention/foreground_ari"}
    assert {f"{part}/{name}" for part in ("val", "more") for name in names} <= first.keys()
    files = {"records/val-scenes.csv", "records/more-scenes.csv"}
    assert files <= set(session.artifacts)


def test_the_weight_of_absent_objects_counts_only_with_more_slots_than_targets() -> None:
    plain = SetPrediction()
    assert plain.with_values({"absent_weight": 1.0}).digest() == plain.digest()
    many = plain.with_values({"slots.num_slots": 11})
    assert many.with_values({"absent_weight": 1.0}).digest() != many.digest()


@pytest.mark.parametrize("path", ["data.name", "evaluation.other_set"])
def test_only_the_sets_of_clevr_have_these_properties(path: str) -> None:
    assert SetPrediction().with_values({path: "clevr"}).value_at(path) == "clevr"
    said = f"{path} must be 'clevr' or 'clevr_with_masks', got 'tetrominoes'"
    with pytest.raises(ValueError, match=said):
        SetPrediction().with_values({path: "tetrominoes"})


def test_in_half_precision_the_loss_stays_in_single(root: Path) -> None:
    experiment = loaded(root)
    batch = experiment.batch(1)
    with torch.autocast("cpu", torch.bfloat16):
        half = experiment(batch, 1).total
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, experiment(batch, 1).total, rtol=0.02, atol=0)
