"""What learns nothing, on the very scenes that are measured, against counting by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from tests.trainables.slots import small
from trainables.metrics.blind import blocks
from trainables.slots.config import Dinosaur, Discovery, SetPrediction
from trainables.slots.dinosaur import DinosaurExperiment
from trainables.slots.discovery import DiscoveryExperiment
from trainables.slots.parts import Setting
from trainables.slots.scenes import SceneExperiment
from trainables.slots.set_prediction import SetPredictionExperiment

KINDS: dict[type[SceneExperiment], type[Discovery | SetPrediction | Dinosaur]] = {
    DiscoveryExperiment: Discovery,
    SetPredictionExperiment: SetPrediction,
    DinosaurExperiment: Dinosaur,
}
ROWS = {"grid", "blocks", "colors", "components"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with tiny scenes of every set."""
    folder = tmp_path_factory.mktemp("references")
    small.provide(folder)
    return folder


def loaded(kind: type[SceneExperiment], root: Path, **values: object) -> SceneExperiment:
    config = KINDS[kind]()
    named = {name.replace("__", "."): value for name, value in values.items()}
    config = config.with_values({**small.values(config), "data.root": str(root), **named})
    experiment = kind.create(config.to_json())
    experiment.load()
    return experiment


@pytest.mark.parametrize("slots", [4, 5, 7])
@pytest.mark.parametrize("most", [None, 5])
def test_blocks_are_scored_on_the_scenes_of_the_evaluation(
    root: Path, slots: int, most: int | None
) -> None:
    experiment = loaded(DiscoveryExperiment, root, data__max_objects=None)
    setting = Setting(num_slots=slots, scenes=5, max_objects=most)
    found = experiment.references("val", setting)
    scenes = experiment._measured.splits["val"]  # pyright: ignore[reportPrivateUsage]
    wanted: list[float] = []
    for labels in scenes.labels(experiment.positions("val", setting)):
        inside = labels > 0
        cut = blocks(slots, labels.shape).numpy()
        wanted.append(adjusted_rand_score(labels[inside], cut[inside]))
    assert found["blocks"]["foreground_ari"] == pytest.approx(np.mean(wanted))
    assert found["blocks"]["attention/foreground_ari"] == found["blocks"]["foreground_ari"]
    assert found["grid"]["slots_used"] == 4 and found["blocks"]["slots_used"] == slots


@pytest.mark.parametrize("kind", KINDS)
def test_rows_have_the_names_of_the_evaluation(kind: type[SceneExperiment], root: Path) -> None:
    experiment = loaded(kind, root)
    for evaluation in experiment.evaluations():
        assert evaluation.references is not None
        with torch.inference_mode():
            experiment.eval()
            values, rows = evaluation.function(False).values, evaluation.references()
        assert rows.keys() >= ROWS
        ari = {name for name in values if name.endswith("foreground_ari")}
        assert ari and all(ari <= rows[row].keys() for row in ROWS)


def test_sets_that_are_the_same_for_each_image_are_scored_as_predictions(root: Path) -> None:
    experiment = loaded(SetPredictionExperiment, root)
    assert isinstance(experiment, SetPredictionExperiment)
    rows = experiment.references("val", experiment.config.evaluation.main)
    for name in ("mean_set", "frequent_set"):
        assert 0 <= rows[name]["ap/0.125"] <= rows[name]["ap/inf"] < 1
        assert rows[name]["loss"] > 0
    counts = experiment._measured.splits["val"].counts[:4].astype(int)  # pyright: ignore[reportPrivateUsage]
    trained = experiment._train.counts[experiment._order].mean()  # pyright: ignore[reportPrivateUsage]
    slots = experiment.config.slots.num_slots
    claimed = slots if trained / slots > 0.5 else 0  # one confidence for all of them
    assert rows["mean_set"]["count_error"] == pytest.approx(np.abs(claimed - counts).mean())


def test_scenes_without_labels_have_no_rows_of_segments(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = loaded(DiscoveryExperiment, root)
    monkeypatch.setattr("trainables.data.scenes.store.Scenes.has_labels", False)
    assert experiment.references("val", Setting()) == {}
