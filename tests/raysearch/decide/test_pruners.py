"""Pruners decide as Optuna's do, on feasible evidence only, and are named with their arguments."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from raysearch.decide.pruners import check_pruner
from raysearch.decide.study import Study
from raysearch.declare.space import Space
from tests.raysearch.decide.driving import LENGTH, Listed, score, spec_of
from tests.raysearch.toys import CONTINUOUS, GRID, LOSS, SCORE, continuous, swept

RULES: list[tuple[str, optuna.pruners.BasePruner]] = [
    ("none", optuna.pruners.NopPruner()),
    ("median", optuna.pruners.MedianPruner()),
    ("median:warmup=4,startup=2", optuna.pruners.MedianPruner(2, 4)),
    ("median:interval=3", optuna.pruners.MedianPruner(interval_steps=3)),
    ("hyperband:max=9", optuna.pruners.HyperbandPruner(1, 9, 3)),
    ("hyperband:max=9,min=2,factor=2", optuna.pruners.HyperbandPruner(2, 9, 2)),
]


@pytest.mark.parametrize(("name", "rule"), RULES)
@pytest.mark.parametrize("metric", [SCORE, LOSS])
def test_a_sequential_search_prunes_where_optunas_own_loop_does(
    name: str, rule: optuna.pruners.BasePruner, metric: Any
) -> None:
    sweep = swept(continuous, metrics=[metric])
    sign = 1 if metric is SCORE else -1
    study = Study(Space(sweep), spec_of(sweep, "random", name, trials=60), Listed())
    configs, ours = [], []
    while (proposal := study.ask()) is not None:
        configs.append(proposal.config)
        ends, fidelity, value = False, 0, 0.0
        while fidelity < LENGTH and not ends:
            fidelity += 1
            value = sign * score(proposal.config, fidelity)
            ends = study.report(proposal.number, fidelity, [value])
        ours.append(fidelity)
        study.tell(proposal.number, "pruned" if ends else "complete", [value])

    def objective(trial: optuna.Trial) -> float:
        value = 0.0
        for fidelity in range(1, LENGTH + 1):
            value = sign * score(configs[trial.number], fidelity)
            trial.report(value, fidelity)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    theirs = optuna.create_study(study_name="driven", direction=metric.direction, pruner=rule)
    theirs.optimize(objective, n_trials=60)
    assert ours == [trial.last_step for trial in theirs.trials]


def run(study: Study, values: list[float], state: Any = None) -> int:
    """Runs the next trial with these values; returns at which one it was pruned, or 0."""
    proposal = study.ask()
    assert proposal is not None
    for fidelity, value in enumerate(values, 1):
        if study.report(proposal.number, fidelity, [value]):
            study.tell(proposal.number, "pruned", [value])
            return fidelity
    study.tell(proposal.number, state or "complete", values[-1:])
    return 0


@pytest.mark.parametrize("state", ["infeasible", "failed"])
@pytest.mark.parametrize("pruner", ["median:startup=1", "hyperband:max=1"])
def test_pruners_do_not_see_what_is_not_feasible(pruner: str, state: str) -> None:
    """A high curve of a trial that then diverges must not prune those below it."""
    study = Study(Space(CONTINUOUS), spec_of(CONTINUOUS, "random", pruner), Listed())
    run(study, [0.1])
    assert run(study, [0.9] * 9, state) == 0
    assert run(study, [0.8] * 9, state) == 0
    assert run(study, [0.5] * 9) == 0
    assert run(study, [0.05] * 9) == 1


def test_hyperband_with_auto_takes_the_length_of_the_first_completed_trial() -> None:
    spec = spec_of(CONTINUOUS, "random", "hyperband:max=auto")
    study = Study(Space(CONTINUOUS), spec, Listed())
    assert [run(study, [value] * 9) for value in (0.5,)] == [0]
    given = Study(Space(CONTINUOUS), {**spec, "pruner": "hyperband:max=9"}, Listed())
    assert run(given, [0.5] * 9) == 0
    values = [0.6, 0.1, 0.7, 0.2, 0.3, 0.8, 0.1, 0.2, 0.9]
    for value in values:
        run(given, [value] * 9)
        run(study, [value] * 9)
    ours, theirs = ([trial.last_step for trial in each.trials[1:]] for each in (study, given))
    assert min(step or 0 for step in ours) < 9
    assert ours[-3:] == theirs[-3:]


@pytest.mark.parametrize(
    ("pruner", "text"),
    [
        ("medain", "pruner must be none, median or hyperband, got 'medain'; did you mean 'median'"),
        ("median:warm=2", "pruner 'median' takes warmup, startup, interval, got 'warm'; did you"),
        ("none:warmup=2", "pruner 'none' takes no arguments, got 'warmup'"),
        ("median:warmup=-1", "warmup of pruner 'median' must be a whole number from 0, got '-1'"),
        ("median:interval=0", "interval of pruner 'median' must be a whole number from 1, got '0'"),
        ("median:warmup", "must have the form name:argument=value,.* got 'warmup'"),
        ("median:warmup=1,warmup=2", "each argument once, got 'warmup=2'"),
        ("hyperband", "max of pruner 'hyperband' must be given: a whole number from 1 or 'auto'"),
        ("hyperband:max=long", "must be a whole number from 1 or 'auto', got 'long'"),
        ("hyperband:max=9,factor=1", "factor of pruner 'hyperband' must be a whole number from 2"),
        ("hyperband:max=3,min=4", r"max of pruner 'hyperband' must be at least min \(4\), got 3"),
    ],
)
def test_a_wrong_pruner_names_what_is_allowed(pruner: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_pruner(pruner, GRID)


@pytest.mark.parametrize(
    "pruner", ["none", "median:interval=1,warmup=0", "hyperband:max=4,min=4,factor=2"]
)
def test_a_right_pruner_passes(pruner: str) -> None:
    check_pruner(pruner, GRID)


def test_several_metrics_are_never_pruned() -> None:
    two = swept(continuous, metrics=[SCORE, LOSS])
    check_pruner("none", two)
    with pytest.raises(
        ValueError, match="must be none .* several metrics, got 'median' for valid/"
    ):
        check_pruner("median", two)
