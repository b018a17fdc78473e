"""Sweeps of the family ssl: their sizes, their questions, and settings that sources say."""

from __future__ import annotations

from typing import Any

import pytest

from raysearch.sweeps import catalog
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Sweep
from trainables.core.schedules import cosine
from trainables.ssl.config import Pretraining, Supervised

MODULES = [
    f"search_spaces.ssl_{name}" for name in ("sets", "classifiers", "networks", "sea", "questions")
]
ALL = catalog.sweeps(["search_spaces"])
SWEEPS = {name: one for name, one in ALL.items() if one.function.__module__ in MODULES}

FEWER = {"ssl.X56": 6, "ssl.X39": 2}
"""What a diary counts otherwise, as the notes of the sweep say."""
IMAGES = 45_000
"""Of the training split of CIFAR-10."""


@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS)
def test_a_grid_is_as_large_as_it_states_and_no_point_is_there_twice(sweep: Sweep) -> None:
    count = Space(sweep).count()
    assert sweep.sampler == "grid" or sweep.evaluates
    assert count.points == count.distinct == FEWER.get(sweep.name, sweep.stated)


def test_each_question_has_a_sweep() -> None:
    asked = [one.tags["question"] for one in SWEEPS.values() if "question" in one.tags]
    assert sorted(asked) == sorted(f"Q{number}" for number in range(1, 18))


@pytest.mark.parametrize(("number", "points"), [("X15", 18), ("X30", 1), ("X58", 12)])
def test_experiments_of_the_diary_are_as_large_as_it_says(number: str, points: int) -> None:
    count = Space(ALL[f"ssl.{number}"]).count()
    assert count.points == count.distinct == ALL[f"ssl.{number}"].stated == points


def test_each_network_goes_on_from_a_trial_of_its_own() -> None:
    configs = [point.config for point in Space(ALL["ssl.X15"]).points()]
    models: list[Any] = [config.model for config in configs if isinstance(config, Supervised)]
    files = {(one.name, one.weights_file) for one in models if one.pretrained}
    assert files == {
        (name, f"data/dino/{name}.pt")
        for name in ("resnet26", "vit_tiny_patch16_224", "convnext_atto")
    }
    assert sum(one.pretrained for one in models) == 9


def test_the_rate_of_the_code_of_dino_rises_for_ten_epochs_and_ends_at_a_millionth() -> None:
    [config] = [point.config for point in Space(ALL["ssl.X17"]).points()]
    assert isinstance(config, Pretraining)
    training, schedule = config.training, config.schedule
    steps = IMAGES // training.batch_size * 40
    peak = config.optimizer.lr * training.batch_size / 256
    warm_up = round(schedule.warm_up * steps)
    assert training.epochs == 40 and warm_up * 4 == steps
    assert peak == pytest.approx(1.25e-4)
    assert peak * cosine(steps, steps, warm_up, schedule.floor) == pytest.approx(1e-6)
