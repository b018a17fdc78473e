"""Each distribution of W&B as one of ours, against W&B's own engine; the others by name."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from wandb.sdk.sweeps.scheduler.optuna import sweep_parameter_to_distribution

from raysearch.imports.wandb_ranges import KEYS, read_range
from raysearch.study.storages import to_optuna
from tests.raysearch.imports.tools import HyperParameter, engine

SHARES = np.linspace(0.0, 1.0, 2001)
LIKE = [
    {"values": ["a", "b", "c"]},
    {"distribution": "categorical", "values": [1, 2, 5]},
    {"min": 2, "max": 9},
    {"min": 2.0, "max": 9},
    {"distribution": "int_uniform", "min": -3, "max": 3},
    {"distribution": "uniform", "min": 0, "max": 1},
    {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1},
    {"distribution": "q_uniform", "min": 0, "max": 256, "q": 8},
    {"distribution": "q_uniform", "min": 0.0, "max": 0.5, "q": 0.1},
    {"distribution": "q_log_uniform_values", "min": 1, "max": 64, "q": 1},
]
CONTINUOUS = [
    {"distribution": "uniform", "min": -1.5, "max": 4},
    {"distribution": "log_uniform", "min": -9.2, "max": -2.3},
    {"distribution": "log_uniform_values", "min": 0.001, "max": 10},
    {"distribution": "inv_log_uniform", "min": -2.0, "max": 3.5},
    {"distribution": "inv_log_uniform_values", "min": 0.01, "max": 3.0},
    {"distribution": "beta"},
]
STEPPED = [
    {"distribution": "q_uniform", "min": 16, "max": 64, "q": 16},
    {"distribution": "q_uniform", "min": -0.2, "max": 0.4, "q": 0.05},
    {"distribution": "q_uniform", "min": 100, "max": 500},
    {"distribution": "q_log_uniform", "min": 0.0, "max": 4.0},
    {"distribution": "q_beta", "q": 0.25},
    {"distribution": "int_uniform", "min": 3, "max": 11},
]

INF = float("inf")


def ours(spec: dict[str, Any], *, grid: bool = False, example: object = None) -> Any:
    return read_range("p", spec, grid=grid, example=example).range


def theirs(spec: dict[str, Any]) -> Any:
    return np.asarray(HyperParameter("p", spec).ppf(SHARES), dtype=float)


def name_of(spec: dict[str, Any]) -> str:
    return "-".join(str(each) for each in spec.values())


@pytest.mark.parametrize("spec", LIKE, ids=name_of)
def test_it_is_what_wandb_makes_of_it_for_optuna(spec: dict[str, Any]) -> None:
    assert to_optuna(ours(spec)) == sweep_parameter_to_distribution(spec)


@pytest.mark.parametrize("spec", CONTINUOUS, ids=name_of)
def test_a_continuous_range_has_the_quantiles_that_wandb_draws(spec: dict[str, Any]) -> None:
    found, drawn = ours(spec), theirs(spec)
    ends = np.array([found.low, found.high])
    expected = np.interp(SHARES, [0, 1], np.log(ends) if found.log else ends)
    np.testing.assert_allclose(drawn, np.exp(expected) if found.log else expected, rtol=1e-9)


@pytest.mark.parametrize("spec", STEPPED, ids=name_of)
def test_a_stepped_range_has_the_values_that_wandb_draws(spec: dict[str, Any]) -> None:
    found = ours(spec, example=3 if "q" not in spec else None)
    drawn = np.unique(np.round(theirs(spec)[1:], 12))
    assert [found.value(index) for index in range(found.count)] == pytest.approx(drawn.tolist())


@pytest.mark.parametrize(
    "spec",
    [
        {"distribution": "q_uniform", "min": 0, "max": 10, "q": 3},
        {"distribution": "q_uniform", "min": 0.0, "max": 0.3, "q": 0.1},
        {"distribution": "q_uniform", "min": 0.05, "max": 1.0, "q": 0.1},
        {"distribution": "q_uniform", "min": 2, "max": 6},
        {"distribution": "int_uniform", "min": -1, "max": 4},
        {"values": [3, 1, 3, 2]},
    ],
    ids=name_of,
)
def test_in_a_grid_it_has_the_values_that_wandb_enumerates(spec: dict[str, Any]) -> None:
    config = {"method": "grid", "parameters": {"p": spec}}
    runs = engine.next_runs(config, [], n=100)
    listed = [run.config["p"]["value"] for run in runs if run is not None]
    found = ours(spec, grid=True)
    assert [found.value(index) for index in range(found.count)] == pytest.approx(listed)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"distribution": "normal"}, "normal: a space here has bounds"),
        ({"distribution": "q_normal", "q": 2}, "q_normal: a space"),
        ({"distribution": "log_normal", "mu": 1}, "log_normal: a space"),
        ({"distribution": "q_log_normal"}, "q_log_normal: a space"),
        ({"distribution": "beta", "a": 2}, "beta with a=2 and b=1"),
        ({"distribution": "q_beta", "b": 3}, "q_beta with a=1 and b=3"),
        ({"distribution": "q_beta", "q": 0.3}, "q must divide min and max, got 0.3 for 0 and 1"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.3}, "q must divide min and max"),
        ({"distribution": "q_log_uniform_values", "min": 1, "max": 9, "q": 2}, "q must be 1"),
        ({"distribution": "q_log_uniform", "min": -3, "max": 2}, "round to 1 or more"),
        ({"distribution": "log_uniform", "min": 1, "max": 1000}, "powers of e"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "above 0 on a log scale"),
        ({"distribution": "unifrom", "min": 0, "max": 1}, "'unifrom'; did you mean 'uniform'"),
        ({"values": [1, 2], "probabilities": [0.9, 0.1]}, "choices of one probability"),
        ({"values": [1, True]}, "True and 1, which are equal here"),
        ({"values": [[1, 2], [3]]}, "strings, numbers, truth values or null"),
        ({"values": []}, "a list that is not empty"),
        ({"min": 3, "max": 3}, "min must be below max, as in W&B, got 3 and 3"),
        ({"min": 3}, "must state value, values, min and max"),
        ({"min": 3, "max": 4, "mu": 1}, "must state only distribution, max, min as int_uniform"),
        ({"distribution": "int_uniform", "min": 0.5, "max": 4}, "min and max must be integers"),
        ({"min": 0.0, "max": "many"}, "max must be a number, got 'many'"),
        ({"distribution": "q_uniform", "min": 0, "max": 4, "q": 0}, "q must be above 0, got 0"),
        ({"distribution": "q_uniform", "min": 0, "max": 4, "q": INF}, "q must be finite, got inf"),
        ({"distribution": "q_uniform", "min": 0, "max": 4, "q": 1e-320}, "less than 1e+09 steps"),
        ({"values": [0.1, INF]}, "finite values, got inf"),
        ({"value": -INF}, "finite values, got -inf"),
        ({"value": [1, INF]}, "finite values, got inf"),
        ({"values": [1, 10**400]}, "within 64 bits"),
        ({"min": 0.0, "max": INF}, "max must be a number, got inf"),
        ({"min": 0.0, "max": 10**400}, "max must be a number, got 1000"),
        ({"distribution": "log_uniform", "min": -1000, "max": 0}, "low above 0 on a log scale"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_is_refused_by_name(spec: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, LookupError)) as caught:
        ours(spec)
    assert words in str(caught.value) and str(caught.value).startswith("p")


def test_every_distribution_of_their_schema_is_known() -> None:
    schema = engine.config.schema.sweep_config_jsonschema["definitions"]
    named = {
        distribution
        for definition in schema.values()
        for one in definition.get("anyOf", [definition])
        for distribution in one.get("properties", {}).get("distribution", {}).get("enum", [])
    }
    assert named <= KEYS.keys() and len(named) >= 17


def test_equal_probabilities_are_a_choice() -> None:
    spec = {"values": [1, 2], "probabilities": [0.5, 0.5]}
    assert ours(spec) == ours({"values": [1, 2]})


def test_numbers_are_of_the_type_that_the_configuration_has() -> None:
    assert ours({"values": [0, 0.5]}, example=0.1).choices == (0.0, 0.5)
    assert type(ours({"values": [0, 0.5]}, example=0.1).choices[0]) is float
    assert ours({"values": ["1e-4", "1e-3"]}, example=0.1).choices == (1e-4, 1e-3)
    assert ours({"values": ["1", "2"]}, example="name").choices == ("1", "2")
    assert ours({"min": 0.0, "max": "1e-1"}).draw(random.Random(0)) < 0.1
