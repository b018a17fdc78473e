"""Schedules against their closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from trainables.core.schedules import SCHEDULES, constant, cosine, linear, warm_up

TOTAL, WARM = 20, 4
Schedule = Callable[..., float]


def test_the_warm_up_is_linear_and_never_zero() -> None:
    assert [warm_up(step, 4) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_without_a_warm_up_the_first_step_has_the_peak() -> None:
    assert [schedule(0, TOTAL) for schedule in SCHEDULES.values()] == [1.0, 1.0, 1.0]


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
