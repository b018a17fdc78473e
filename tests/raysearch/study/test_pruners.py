"""Pruners decide as Optuna's do, on feasible evidence only, and are named with their arguments."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import optuna
import pytest

from raysearch.study.pruners import check_pruner
from raysearch.study.study import Study
from raysearch.sweeps.pruners import PRUNERS
from raysearch.sweeps.space import Space
from tests.raysearch.study.driving import LENGTH, Listed, score, spec_of
from tests.raysearch.toys import CONTINUOUS, GRID, LOSS, SCORE, continuous, swept

RULES: list[tuple[str, optuna.pruners.BasePruner]] = [
    ("none", optuna.pruners.NopPruner()),
    ("median", optuna.pruners.MedianPruner()),
    ("median:warmup=4,startup=2", optuna.pruners.MedianPruner(2, 4)),
    ("median:interval=3", optuna.pruners.MedianPruner(interval_steps=3)),
    ("percentile", optuna.pruners.PercentilePruner(25.0)),
    ("percentile:keep=70,startup=2,warmup=3", optuna.pruners.PercentilePruner(70.0, 2, 3)),
    ("successive-halving", optuna.pruners.SuccessiveHalvingPruner(1, 4)),
    ("successive-halving:min=2,factor=2", optuna.pruners.SuccessiveHalvingPruner(2, 2)),
    ("threshold:lower=-0.5,upper=0.7", optuna.pruners.ThresholdPruner(-0.5, 0.7)),
    ("threshold:upper=0,warmup=4", optuna.pruners.ThresholdPruner(None, 0.0, 4)),
    ("threshold:lower=6e-1,warmup=5,interval=2", optuna.pruners.ThresholdPruner(0.6, None, 5, 2)),
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
    assert ours[0] == LENGTH, "the default, by which others are measured"
    assert ours[1:] == [trial.last_step for trial in theirs.trials[1:]]


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
    given = Study(Space(CONTINUOUS), replace(spec, pruner="hyperband:max=9"), Listed())
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
        ("medain", "pruner must be none, median, .* or patient, got 'medain'; did you mean 'med"),
        ("median:warm=2", "pruner 'median' takes warmup, startup, interval, got 'warm'; did you"),
        ("none:warmup=2", "pruner 'none' takes no arguments, got 'warmup'"),
        ("median:warmup=-1", "warmup of pruner 'median' must be a whole number from 0, got '-1'"),
        ("median:interval=0", "interval of pruner 'median' must be a whole number from 1, got '0'"),
        ("median:warmup", "must have the form name:argument=value,.* got 'warmup'"),
        ("median:warmup=1,warmup=2", "each argument once, got 'warmup=2'"),
        (
            "hyperband:max=0",
            "max of pruner 'hyperband' must be a whole number from 1 or 'auto', got",
        ),
        ("hyperband:max=long", "must be a whole number from 1 or 'auto', got 'long'"),
        ("hyperband:max=9,factor=1", "factor of pruner 'hyperband' must be a whole number from 2"),
        ("percentile:keep=101", "keep of pruner 'percentile' must be a number from 0 to 100, got"),
        ("percentile:keep=half", "must be a number from 0 to 100, got 'half'"),
        ("successive-halving:min=auto", "must be a whole number from 1, got 'auto'"),
        ("threshold", "must be given lower or upper, such as threshold:lower=0.2"),
        ("threshold:warmup=2", "must be given lower or upper, such as threshold:lower=0.2"),
        ("threshold:lower=nan", "lower of pruner 'threshold' must be a number, got 'nan'"),
        ("threshold:lower=1,upper=1", r"upper of .* must be above lower \(1\), got 1"),
        ("patient", "patience of pruner 'patient' must be given: a whole number from 1"),
        ("patient:patience=2,delta=-1", "delta of pruner 'patient' must be a number from 0, got"),
        ("median+hyperband:max=9", r"may join patient with one other .*, got 'median\+hyper"),
        ("none+patient:patience=2", "may join patient with one other pruner"),
        ("median+patient:patience=2+median", "may join patient with one other pruner"),
        ("patient:patience=2+medain", "got 'medain'; did you mean 'median'"),
        ("threshold+patient:patience=2", "must be given lower or upper"),
        ("hyperband:max=3,min=4", r"max of pruner 'hyperband' must be at least min \(4\), got 3"),
    ],
)
def test_a_wrong_pruner_names_what_is_allowed(pruner: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_pruner(pruner, GRID)


@pytest.mark.parametrize(
    "pruner",
    [
        "none",
        "median:interval=1,warmup=0",
        "hyperband:max=4,min=4,factor=2",
        "hyperband",
        "successive-halving",
        "percentile:keep=0",
        "percentile:keep=100",
        "threshold:lower=0,upper=1e-9",
        "threshold:lower=-1e+3+patient:patience=1",
        "patient:patience=1,delta=0",
        "patient:patience=2+successive-halving:min=1",
    ],
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


def first_end(values: list[float], patience: int, delta: float) -> int:
    """The first report at which none of the last `patience` values was better; by brute force."""
    for end in range(1, len(values) + 1):
        best, at = values[0], 1
        for place, value in enumerate(values[:end], 1):
            if value > best + delta:
                best, at = value, place
        if end - at >= patience:
            return end
    return 0


@pytest.mark.parametrize("metric", [SCORE, LOSS])
@pytest.mark.parametrize(("patience", "delta"), [(1, 0.0), (2, 0.0), (3, 0.05)])
def test_a_patient_rule_ends_what_was_not_better_for_so_long(
    metric: Any, patience: int, delta: float
) -> None:
    sweep = swept(continuous, metrics=[metric])
    name = f"patient:patience={patience},delta={delta}"
    study = Study(Space(sweep), spec_of(sweep, "random", name), Listed())
    sign, rng = (1 if metric is SCORE else -1), random.Random(0)
    run(study, [0.0])  # the default
    for _ in range(30):
        values = [rng.choice([0.0, 0.1, 0.2, 0.3, 0.32, 0.5]) + 0.05 * i for i in range(9)]
        assert run(study, [sign * value for value in values]) == first_end(values, patience, delta)


@pytest.mark.filterwarnings("ignore:PatientPruner is experimental")
def test_a_patient_rule_ends_a_best_value_that_stands_still() -> None:
    """Optuna's own waits for values that fall, which those reduced to the best never do."""
    spec = spec_of(CONTINUOUS, "random", "patient:patience=3")
    study = Study(Space(CONTINUOUS), spec, Listed())
    run(study, [0.0])
    assert run(study, [0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3]) == 6
    theirs = optuna.create_study(direction="maximize", pruner=optuna.pruners.PatientPruner(None, 2))
    trial = theirs.ask()
    for step, value in enumerate([0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3]):
        trial.report(value, step)
        assert not trial.should_prune()


@pytest.mark.parametrize("order", ["{0}+{1}", "{1}+{0}"])
def test_patience_joined_to_a_rule_ends_what_both_would(order: str) -> None:
    name = order.format("threshold:lower=0.5", "patient:patience=2")
    study = Study(Space(CONTINUOUS), spec_of(CONTINUOUS, "random", name), Listed())
    run(study, [0.0])
    assert run(study, [0.1, 0.2, 0.3, 0.4]) == 0, "it is still better each time"
    assert run(study, [0.6] * 6) == 0, "it is above the bound"
    assert run(study, [0.1, 0.2, 0.2, 0.2]) == 4


def test_successive_halving_keeps_the_best_of_those_at_a_rung() -> None:
    spec = spec_of(CONTINUOUS, "random", "successive-halving:min=3,factor=2")
    study = Study(Space(CONTINUOUS), spec, Listed())
    run(study, [0.5] * 5)
    ends = [run(study, [value] * 5) for value in (0.6, 0.4, 0.7, 0.1, 0.65)]
    assert ends == [0, 3, 0, 3, 0]


@pytest.mark.parametrize("name", list(PRUNERS))
def test_every_pruner_and_argument_says_what_it_does(name: str) -> None:
    assert PRUNERS[name].meaning
    assert all(argument.meaning for argument in PRUNERS[name].arguments.values())
