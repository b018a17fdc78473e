"""The sweeps of the family slots: every experiment of the paper is there, in its size."""

from __future__ import annotations

from collections import defaultdict

import pytest

from raysearch.sweeps import catalog
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Sweep

SWEEPS = {
    name: sweep
    for name, sweep in catalog.sweeps(["search_spaces"]).items()
    if name.startswith("slots.")
}
LARGE = {name: sweep for name, sweep in SWEEPS.items() if not name.endswith("_small")}
ROWS: dict[str, list[Sweep]] = defaultdict(list)
for _sweep in LARGE.values():
    if "row" in _sweep.tags:
        ROWS[_sweep.tags["row"]].append(_sweep)

# Trials at five seeds: 19 experiments that train, 660 with two more normalisations in the ninth.
TRIALS = {
    **{"E01": 20, "E02": 10, "E03": 20, "E04": 10, "E05": 20, "E06": 60, "E07": 80, "E08": 0},
    **{"E09": 30, "E10": 20, "E11": 20, "E12": 40, "E13": 0, "E14": 40, "E15": 40, "E16": 30},
    **{"E17": 30, "E18": 20, "E19": 20, "E20": 120, "E21": 30},
}


def points(sweep: Sweep) -> int:
    """Distinct points of a grid."""
    return Space(sweep).count().distinct or 0


@pytest.mark.parametrize(("row", "trials"), TRIALS.items(), ids=TRIALS)
def test_an_experiment_has_as_many_trials_as_stated(row: str, trials: int) -> None:
    training = [sweep for sweep in ROWS[row] if sweep.evaluates is None]
    assert sum(points(sweep) * sweep.repeats for sweep in training) == trials
    assert trials or ROWS[row]


def test_the_experiments_are_660_trials() -> None:
    assert sum(TRIALS.values()) == 660 and ROWS.keys() == TRIALS.keys()


@pytest.mark.parametrize("name", [name for name in LARGE if LARGE[name].stated], ids=str)
def test_a_grid_is_as_large_as_it_states(name: str) -> None:
    assert points(LARGE[name]) == LARGE[name].stated


@pytest.mark.parametrize("row", TRIALS)
def test_every_experiment_has_a_small_version_of_the_same_axes(row: str) -> None:
    for large in ROWS[row]:
        small = SWEEPS[f"{large.name}_small"]
        mine, theirs = Space(large).survey.distributions, Space(small).survey.distributions
        assert mine.keys() == theirs.keys()


def test_every_sweep_that_evaluates_names_one_that_trains() -> None:
    evaluating = [sweep for sweep in SWEEPS.values() if sweep.evaluates]
    assert len(evaluating) >= 16
    assert all(SWEEPS[str(sweep.evaluates)].evaluates is None for sweep in evaluating)
