"""Schedules against their closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from trainables.core.schedules import (
    SCHEDULES,
    constant,
    cosine,
    exponential,
    half_life_of,
    linear,
    warm_up,
)

TOTAL, WARM = 20, 4
Schedule = Callable[..., float]


def test_the_warm_up_is_linear_and_never_zero() -> None:
    assert [warm_up(step, 4) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_without_a_warm_up_the_first_step_has_the_peak() -> None:
    assert {schedule(0, TOTAL) for schedule in SCHEDULES.values()} == {1.0}


def test_cosine_is_half_a_period() -> None:
    angles = [math.pi * k / (TOTAL - WARM) for k in range(TOTAL - WARM)]
    expected = [0.1 + 0.9 * (1 + math.cos(angle)) / 2 for angle in angles]
    assert [cosine(step, TOTAL, WARM, 0.1) for step in range(WARM, TOTAL)] == pytest.approx(
        expected
    )


def test_linear_is_a_line() -> None:
    expected = [1 - 0.75 * k / (TOTAL - WARM) for k in range(TOTAL - WARM)]
    assert [linear(step, TOTAL, WARM, 0.25) for step in range(WARM, TOTAL)] == pytest.approx(
        expected
    )


def test_exponential_halves_every_half_life() -> None:
    steps = (WARM, WARM + 3, WARM + 6, WARM + 9)
    found = [exponential(step, TOTAL, WARM, 0.2, half_life=3) for step in steps]
    assert found == pytest.approx([1, 0.2 + 0.8 / 2, 0.2 + 0.8 / 4, 0.2 + 0.8 / 8])


def test_exponential_multiplies_by_the_same_rate_every_so_many_steps() -> None:
    half_life = half_life_of(0.7, steps=5)
    found = [exponential(step, TOTAL, half_life=half_life) for step in range(TOTAL)]
    assert found == pytest.approx([0.7 ** (step / 5) for step in range(TOTAL)])


@pytest.mark.parametrize("rate", [0.0, 1.0, 1.5])
def test_a_rate_that_is_no_decay_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=f"must be between 0 and 1, got {rate:g}"):
        half_life_of(rate)


def test_constant_stays() -> None:
    assert {constant(step, TOTAL, WARM) for step in range(WARM, TOTAL)} == {1.0}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_every_schedule_warms_up_alike(schedule: Schedule) -> None:
    expected = [warm_up(step, WARM) for step in range(WARM)]
    assert [schedule(step, TOTAL, WARM, 0.5) for step in range(WARM)] == expected


@pytest.mark.parametrize("schedule", [cosine, linear])
def test_the_floor_is_reached_behind_the_last_step_and_kept(schedule: Schedule) -> None:
    ends = [schedule(step, TOTAL, WARM, 0.3) for step in (TOTAL, TOTAL + 5)]
    assert ends == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_warm_up_of_the_whole_run_is_allowed(schedule: Schedule) -> None:
    assert all(0 < schedule(step, 3, 3) <= 1 for step in range(4))
