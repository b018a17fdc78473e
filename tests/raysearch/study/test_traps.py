"""What Optuna and Ray Tune do to a search that trusts them, and we do not.

Beside those here: start-up points that come again after a restart (`test_rebuild`), duplicates in
small spaces and failed regions that are asked for again (`test_study`, `test_samplers`), values
that are no numbers (`tests/raysearch/driver/test_conductor`), spaces that changed
(`tests/raysearch/sweeps`).
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from optuna.trial import TrialState

from raysearch.study.study import Proposal, Study
from raysearch.sweeps.space import Space
from tests.raysearch.study.driving import Listed, spec_of
from tests.raysearch.toys import BRANCHING, CONTINUOUS, GRID, LOSS, SCORE, Toy, continuous, swept


def take(study: Study) -> Proposal:
    """The next trial, which there is."""
    proposal = study.ask()
    assert proposal is not None
    return proposal


@pytest.mark.parametrize("workers", [1, 4, 8])
def test_an_exhausted_space_is_an_answer_and_never_an_error_of_tell(workers: int) -> None:
    """Optuna's grid and brute force raise out of `tell`, with cells still running."""
    study = Study(Space(BRANCHING), spec_of(BRANCHING, "grid"), Listed())
    running, keys = list[Proposal](), list[tuple[str, int]]()
    while True:
        while len(running) < workers and (proposal := study.ask()) is not None:
            running.append(proposal)
        if not running:
            break
        ended = running.pop(0)
        keys.append((ended.digest, ended.seed))
        study.tell(ended.number, "complete", [0.5])
    assert study.is_done and study.ask() is None
    assert len(keys) == len(set(keys)) == len({point.key for point in Space(BRANCHING).points()})


@pytest.mark.parametrize("state", ["failed", "infeasible"])
def test_a_failed_cell_is_not_silently_done_but_can_be_run_again(state: Any) -> None:
    """Optuna counts a failed cell as visited, for good."""
    study = Study(Space(GRID), spec_of(GRID, "grid"), Listed())
    first = take(study)
    study.tell(first.number, state, None)
    while (proposal := study.ask()) is not None:
        study.tell(proposal.number, "complete", [0.5])
    study.retry(first.number)
    again = take(study)
    assert (again.digest, again.seed, again.origin) == (first.digest, first.seed, "retry")


@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc", "nsga2", "gp", "grid"])
def test_with_two_metrics_a_report_is_answered_and_ends_nothing(sampler: str) -> None:
    """Optuna's `report` and `should_prune` raise NotImplementedError."""
    sweep = swept(continuous if sampler != "grid" else GRID.function, metrics=[SCORE, LOSS])
    study = Study(Space(sweep), spec_of(sweep, sampler), Listed())
    proposal = take(study)
    assert not study.report(proposal.number, 1, [0.1, 0.2])
    study.tell(proposal.number, "complete", [0.1, 0.2])
    assert study.trials[0].values == [0.1, 0.2]


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize("pruner", ["successive-halving", "hyperband:max=3"])
def test_a_rung_lets_nothing_pass_that_is_no_number(pruner: str, value: float) -> None:
    """Ray's own test of a rung is `value < cutoff`, which is false for NaN: never stopped."""
    study = Study(Space(CONTINUOUS), spec_of(CONTINUOUS, "random", pruner), Listed())
    for number in range(12):
        proposal = take(study)
        for fidelity in (1, 2, 3):
            study.report(proposal.number, fidelity, [0.1 * number])
        study.tell(proposal.number, "complete", [0.1 * number])
    ended = [any(study.report(take(study).number, at, [value]) for at in (1, 3)) for _ in range(6)]
    assert ended.count(True) >= 4, "hyperband's last bracket prunes nothing, whatever the value"
    assert all(ended) or "hyperband" in pruner


def test_a_report_beyond_several_rungs_counts_at_each_of_them() -> None:
    """Ray's records only the highest one that was passed."""
    spec = spec_of(CONTINUOUS, "random", "successive-halving:factor=3")
    study = Study(Space(CONTINUOUS), spec, Listed())
    take(study)
    study.report(0, 9, [0.5])
    rungs = {key: value for key, value in study.trials[0].system_attrs.items() if "rung" in key}
    assert rungs == {f"completed_rung_{rung}": 0.5 for rung in range(3)}


@pytest.mark.parametrize(
    "pruner", ["threshold:lower=0.2", "threshold:lower=0.2+patient:patience=1"]
)
def test_a_stopped_trial_is_told_pruned_with_its_curve(pruner: str) -> None:
    """Ray's OptunaSearch tells it complete, with the value of half a run, and no curve."""
    study = Study(Space(CONTINUOUS), spec_of(CONTINUOUS, "tpe", pruner), Listed())
    study.tell(take(study).number, "complete", [0.9])
    number = take(study).number
    assert not study.report(number, 1, [0.3])
    assert study.report(number, 2, [0.1])
    study.tell(number, "pruned", [0.1])
    trial = study.trials[number]
    assert trial.state == TrialState.PRUNED
    assert trial.intermediate_values == {1: 0.3, 2: 0.1}


@pytest.mark.parametrize("workers", [1, 5])
def test_a_sampler_in_a_small_space_never_has_a_point_run_twice(workers: int) -> None:
    """A third of what TPE proposes for 27 cells are duplicates."""
    study = Study(Space(GRID), spec_of(GRID, "tpe:startup=2"), Listed())
    seen, running = set[str](), list[Proposal]()
    while (proposal := study.ask()) is not None:
        assert proposal.digest not in seen
        seen.add(proposal.digest)
        running.append(proposal)
        if len(running) == workers:
            study.tell(running.pop(0).number, "complete", [float(len(seen) % 5)])
    assert len(seen) == 12


def test_a_sweep_that_raises_while_points_are_computed_ahead_ends_the_search_with_a_sentence() -> (
    None
):
    def late(trial: Any) -> Toy:
        if trial.suggest_float("rate", 0.0, 1.0) > 0.9:
            raise TypeError("unhashable type: 'list'")
        return Toy(rate=trial.suggest_float("rate", 0.0, 1.0))

    study = Study(Space(swept(late)), spec_of(swept(late), "random"), Listed())
    with pytest.raises(ValueError, match="no valid configuration: TypeError: unhashable type"):
        for _ in range(100):
            study.prepare(2)
            study.ask(wait=False)
