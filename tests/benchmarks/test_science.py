"""The simulation of workers: time is counted as real workers would spend it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.curves import KNOBS
from benchmarks.science import Silent, Table, best_of, networks, quantiles, simulate, times
from raysearch.study.study import Study
from raysearch.sweeps.space import Space
from tests.raysearch.specs import make_spec

LENGTH = 9


def a_study(pruner: str = "none") -> Study:
    metrics = [{"name": "val/accuracy", "direction": "maximize"}]
    spec = make_spec(search="simulated", metrics=metrics, sampler="random", pruner=pruner)
    return Study(Space(networks), spec, Silent())


def a_table(count: int = 40) -> Table:
    rng = np.random.default_rng(0)
    heights = rng.random(count)
    curves = heights[:, None] * (1 - 0.5 ** np.arange(1, LENGTH + 1))
    return Table(rng.random((count, len(KNOBS))), curves)


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_without_a_pruner_each_worker_finishes_a_trial_every_full_length(workers):
    through = [now for now, _ in simulate(a_study(), a_table(), workers, horizon=3 * LENGTH)]
    assert through == [LENGTH * (turn + 1) for turn in range(3) for _ in range(workers)]


def test_a_configuration_is_handed_out_once_and_the_nearest_one_first():
    table = a_table(2)
    params = {knob.name: knob.value(0.4) for knob in KNOBS}
    first, second = table.take(params), table.take(params)
    assert table.is_used_up and not np.array_equal(first, second)


def test_a_run_ends_when_the_table_is_used_up():
    through = list(simulate(a_study(), a_table(5), workers=2, horizon=10**6))
    assert len(through) == 5


def test_a_pruner_saves_time_and_what_runs_to_its_end_is_what_it_let_through():
    pruned = list(simulate(a_study("median:startup=2"), a_table(), 1, horizon=10**6))
    whole = list(simulate(a_study(), a_table(), 1, horizon=10**6))
    assert pruned[-1][0] < whole[-1][0] and {v for _, v in pruned} < {v for _, v in whole}


def test_the_rule_trains_the_best_first_and_pays_for_the_screening():
    through = list(best_of(a_study(), a_table(), 4, 10**6, screened=20, epochs=3))
    values = [value for _, value in through]
    assert through[0][0] == 20 // 4 * 3 + LENGTH - 3
    assert values == sorted(values, reverse=True) and len(values) == 20


def test_runs_that_never_reach_it_count_as_later_than_all_others():
    assert quantiles([5, None, 1, None, None]) == (float("inf"), 5, float("inf"))


def test_a_run_is_the_same_when_it_is_run_again():
    assert times(("random", 8, 3)) == times(("random", 8, 3))
