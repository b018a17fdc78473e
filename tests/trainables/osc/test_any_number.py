"""How representations are measured: any number of scenes, of clips, of slots."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.osc import small
from trainables.core.session import LocalSession
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.measuring import Measuring
from trainables.osc.targets import targets


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with tiny stores."""
    folder = tmp_path_factory.mktemp("data")
    small.provide(folder)
    return folder


CLIPS: dict[str, Any] = {"data.name": "movi_c", "views.kind": "frames"}


def made(root: Path, **values: Any) -> RepresentationExperiment:
    """The experiment, small, with its data."""
    start = Representation().with_values({**small.values(Representation()), **values})
    config = start.with_values(
        {"data.root": str(root), "training.batch_size": 2, "training.steps": 1, **values}
    )
    experiment = RepresentationExperiment.create(config.to_json())
    experiment.load()
    return experiment


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize(
    "values",
    [
        {"evaluation.scenes": 2, "evaluation.pictures": 4},
        {**CLIPS, "evaluation.scenes": 3, "evaluation.pictures": 4},
        {**CLIPS, "evaluation.scenes": 7, "queries.kind": "kmeans", "evaluation.num_slots": 3},
        {**CLIPS, "queries.kind": "sampled", "evaluation.num_slots": 12},
        {"loss.objects": "ctr_all", "queries.num_slots": 1},
    ],
)
def test_whatever_is_measured_is_a_number(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    """With as few scenes, or as many slots, as there may be; clips are not torn apart."""
    session = LocalSession(tmp_path)
    RepresentationExperiment.run(made(root, **values).config.to_json(), session)
    [metrics] = session.reports.values()
    defined = {name: one for name, one in metrics.items() if "right_matches" not in name}
    assert all(math.isfinite(one) for one in defined.values()), defined
    assert "figures/val-views.png" in session.artifacts


@pytest.mark.parametrize(("limit", "number"), [(None, 8), (12, 3), (13, 3), (1, 2)])
def test_clips_are_taken_whole(limit: int | None, number: int, root: Path) -> None:
    experiment = made(root, **CLIPS, **{"data.limit": limit})
    taken = experiment.clips("train", limit)
    assert experiment.num_examples == number and taken.shape == (number, 4)
    frames = experiment.store.splits["train"].fields["frame"][taken]
    assert (frames == np.arange(4)).all()


def test_shared_draws_are_one_for_all_views_of_all_batches(root: Path) -> None:
    values = {"queries.kind": "normal", "evaluation.shares_draws": True}
    measuring = Measuring(made(root, **values).eval())
    batches = [{"noise": torch.randn(3, 2, 11, 16)}, {"noise": torch.randn(1, 2, 11, 16)}]
    first, second = (measuring._shared(batch, "val")["noise"] for batch in batches)
    assert torch.equal(first, first[:1, :1].expand_as(first))
    assert torch.equal(second, first[:1])


@pytest.mark.parametrize("kind", ["sampled", "kmeans"])
def test_scenes_score_the_same_whatever_is_looked_at_together(
    kind: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = made(root, **{"queries.kind": kind}).eval()
    found: list[dict[str, float]] = []
    for number in (8, 3):
        monkeypatch.setattr("trainables.osc.measuring.AT_ONCE", number)
        with torch.inference_mode():
            found.append(Measuring(experiment).measure("val", False).values)
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_blind_rows_have_as_many_segments_as_slots_are_kept(root: Path) -> None:
    """With two of eleven slots, blocks are two halves, and fit what two slots can."""
    values: dict[str, Any] = {
        "objects.kind": "competitive_attention",
        "loss.objects": "sim_img",
        "data.name": "tetrominoes",
    }
    rows = [
        Measuring(made(root, **values, **more).eval()).references("val")["blocks"]
        for more in ({"objects.max_queries": 2}, {"queries.num_slots": 2}, {})
    ]
    assert rows[0] == rows[1] != rows[2]


def test_sampled_queries_repeat_in_evaluation_and_differ_between_images(root: Path) -> None:
    start = {"queries.kind": "sampled", "queries.components": 3}
    for number in (None, 4):
        measuring = Measuring(made(root, **start, **{"evaluation.num_slots": number}).eval())
        first, again = (measuring._draws("val", np.arange(3), 16) for _ in range(2))
        noise = first["noise"]
        assert noise.shape == (3, 1, number or 11, 16) and torch.equal(noise, again["noise"])
        assert not torch.equal(noise[0], noise[1])
        assert torch.equal(first["choices"], again["choices"])


@pytest.mark.parametrize(("name", "scenes", "fitted"), [("movi_c", 8, 4), ("tetrominoes", 8, 6)])
def test_probes_are_tested_on_clips_that_they_have_not_learned_from(
    name: str, scenes: int, fitted: int, root: Path
) -> None:
    """Of two clips of four frames, one each; of pictures, three quarters."""
    store = made(root, **{"data.name": name}).store
    asked = targets(store, "val", np.arange(scenes))
    assert (asked.fitting, asked.testing) == (slice(0, fitted), slice(fitted, scenes))
