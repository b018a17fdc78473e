"""What has learned nothing scores, in all that is asked of trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tests.trainables.osc import small
from trainables.core import measuring
from trainables.core.session import LocalSession
from trainables.osc import probing
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.targets import targets

PROPERTIES = ("size", "color", "material", "shape")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> RepresentationExperiment:
    """A small one on tiny scenes."""
    root = tmp_path_factory.mktemp("data")
    small.provide(root)
    start = Representation()
    config = start.with_values({**small.values(start), "data.root": str(root)})
    found = RepresentationExperiment.create(config.to_json())
    found.load()
    return found


@pytest.mark.parametrize("name", PROPERTIES)
def test_properties_have_rows_of_answers_that_look_at_no_image(
    name: str, experiment: RepresentationExperiment
) -> None:
    """By chance, and by how often a value was there before; a yes counts as in the loss."""
    positions = np.arange(32)
    rows = probing.blind(experiment.store, "train", positions)
    answers = targets(experiment.store, "train", positions).properties[name].numpy()
    learned, tested = answers[:24], answers[24:]
    weights = np.where(tested, (1 - learned.mean()) / learned.mean(), 1.0)
    scores = np.broadcast_to(learned.mean(0), tested.shape)
    expected: dict[str, Any] = {
        "chance": weights[tested].sum() / weights.sum(),
        "frequency": average_precision_score(
            tested.ravel(), scores.ravel(), sample_weight=weights.ravel()
        ),
    }
    for row, value in expected.items():
        for kind in ("features", "slots"):
            assert rows[row][f"properties/{kind}/{name}"] == pytest.approx(value)


def test_properties_stand_beside_those_of_the_untrained_network(
    experiment: RepresentationExperiment, tmp_path: Path
) -> None:
    """Whose other values are what any evaluation of it has."""
    evaluation = experiment.evaluations()[0]
    found = measuring.references(experiment, [evaluation], LocalSession(tmp_path))
    rows = found["reference/val"]
    plain = measuring.made(experiment, evaluation, LocalSession(tmp_path), last=False)
    names = {name for name in rows["untrained"] if name.startswith("properties")}
    every = {f"properties/{kind}/{name}" for kind in ("features", "slots") for name in PROPERTIES}
    assert names and names <= every  # of some all answers of the few scenes are yes
    assert names == rows["frequency"].keys() and names <= rows["chance"].keys()
    others = {f"val/{name}": one for name, one in rows["untrained"].items() if name not in names}
    assert others == plain
