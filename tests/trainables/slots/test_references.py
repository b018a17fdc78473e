"""What learns nothing, on the very scenes that are measured, against counting by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from tests.trainables.slots import small
from trainables.data.scores import kept_scores
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


def test_rows_are_computed_once_for_all_runs_of_the_same_scenes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, asked = Setting(num_slots=3, scenes=4), list[int]()
    blind = DiscoveryExperiment._blind  # pyright: ignore[reportPrivateUsage]

    def counted(self: DiscoveryExperiment, scenes: Any, positions: Any, slots: int) -> Any:
        asked.append(slots)
        return blind(self, scenes, positions, slots)

    monkeypatch.setattr(DiscoveryExperiment, "_blind", counted)
    first = loaded(DiscoveryExperiment, root).references("val", setting)
    again = loaded(DiscoveryExperiment, root, slots__width=4).references("val", setting)
    assert first == again and asked == [3]
    for other in ({"num_slots": 4}, {"scenes": 3}):
        loaded(DiscoveryExperiment, root).references("val", setting.with_values(other))
    loaded(DiscoveryExperiment, root).references("test", setting)
    assert asked == [3, 4, 3, 3]


@pytest.mark.parametrize("there", [None, "", "{", "a folder"])
def test_a_file_of_scores_that_is_no_such_file_is_made_anew(
    tmp_path: Path, there: str | None
) -> None:
    rows = {"blocks": {"ari": 0.1 + 0.2}}
    assert kept_scores(tmp_path, ["a", 1], lambda: rows) == rows
    (file,) = (tmp_path / "cache" / "scores").iterdir()
    file.unlink()
    if there == "a folder":
        file.mkdir()
    elif there is not None:
        file.write_text(there)
    assert kept_scores(tmp_path, ["a", 1], lambda: rows) == rows
    assert kept_scores(tmp_path, ["a", 2], lambda: {}) == {}


def test_scenes_without_labels_have_no_rows_of_segments(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = loaded(DiscoveryExperiment, root)
    monkeypatch.setattr("trainables.data.scenes.store.Scenes.has_labels", False)
    assert experiment.references("val", Setting()) == {}
