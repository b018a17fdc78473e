"""A space is counted, enumerated and sampled exactly."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest

from raysearch.sweeps.space import Choice, Float, Int, Space
from tests.raysearch.toys import (
    BRANCHING,
    CONDITIONAL,
    CONTINUOUS,
    GRID,
    TIED,
    Adam,
    Toy,
    swept,
)


def test_a_grid_has_the_product_of_its_values() -> None:
    points = [tuple(point.params.values()) for point in Space(GRID).points()]
    assert points == list(itertools.product([1, 2, 3, 4], [0.0, 0.1, 0.2]))


def test_a_conditional_space_is_enumerated_once_and_whole() -> None:
    expected = {(depth, 0) for depth in (1, 2, 3)} | set(
        itertools.product((1, 2, 3), (2, 4), (32, 64), (2, 3, 4))
    )
    points = [tuple(point.params.values()) for point in Space(BRANCHING).points()]
    assert len(points) == 39
    assert set(points) == expected


def test_the_count_is_exact_and_the_stated_number_is_shown_beside_it() -> None:
    count = Space(GRID).count()
    assert (count.points, count.distinct, count.stated) == (12, 12, 10)


def test_points_that_differ_in_void_fields_only_are_one_distinct_point() -> None:
    def sweep(trial: Any) -> Toy:
        heads = trial.suggest_categorical("heads", [0, 4])
        return Toy(heads=heads, slots=trial.suggest_int("slots", 1, 3))

    count = Space(swept(sweep)).count()
    assert (count.points, count.distinct) == (6, 4)
    assert str(count) == "6, 4 of them distinct"


def test_a_continuous_parameter_makes_the_space_infinite() -> None:
    count = Space(CONDITIONAL).count()
    assert (count.points, count.distinct, str(count)) == (None, None, "infinite")


def test_enumerating_an_infinite_space_names_what_is_continuous_and_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"infinitely many points.*optimizer\[adam\]\.lr"):
        list(Space(CONDITIONAL).points())
    with pytest.raises(ValueError, match=r"give a step or fix a value, such as optimizer\.lr=…"):
        list(Space(CONDITIONAL).points())


def test_a_large_finite_space_is_not_walked_to_its_end() -> None:
    def sweep(trial: Any) -> Toy:
        return Toy(
            depth=trial.suggest_int("depth", 1, 500), patch=trial.suggest_int("patch", 1, 500)
        )

    assert str(Space(swept(sweep)).count()) == "more than 20000"


def test_a_float_of_one_value_is_finite() -> None:
    def sweep(trial: Any) -> Toy:
        return Toy(rate=trial.suggest_float("rate", 0.5, 0.5))

    assert [point.params for point in Space(swept(sweep)).points()] == [{"rate": 0.5}]


def test_fixing_the_continuous_parameters_makes_a_space_finite() -> None:
    fixed = {"optimizer.lr": 0.01, "optimizer.momentum": 0.5}
    points = list(Space(CONDITIONAL, fixed).points())
    assert len(points) == 8
    assert {point.config.value_at("optimizer.lr") for point in points} == {0.01}


def test_a_fixed_value_counts_where_its_path_is_not_sampled_too() -> None:
    points = list(Space(GRID, {"optimizer.kind": "sgd", "optimizer.momentum": 0.3}).points())
    assert {point.config.value_at("optimizer.momentum") for point in points} == {0.3}


def test_each_of_ten_thousand_points_is_asked_for_once() -> None:
    calls = 0

    def sweep(trial: Any) -> Toy:
        nonlocal calls
        calls += 1
        return Toy(
            depth=trial.suggest_int("depth", 1, 10),
            patch=trial.suggest_int("patch", 1, 10),
            batch=trial.suggest_int("batch", 10, 100, step=10),
            rate=trial.suggest_float("rate", 0.0, 0.9, step=0.1),
        )

    assert sum(1 for _ in Space(swept(sweep)).points()) == 10_000
    assert calls <= 10_000 + 100


def test_a_point_is_evaluated_at_given_parameters() -> None:
    point = Space(GRID).point({"depth": 3, "rate": 0.1})
    assert (point.config.value_at("depth"), point.config.value_at("rate")) == (3, 0.1)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"depth": 3}, "rate must be given here"),
        ({"depth": 5, "rate": 0.1}, r"depth must be in 1 … 4, got 5"),
        ({"depth": 3, "rate": 0.1, "width": 3}, "does not ask for width here"),
    ],
)
def test_a_point_needs_all_its_parameters_and_no_others(params: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Space(GRID).point(params)


def test_stepped_floats_are_written_as_a_person_would() -> None:
    rates = {point.params["rate"] for point in Space(GRID).points()}
    assert rates == {0.0, 0.1, 0.2}
    assert Float(0.0, 1.0, step=0.1).snap(0.1 + 0.2) == 0.3


def test_samples_cover_all_branches_and_stay_in_range() -> None:
    rng = random.Random(0)
    points = [Space(CONDITIONAL).sample(rng) for _ in range(200)]
    kinds = Counter(point.params["optimizer.kind"] for point in points)
    assert min(kinds.values()) > 60
    for point in points:
        for name, distribution in point.distributions.items():
            assert distribution.contains(point.params[name])


def test_a_log_scale_is_sampled_evenly_by_decade() -> None:
    rng = random.Random(0)
    values = [Float(1e-4, 1.0, log=True).draw(rng) for _ in range(4000)]
    shares = Counter(int(value >= 1e-2) for value in values)
    assert abs(shares[1] / 4000 - 0.5) < 0.03


def test_the_default_point_has_the_class_defaults_inside_the_sweeps_constants() -> None:
    default = Space(CONDITIONAL).default()
    assert default is not None
    assert default.params == {"optimizer.kind": "adam", "optimizer[adam].lr": 0.01, "depth": 2}


def test_the_default_of_a_choice_is_the_label_whose_paths_have_their_defaults() -> None:
    default = Space(TIED).default()
    assert default is not None
    assert default.params == {"choice.size": "small", "depth": 2}


def test_there_is_no_default_point_where_a_default_lies_outside() -> None:
    def sweep(trial: Any) -> Toy:
        return Toy(depth=trial.suggest_int("depth", 3, 4))

    def labels(trial: Any) -> Toy:
        return Toy(batch={"a": 64, "b": 128}[trial.suggest_categorical("choice.b", ["a", "b"])])

    assert Space(swept(sweep)).default() is None
    assert Space(swept(labels, choices={"choice.b": ("batch",)})).default() is None


def test_the_default_keeps_what_the_user_gave() -> None:
    default = Space(GRID, {"depth": 4}).default()
    assert default is not None
    assert (default.params, default.config.value_at("depth")) == ({"rate": 0.0}, 4)


def test_parameters_have_one_distribution_each() -> None:
    assert Space(CONDITIONAL).parameters() == {
        "optimizer.kind": Choice(("adam", "sgd")),
        "optimizer[adam].lr": Float(1e-4, 1e-1, log=True),
        "optimizer[sgd].lr": Float(1e-3, 1.0, log=True),
        "optimizer.momentum": Float(0.0, 0.99),
        "depth": Int(1, 4),
    }


def test_conditions_name_the_parent_and_its_values() -> None:
    assert Space(CONDITIONAL).conditions() == {
        "optimizer[adam].lr": [{"optimizer.kind": "adam"}],
        "optimizer[sgd].lr": [{"optimizer.kind": "sgd"}],
        "optimizer.momentum": [{"optimizer.kind": "sgd"}],
    }
    conditions = Space(BRANCHING).conditions()
    assert conditions["slots"] == [{"heads": 2}, {"heads": 4}]


def test_a_condition_may_need_two_parents() -> None:
    def sweep(trial: Any) -> Toy:
        depth = trial.suggest_int("depth", 1, 2)
        heads = trial.suggest_categorical("heads", [0, 4])
        slots = trial.suggest_int("slots", 1, 2) if depth == 2 and heads == 4 else 3
        return Toy(depth=depth, heads=heads, slots=slots)

    assert Space(swept(sweep)).conditions() == {"slots": [{"heads": 4, "depth": 2}]}


def test_a_preview_begins_with_the_default_and_repeats_nothing() -> None:
    points = [point.params for point in Space(GRID).preview(12)]
    assert points[0] == {"depth": 2, "rate": 0.0}
    assert len({tuple(point.values()) for point in points}) == 12
    assert len(list(Space(CONTINUOUS).preview(5))) == 5


def test_the_same_name_twice_has_the_same_value() -> None:
    def sweep(trial: Any) -> Toy:
        first = trial.suggest_int("depth", 1, 4)
        assert trial.suggest_int("depth", 1, 4) == first
        return Toy(depth=first)

    assert Space(swept(sweep)).count().points == 4


def test_the_same_name_with_two_ranges_is_an_error() -> None:
    def sweep(trial: Any) -> Toy:
        trial.suggest_int("depth", 1, 4)
        return Toy(depth=trial.suggest_int("depth", 1, 5))

    with pytest.raises(ValueError, match=r"depth must have one distribution, got 1 … 4 and then"):
        Space(swept(sweep)).count()


def test_the_fingerprint_changes_with_the_space_and_only_with_it() -> None:
    def moved(trial: Any) -> Toy:
        return Toy(optimizer=Adam(lr=trial.suggest_float("optimizer.lr", 1e-4, 0.1, log=True)))

    def wider(trial: Any) -> Toy:
        return Toy(optimizer=Adam(lr=trial.suggest_float("optimizer.lr", 1e-4, 0.2, log=True)))

    def constant(trial: Any) -> Toy:
        lr = trial.suggest_float("optimizer.lr", 1e-4, 0.1, log=True)
        return Toy(optimizer=Adam(lr=lr), depth=3)

    prints = [Space(swept(function)).fingerprint() for function in (moved, wider, constant)]
    prints.append(Space(swept(moved), {"depth": 4}).fingerprint())
    assert len(set(prints)) == 4
    assert prints[0] == Space(swept(moved)).fingerprint()
