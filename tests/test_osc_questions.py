"""The other sweeps of the family osc: one or more for each question, and small ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from raysearch.driver.plan import check_study
from raysearch.sweeps.checks import check_space
from search_spaces import osc_small
from search_spaces.osc_settings import IMAGES
from tests.osc_sweeps import OTHERS, SWEEPS, check_labels, configurations, space
from trainables.settings.crops import PublishedCrops

others = pytest.mark.parametrize("name", OTHERS)


def test_every_question_has_a_sweep_and_every_sweep_a_question() -> None:
    tagged = {SWEEPS[name].tags["question"] for name in OTHERS}
    assert tagged == {f"Q{number}" for number in range(1, 21)} | {"hidden width", "pooling"}
    assert all(one.question.endswith("?") for one in SWEEPS.values())


@others
def test_a_label_sets_what_it_says(name: str) -> None:
    check_labels(name)


@others
def test_a_sweep_has_no_error(name: str) -> None:
    check_space(space(name))
    check_study(SWEEPS[name].sampler, SWEEPS[name].pruner, SWEEPS[name], space(name))


@others
def test_a_grid_is_as_large_as_it_states(name: str) -> None:
    count = space(name).count()
    assert count.points == count.distinct == SWEEPS[name].stated
    assert (count.points is None) == (SWEEPS[name].sampler != "grid")


def test_what_is_evaluated_is_trained_by_another_sweep() -> None:
    evaluating = {name: one.evaluates for name, one in SWEEPS.items() if one.evaluates}
    assert evaluating == {
        "osc.components_evaluated": "osc.components",
        "osc.rollouts": "osc.negatives",
        "osc.cross_rollouts": "osc.C",
    }
    assert all(SWEEPS[name].evaluates is None for name in evaluating.values())


@pytest.mark.parametrize("name", [name for name in SWEEPS if name != "osc.N"])
def test_where_there_may_be_no_slots_no_masks_are_compared(name: str) -> None:
    architectures = {
        space(name).point(params).config.value_at("architecture")
        for params in space(name).survey.params[:200]
    }
    assert ("global" in architectures) == (tuple(IMAGES) == SWEEPS[name].metrics)


def test_a_sweep_that_ends_trials_compares_what_every_evaluation_reports() -> None:
    pruned = [one for one in SWEEPS.values() if one.pruner != "none"]
    assert {one.name for one in pruned} == {"osc.schedules", "osc.negatives_small"}
    assert all(metric.name == "val/iou" for one in pruned for metric in one.metrics)


# What a question holds fixed -----------------------------------------------------------------


def test_batches_are_compared_at_equal_epochs_and_at_equal_steps() -> None:
    lengths: dict[str, set[int]] = {"epochs": set(), "steps": set()}
    for params, config in configurations("osc.batch_sizes"):
        training = config.training
        steps, batch = training.total_steps(70_000), training.batch_size
        lengths[params.get("choice.length", "epochs")].add(
            steps if training.steps else training.epochs
        )
        assert training.steps or steps == 10 * (70_000 // batch)
    assert lengths == {"epochs": {10}, "steps": {10_930}}


def test_the_rate_of_a_batch_of_64_is_that_of_any_rule() -> None:
    rules: dict[int, set[str]] = {}
    for _, config in configurations("osc.batch_sizes"):
        rules.setdefault(config.training.batch_size, set()).add(config.optimizer.scaling)
        share = config.training.batch_size / 64
        factor = {"none": 1.0, "linear": share, "sqrt": share**0.5}[config.optimizer.scaling]
        assert config.peak == pytest.approx(7e-4 * factor)
    three = {"none", "linear", "sqrt"}
    assert rules == {8: three, 16: three, 32: three, 64: {"none"}, 128: three}


def test_views_of_all_pipelines_are_of_one_size_and_two() -> None:
    for _, config in configurations("osc.pipelines"):
        assert config.views.size == 128 and config.small_crops is None


def test_pretrained_networks_are_compared_without_small_crops() -> None:
    found = [config for _, config in configurations("osc.pretrained")]
    assert all(one.small_crops is None and one.loss.small_crops == 0 for one in found)
    assert sum(one.backbone.kind == "vit" for one in found) == 1
    large = [one.backbone for one in found if one.backbone.kind == "timm"]
    assert len({(one.name, one.pretrained, one.frozen) for one in large}) == len(large) == 15
    assert not any(one.frozen and not one.pretrained for one in large)


def test_the_rungs_of_schedules_lie_behind_the_longest_warm_up() -> None:
    rising = {c.schedule.warm_up * c.training.epochs for _, c in configurations("osc.schedules")}
    first = re.search(r"min=(\d+)", SWEEPS["osc.schedules"].pruner)
    assert first is not None and max(rising) == int(first[1])


def test_an_exponential_decay_has_no_end_at_zero() -> None:
    floors: dict[str, set[float]] = {}
    for _, config in configurations("osc.schedules"):
        floors.setdefault(config.schedule.decay, set()).add(config.schedule.floor * 7e-4)
    assert {k: sorted(v) for k, v in floors.items()} == {
        "cosine": [0.0, pytest.approx(3e-4)],
        "exponential": [pytest.approx(3e-4)],
    }


# Small versions ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SWEEPS if name.endswith("_small")])
def test_a_small_sweep_is_of_small_networks_on_made_scenes(name: str) -> None:
    for params in space(name).survey.params:
        config: Any = space(name).point(params).config
        assert config.data.made and config.views.size == config.data.image_size <= 64
        assert config.backbone.width <= 64 and config.training.batch_size == 16
        assert (config.evaluations_made() or 0) == 10
        is_digits = config.data.name == "digit_grids"
        assert is_digits == config.data.is_video == (not isinstance(config.views, PublishedCrops))


@pytest.mark.parametrize("name", [name for name in SWEEPS if name.endswith("_small")])
def test_a_small_sweep_wants_scenes_that_its_page_says_how_to_make(
    name: str, tmp_path: Path
) -> None:
    config: Any = space(name).point(space(name).survey.params[0]).config
    said = str(config.with_values({"data.root": str(tmp_path)}).missing())
    wanted = re.findall(r"`(raysearch data make [^`]+) --root[^`]*`$", said)
    assert len(wanted) == 1 and f"    {wanted[0]} --scenes " in str(osc_small.__doc__)


def test_small_sweeps_are_named() -> None:
    parts = ("negatives", "negatives_digits", "queries", "architectures", "crops")
    found = {name for name in SWEEPS if name.endswith("_small")}
    assert found == {f"osc.{part}_small" for part in parts}
