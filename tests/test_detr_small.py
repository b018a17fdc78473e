"""The small sweeps of the family detr: minutes on two cores."""

from __future__ import annotations

import random

import pytest

from raysearch.driver.plan import check_study
from raysearch.sweeps import catalog
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.space import Point, Space
from trainables.detr.config import Detection

SMALL = {
    name: sweep
    for name, sweep in catalog.sweeps(["search_spaces"]).items()
    if name.startswith("detr.") and sweep.tags.get("size") == "small"
}


def detection(point: Point) -> Detection:
    """The configuration of a point, which is of a detector."""
    assert isinstance(point.config, Detection)
    return point.config


@pytest.mark.parametrize("name", SMALL)
def test_a_small_sweep_has_no_error(name: str) -> None:
    sweep, space = SMALL[name], Space(SMALL[name])
    check_space(space)
    check_study(sweep.sampler, sweep.pruner, sweep, space)
    assert sweep.tags["size"] == "small"
    assert sweep.stated in (None, space.count().points)


def test_rates_are_drawn_by_their_logarithm_for_each_map() -> None:
    sweep, space = SMALL["detr.rates_small"], Space(SMALL["detr.rates_small"])
    draw = random.Random(0)
    configs = [detection(space.sample(draw)) for _ in range(100)]
    rates = [config.optimizer.lr for config in configs]
    assert {one.cross.map.kind for one in configs} == {"softmax", "sparsemax", "entmax15"}
    assert 2e-4 <= min(rates) and max(rates) <= 4e-3
    assert 30 < sum(rate < (2e-4 * 4e-3) ** 0.5 for rate in rates) < 70
    assert (sweep.trials, sweep.metrics[0].name) == (24, "val/AP50")
    assert {one.training.steps for one in configs} == {600}


def test_protocols_and_scores_are_told_apart_of_the_trials_of_all_maps() -> None:
    sweep, space = SMALL["detr.protocols_small"], Space(SMALL["detr.protocols_small"])
    settings = [detection(point).evaluation.sparsity for point in space.points()]
    said = {(one.protocol, one.score_above) for one in settings}
    assert sweep.evaluates == "detr.activations_small" and len(said) == 12
    assert {one for one, _ in said} == {"map", "rows_a", "rows_b", "rows_c"}
    assert {one for _, one in said} == {0.0, 0.3, 0.9}
