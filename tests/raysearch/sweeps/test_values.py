"""Choices, bounds and given values: what becomes a plain number or text, and what is refused."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysearch.driver.plan import make_request, parse_overrides
from raysearch.study.samplers.named import check_sampler
from raysearch.study.study import Study
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.distributions import Choice, Float, Int, distribution_from_json, plain
from raysearch.sweeps.space import Space
from raysearch.sweeps.values import as_json, spelled
from tests.raysearch.study.driving import Listed, spec_of
from tests.raysearch.toys import Toy, swept
from trainables.core.run import RunConfig


class Pool(Enum):
    CLS = "cls"
    MEAN = "mean"


class Words(StrEnum):
    A = "a"


class Level(IntEnum):
    LOW = 1


class Scalar:
    """A tensor without dimensions, as any library may have it."""

    shape = ()

    def item(self) -> float:
        return 0.5


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(2.5), 2.5),
        (Scalar(), 0.5),
        (Pool.MEAN, "mean"),
        (Words.A, "a"),
        (Level.LOW, 1),
        (True, True),
        (None, None),
    ],
)
def test_scalars_of_libraries_become_plain(value: object, found: object) -> None:
    assert (plain(value), type(plain(value))) == (found, type(found))
    assert Choice((value,)).choices == (found,)  # pyright: ignore


@pytest.mark.parametrize(
    "values", [np.logspace(-4, -1, 7), np.linspace(0, 1, 5, dtype="float32"), np.arange(3)]
)
def test_an_array_of_choices_survives_json(values: Any) -> None:
    made = Choice(tuple(values))
    assert distribution_from_json(made.to_json()) == made
    assert all(made.contains(value.item()) for value in values)
    assert {type(choice) for choice in made.choices} <= {int, float}


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (float("nan"), "finite numbers as choices, got nan"),
        (np.float32("inf"), "finite numbers as choices, got inf"),
        ((1, 2), r"got \(1, 2\); make it a `choice.<name>` with labels"),
        (np.zeros(2), "make it a `choice.<name>`"),
        (Path("a"), "strings, numbers, truth values or None as choices, got PosixPath"),
        (Decimal("0.1"), "strings, numbers, truth values or None"),
        (np.datetime64("2020-01-01"), "strings, numbers, truth values or None"),
        (1j, "strings, numbers, truth values or None"),
        (2**63, "within 64 bits"),
        ("\ud800", "texts of Unicode"),
    ],
)
def test_a_choice_of_another_kind_is_refused_by_its_value(choice: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Choice(("a", choice))


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ((1, True), "1 and True, which are equal"),
        ((1, 1.0), "1 and 1.0, which are equal"),
        ((False, 0.0), "False and 0.0, which are equal"),
        ((0.0, -0.0), "-0.0 twice"),
        ((np.float64(0.5), 0.5), "0.5 twice"),
        ((Words.A, "a"), "'a' twice"),
    ],
)
def test_choices_that_are_equal_are_refused(choices: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Choice(choices)


def test_a_member_of_an_enumeration_is_offered_and_its_value_recorded() -> None:
    class Own(RunConfig):
        experiment = "tests:none"
        name = "tests.own"
        pool: Pool = Pool.MEAN

    space = Space(swept(lambda trial: Own(pool=trial.suggest_categorical("pool", list(Pool)))))
    check_space(space)
    assert [point.params for point in space.points()] == [{"pool": "cls"}, {"pool": "mean"}]
    assert space.default() is not None and Space(space.sweep, {"pool": "cls"}).count().points == 1


def test_a_set_of_choices_has_no_order() -> None:
    space = Space(swept(lambda trial: Toy(depth=trial.suggest_categorical("depth", {1, 2}))))
    with pytest.raises(ValueError, match="depth must have choices in an order"):
        check_space(space)


@pytest.mark.parametrize("bound", [np.float32(0.5), np.array(0.5), Scalar()])
def test_a_bound_of_a_library_is_a_plain_number(bound: Any) -> None:
    made = Float(0.25, bound)
    assert made == Float(0.25, 0.5) and type(made.high) is float
    whole = Int(np.int64(1), np.int32(9), step=np.int8(2))  # pyright: ignore
    assert {type(whole.low), type(whole.high), type(whole.step)} == {int}


@pytest.mark.parametrize("bound", ["1", Decimal(1), Fraction(1, 2), True, None, np.bool_(True)])
def test_a_bound_that_is_no_number_is_refused(bound: Any) -> None:
    with pytest.raises(ValueError, match="must have finite numbers|must have an integer"):
        Float(0.0, bound)
    with pytest.raises(ValueError, match="must have an integer as high"):
        Int(0, bound)


STEPPED = [
    (-math.pi / 4, 15 * math.pi / 4, math.pi / 2, 9),
    (0.0, 1.0, 1 / 3, 4),
    (0.0, 2 * math.pi, math.pi / 8, 17),
    (1 / 7, 8 / 7, 1 / 7, 8),
    (0.1, 0.7, 0.1, 7),
    (0.0, 1e-6, 1e-7, 11),
    (-1.0, 1.0, 2 / 999, 1000),
    (0, 10, 2, 6),
]


@pytest.mark.parametrize(("low", "high", "step", "count"), STEPPED)
def test_steps_that_fit_but_for_rounding_fit(
    low: float, high: float, step: float, count: int
) -> None:
    made = Float(low, high, step=step)
    values = [made.value(index) for index in range(count)]
    assert made.count == count and (values[0], values[-1]) == (low, high)
    assert all(made.contains(value) and made.snap(value) == value for value in values)
    assert all(abs(v - (low + i * step)) <= 1e-9 * abs(step) for i, v in enumerate(values))
    assert distribution_from_json(made.to_json()) == made


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [(0.0, 1.0, 0.3), (0.0, 1.0, 1 / 3 + 1e-8), (0.0, 1.0, 2.0), (0.0, 1.0, 0.2500001)],
)
def test_steps_that_do_not_fit_are_refused(low: float, high: float, step: float) -> None:
    with pytest.raises(ValueError, match="high a whole number of steps above low"):
        Float(low, high, step=step)


@pytest.mark.parametrize("sampler", ["tpe:startup=2", "cmaes", "qmc", "random", "nsga2", "grid"])
@pytest.mark.parametrize("stepped", STEPPED[:2])
def test_every_sampler_meets_all_steps(sampler: str, stepped: tuple[Any, ...]) -> None:
    low, high, step, count = stepped
    space = Space(swept(lambda trial: Toy(rate=trial.suggest_float("rate", low, high, step=step))))
    check_sampler(sampler, space.sweep, space)
    study = Study(space, spec_of(space.sweep, sampler, trials=count), Listed())
    found: set[float] = set()
    while (proposal := study.ask()) is not None:
        found.add(proposal.params["rate"])
        study.tell(proposal.number, "complete", [proposal.params["rate"]])
    assert found == {Float(low, high, step=step).value(index) for index in range(count)}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Int(0, 2**63), "within 64 bits"),
        (lambda: Float(-1e308, 1e308), "apart"),
        (lambda: Float(0.0, 5e-324), "at least 1e-290 apart"),
        (lambda: Float(0.0, 1.0, step=1e-15), "a step of at least 1e-07 of its ends"),
    ],
)
def test_ranges_beyond_what_numbers_hold_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    ("sampler", "low", "high"),
    [("tpe", 1, 2**62), ("tpe", 2**53, 2**53 + 9), ("gp", 0, 2**21), ("gp", -(2**62), 0)],
)
def test_a_model_is_given_no_more_values_than_it_can_tell_apart(
    sampler: str, low: int, high: int
) -> None:
    space = Space(swept(lambda trial: Toy(depth=trial.suggest_int("depth", low, high))))
    with pytest.raises(ValueError, match=f"sampler {sampler} models at most .* and depth is in"):
        check_sampler(sampler, space.sweep, space)
    check_sampler("random", space.sweep, space)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (Path("a/b"), "a/b"),
        ((1, np.float64(0.5)), [1, 0.5]),
        ({"b", "a"}, ["a", "b"]),
        (np.array([[1, 2]]), [[1, 2]]),
        ({Pool.CLS: Path("x")}, {"cls": "x"}),
        (None, None),
    ],
)
def test_a_value_from_python_is_given_as_json(value: object, found: object) -> None:
    assert make_request("a", {"path": value}).overrides == {"path": found}


@pytest.mark.parametrize("value", [object(), float("inf"), [float("nan")], b"a", 1j])
def test_a_value_that_json_does_not_have_is_refused_by_its_path(value: object) -> None:
    with pytest.raises(ValueError, match=r"^part.x must be"):
        as_json("part.x", value)


def test_no_value_is_infinite_or_no_number() -> None:
    assert parse_overrides(["a=NaN", "b=Infinity", "c=-Infinity", "d=[1,2]"]) == {
        **{"a": "NaN", "b": "Infinity", "c": "-Infinity"},
        "d": [1, 2],
    }


def test_words_of_python_are_meant_where_a_field_takes_what_they_mean() -> None:
    class Own(RunConfig):
        experiment = "tests:none"
        name = "tests.own"
        drop: float | None = 0.5
        flag: bool = False
        text: str = ""

    values = {"drop": "None", "flag": "True", "text": "None", "nowhere": "None"}
    assert spelled(values, Own()) == {**values, "drop": None, "flag": True}
