"""Benchmarks of representations: both sides do the same work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import gpu as on_gpu
from benchmarks import representations_evaluation as evaluation
from benchmarks import representations_gpu as gpu
from benchmarks import views
from tests.trainables.osc import small
from trainables.osc.config import Representation


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with tiny stores."""
    folder = tmp_path_factory.mktemp("data")
    small.provide(folder)
    return folder


def test_both_ways_of_evaluating_find_the_same_masks(root: Path) -> None:
    start = Representation().with_values({"data.made": True, "training.batch_size": 4})
    config = start.with_values({**small.values(start), "data.root": str(root)})
    experiment = evaluation.trained(config, 1)
    ours = evaluation.ours(experiment, "val")
    published = evaluation.published(experiment, "val", steps=2)
    for name in ("iou", "dice", "iou_with_background"):
        assert ours.scores[name] == pytest.approx(published.scores[name], abs=1e-6)
    assert published.total == sum(published.seconds[part] for part in evaluation.PARTS)


@pytest.mark.parametrize("setting", views.SETTINGS, ids=lambda setting: setting.name)
def test_all_views_of_a_picture_are_made(setting: views.Setting) -> None:
    assert views.ours(setting)(1) == setting.numbers


def test_torchvision_makes_as_many_views() -> None:
    setting = views.SETTINGS[-1]
    assert views.by_torchvision(setting)(1) == setting.numbers


def test_views_that_are_missing_are_not_timed() -> None:
    with pytest.raises(ValueError, match=r"^views must have 6 numbers, got 5$"):
        views.seconds(lambda count: 5, count=2, numbers=3)


@pytest.mark.parametrize("precision", on_gpu.PRECISIONS)
def test_a_step_on_the_cpu_waits_for_nobody(precision: str) -> None:
    values = {"training.precision": precision, "training.batch_size": 2, "training.seed": 0}
    start = Representation().with_values(values)
    config = start.with_values(small.values(start))
    found = gpu.measured(config, torch.device("cpu"), steps=1)
    assert (found.waits, found.peak) == ({}, None) and found.seconds > 0


def test_only_the_matching_of_slots_may_wait() -> None:
    waits = {"trainables/losses/matching.py:40": 1, "trainables/losses/contrastive.py:67": 2}
    found = on_gpu.Measured(0.1, 1.0, waits)
    assert found.unexpected == {"trainables/losses/contrastive.py:67": 2}
