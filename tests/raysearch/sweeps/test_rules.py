"""Samplers and pruners as values: the same texts, the same table, the same errors."""

from __future__ import annotations

from typing import Any

import pytest

from raysearch.driver.plan import make_request
from raysearch.errors import BadSetting
from raysearch.study.pruners import check_pruner
from raysearch.sweeps import pruners, samplers
from raysearch.sweeps.arguments import Rule, read
from raysearch.sweeps.pruners import (
    PRUNERS,
    PRUNERS_ELSEWHERE,
    Hyperband,
    Median,
    NoPruner,
    Patient,
    Percentile,
    SuccessiveHalving,
    Threshold,
)
from raysearch.sweeps.samplers import CMAES, GP, NSGA2, QMC, SAMPLERS, SAMPLERS_ELSEWHERE, TPE
from raysearch.sweeps.sweep import Metric, sweep
from tests.raysearch.toys import Toy, swept

METRIC = Metric("valid/score", "maximize")
RULES: list[tuple[Any, str]] = [
    (NoPruner(), "none"),
    (Median(), "median"),
    (Median(warmup=5), "median:warmup=5"),
    (Median(5, startup=2, interval=3), "median:warmup=5,startup=2,interval=3"),
    (Percentile(30), "percentile:keep=30"),
    (SuccessiveHalving(min=2), "successive-halving:min=2"),
    (Hyperband(max=27, factor=2), "hyperband:max=27,factor=2"),
    (Threshold(lower=0.2), "threshold:lower=0.2"),
    (Patient(3, delta=1e-5), "patient:patience=3,delta=1e-05"),
    (TPE(), "tpe"),
    (TPE(startup=20), "tpe:startup=20"),
    (GP(3), "gp:startup=3"),
    (CMAES(population=8), "cmaes:population=8"),
    (QMC("halton"), "qmc:kind=halton"),
    (NSGA2(20), "nsga2:population=20"),
]


@pytest.mark.parametrize(("rule", "text"), RULES, ids=lambda value: str(value))
def test_a_value_is_read_back_from_its_text(rule: Any, text: str) -> None:
    assert str(rule) == text
    table = PRUNERS if rule.role == "pruner" else SAMPLERS
    name, arguments = read(rule.role, text, table)
    assert name == rule.name and arguments == vars(rule)


def test_every_name_of_the_tables_has_its_class() -> None:
    for module, table in ((pruners, PRUNERS), (samplers, SAMPLERS)):
        kinds = [
            each
            for each in vars(module).values()
            if isinstance(each, type) and issubclass(each, Rule) and "name" in vars(each)
        ]
        assert {kind.name for kind in kinds} == set(table)


def test_a_sweep_states_the_text() -> None:
    def toy(trial: Any) -> Toy:
        return Toy(depth=trial.suggest_int("depth", 1, 4))

    made = sweep(metrics=[METRIC], sampler=TPE(startup=4), pruner=Median(2) + Patient(3))(toy)
    assert (made.sampler, made.pruner) == ("tpe:startup=4", "median:warmup=2+patient:patience=3")
    check_pruner(made.pruner, made)
    grid = sweep(metrics=[METRIC], sampler=samplers.Grid())(toy)
    assert (grid.sampler, grid.trials) == ("grid", None)


def test_a_request_takes_values() -> None:
    request = make_request("x.y", {}, sampler=GP(), pruner=Hyperband())
    assert (request.sampler, request.pruner) == ("gp", "hyperband")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Median(warmup=-1), "warmup of pruner 'median' must be a whole number from 0, got"),
        (lambda: Percentile(101), "keep of pruner 'percentile' must be a number from 0 to 100"),
        (lambda: Hyperband(max="all"), "must be a whole number from 1 or 'auto', got 'all'"),
        (lambda: TPE(startup=None), "startup of sampler 'tpe' must be a whole number from 1"),  # pyright: ignore
        (lambda: QMC("latin"), "kind of sampler 'qmc' must be 'sobol' or 'halton', got 'latin'"),
    ],
)
def test_an_argument_out_of_range_is_refused_where_it_stands(make: Any, words: str) -> None:
    with pytest.raises(BadSetting) as error:
        make()
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("bayes", "; take tpe or gp"),
        ("BayesOptSearch", "; take tpe or gp"),
        ("TPESampler", "; did you mean 'tpe'?"),
        ("CmaEsSampler", "; did you mean 'cmaes'?"),
        ("hyperband", "; that is a pruner"),
        ("bohb", "; take tpe, with pruner hyperband"),
        ("sobol", "; take qmc"),
    ],
)
def test_samplers_of_other_tools_are_known(text: str, hint: str) -> None:
    with pytest.raises(BadSetting) as error:
        read("sampler", text, SAMPLERS, SAMPLERS_ELSEWHERE)
    assert f"or nsga2, got {text!r}{hint}" in str(error.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ASHA", "; take successive-halving, or hyperband"),
        ("AsyncHyperBandScheduler", "; take successive-halving"),
        ("MedianStoppingRule", "; did you mean 'median'?"),
        ("bohb", "; it is two things here: sampler tpe and pruner hyperband"),
        ("PopulationBasedTraining", "; no search here changes the settings of a trial that runs"),
        ("tpe", "; that is a sampler"),
        ("early_stopping", "; take patient:patience=3"),
    ],
)
def test_pruners_of_other_tools_are_known(text: str, hint: str) -> None:
    with pytest.raises(BadSetting) as error:
        check_pruner(text, swept(lambda trial: Toy()))
    assert f"or patient, got {text!r}{hint}" in str(error.value)


@pytest.mark.parametrize(
    ("known", "table"), [(SAMPLERS_ELSEWHERE, SAMPLERS), (PRUNERS_ELSEWHERE, PRUNERS)]
)
def test_hints_are_for_names_that_are_not_there(known: Any, table: Any) -> None:
    assert not set(known) & {name.replace("-", "") for name in table}
