"""A bounded view of a search has its best, its last, and some of all others."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from optuna.trial import FrozenTrial, TrialState

from raysearch.study.samplers.view import Bound, Ranking, completed, unconstrained
from raysearch.study.storages import FEASIBLE_ATTRS, INFEASIBLE_ATTRS, running_trial
from raysearch.study.study import Study
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Direction
from tests.raysearch.study.driving import Listed, score, spec_of
from tests.raysearch.toys import BRANCHING, CONTINUOUS


def ended(number: int, values: Sequence[float] | None, curve: Sequence[float] = ()) -> FrozenTrial:
    """A complete trial; without values a pruned one with its curve, infeasible if it has none."""
    trial = running_trial(number)
    trial.state = TrialState.PRUNED if values is None else TrialState.COMPLETE
    trial.values = values
    trial.intermediate_values = dict(enumerate(curve, 1))
    is_infeasible = values is None and not curve
    trial.system_attrs = dict(INFEASIBLE_ATTRS if is_infeasible else FEASIBLE_ATTRS)
    return trial


def some(count: int, objectives: int = 1) -> list[FrozenTrial]:
    """Complete, pruned and infeasible trials, with ties."""
    rng, trials = random.Random(3), list[FrozenTrial]()
    for number in range(count):
        values = [rng.randrange(20) / 10 for _ in range(objectives)]
        curve = [rng.randrange(5) / 5 for _ in range(rng.randrange(1, 9))]
        kind = rng.random()
        if kind < 0.6:
            trials.append(ended(number, values))
        else:
            trials.append(ended(number, None, curve if objectives == 1 and kind < 0.9 else ()))
    return trials


def by_hand(trials: list[FrozenTrial], directions: Sequence[Direction]) -> list[int]:
    """Numbers from best to worst, by brute force."""
    signs = [1 if each == "minimize" else -1 for each in directions]
    costs = {
        trial.number: [sign * value for sign, value in zip(signs, trial.values, strict=True)]
        for trial in trials
        if trial.state == TrialState.COMPLETE
    }

    def better(cost: list[float]) -> int:
        others = costs.values()
        return sum(
            other != cost and all(a <= b for a, b in zip(other, cost, strict=True))
            for other in others
        )

    def key(trial: FrozenTrial) -> tuple[float, ...]:
        if trial.state == TrialState.COMPLETE:
            cost = costs[trial.number]
            return 0, better(cost), cost[0], trial.number
        if trial.last_step is None:
            return 2, 0, 0, trial.number
        last = signs[0] * trial.intermediate_values[trial.last_step]
        return 1, -trial.last_step, last, trial.number

    return [trial.number for trial in sorted(trials, key=key)]


DIRECTIONS: list[list[Direction]] = [["minimize"], ["maximize"], ["minimize", "maximize"]]


@pytest.mark.parametrize("directions", DIRECTIONS)
@pytest.mark.parametrize("best", [1, 100, 299])
def test_the_best_are_those_of_a_full_sort_in_whatever_order_they_ended(
    directions: list[Direction], best: int
) -> None:
    trials = some(300, len(directions))
    ranking = Ranking(directions)
    for trial in random.Random(0).sample(trials, len(trials)):
        ranking.add(trial)
    assert ranking.choose(Bound(best, 0, 0)) == sorted(by_hand(trials, directions)[:best])


def test_the_last_are_seen_and_the_rest_at_even_distances_of_rank() -> None:
    ranking, rng = Ranking(["minimize"]), random.Random(0)
    values = rng.sample(range(1000), 1000)
    for number, value in enumerate(values):
        ranking.add(ended(number, [float(value)]))
    chosen = ranking.choose(Bound(10, 20, 30))
    assert len(chosen) == len(set(chosen)) == 60
    assert {number for number, value in enumerate(values) if value < 10} < set(chosen)
    others = [number for number in chosen if values[number] >= 10]
    assert others[-20:] == [number for number in range(1000) if values[number] >= 10][-20:]
    rest = sorted(values[number] for number in others[:-20])
    gaps = [b - a for a, b in zip(rest, rest[1:], strict=False)]
    assert len(rest) == 30 and 25 < min(gaps) and max(gaps) < 40, "970 ranks in 30 parts"


@pytest.mark.parametrize("count", [0, 1, 59, 60])
def test_up_to_the_bound_all_are_seen(count: int) -> None:
    ranking = Ranking(["minimize"])
    for trial in some(count):
        ranking.add(trial)
    assert ranking.choose(Bound(10, 20, 30)) == list(range(count))


def test_failed_trials_are_never_seen_beyond_the_bound() -> None:
    ranking = Ranking(["minimize"])
    trial = ended(0, [1.0])
    trial.state = TrialState.FAIL
    ranking.add(trial)
    assert len(ranking) == 0


@pytest.mark.parametrize(
    ("direction", "worst", "pruned"),
    [("minimize", 3.0, [2.0, 3.0]), ("maximize", 1.0, [2.0, 9.0])],
)
def test_ended_trials_count_as_complete_but_never_worse_than_the_worst(
    direction: Direction, worst: float, pruned: list[float]
) -> None:
    trials = [ended(0, [1.0]), ended(1, [3.0]), ended(2, None, [0.5, 2.0]), ended(3, None, [9.0])]
    trials += [ended(4, None), running_trial(5)]
    found = completed(trials, [direction], ())
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 5 + ["RUNNING"]
    assert [trial.value for trial in found[2:5]] == [*pruned, worst]
    assert [sum(trial.constraints.values()) for trial in found[:5]] == [0, 0, 0, 0, 1]
    assert trials[4].state == TrialState.PRUNED, "the trial itself is left as it was"


def test_what_lacks_a_parameter_is_left_out() -> None:
    assert completed([ended(0, [1.0])], ["minimize"], ["optimizer.lr"]) == []


def test_a_constraint_that_all_keep_is_not_shown() -> None:
    feasible, broken = [ended(0, [1.0]), ended(1, [2.0])], ended(2, None)
    assert all(not trial.constraints for trial in unconstrained(feasible))
    assert all(trial.constraints for trial in unconstrained([*feasible, broken]))


def test_beyond_the_bound_tpe_sees_so_many_finished_trials_and_all_running_ones() -> None:
    study = Study(Space(CONTINUOUS), spec_of(CONTINUOUS, "random"), Listed())
    for _ in range(600):
        proposal = study.ask()
        assert proposal is not None
        study.tell(proposal.number, "complete", [score(proposal.config, 9)])
    running = [proposal.number for _ in range(7) if (proposal := study.ask())]
    seen = study._trials.seen(Bound(100, 200, 200))
    numbers = [trial.number for trial in seen]
    assert len(numbers) == 507 and numbers == sorted(numbers) and numbers[-7:] == running


def test_with_a_bound_no_configuration_is_run_twice() -> None:
    study = Study(Space(BRANCHING), spec_of(BRANCHING, "tpe:startup=2"), Listed())
    study._sampler.bound = Bound(2, 2, 2)
    keys: list[tuple[str, int]] = []
    while (proposal := study.ask()) is not None:
        keys.append((proposal.digest, proposal.seed))
        study.tell(proposal.number, "complete", [score(proposal.config, 9)])
    assert len(keys) == len(set(keys)) == len({point.key for point in Space(BRANCHING).points()})
