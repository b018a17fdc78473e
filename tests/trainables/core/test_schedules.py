"""Schedules against their closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from trainables.core.schedules import (
    SCHEDULES,
    constant,
    cosine,
    cosine_between,
    cosine_of_dino,
    drops,
    evenly,
    exponential,
    half_lives,
    linear,
    piecewise,
    three_phases,
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
    half_life = 5 * math.log(0.5) / math.log(0.7)
    found = [exponential(step, TOTAL, half_life=half_life) for step in range(TOTAL)]
    assert found == pytest.approx([0.7 ** (step / 5) for step in range(TOTAL)])


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


@pytest.mark.parametrize(
    ("updates", "rate"),
    [(0, 3.7321e-7), (5_000, 1.86793e-4), (10_000, 3.73213e-4), (110_000, 1.86607e-4)],
)
def test_half_lives_are_those_of_slot_attention(updates: int, rate: float) -> None:
    peak = 4e-4 * 0.5 ** (1 / 10)
    assert peak * half_lives(updates, 10_000, 1e-3, 100_000) == pytest.approx(rate, rel=1e-4)


def test_half_lives_agree_with_a_decay_from_the_first_step_after_the_warm_up() -> None:
    """Google's: 4e-4 · min(1, t / W) · 2^(−t / h)."""
    for updates in (10_000, 50_000, 300_000):
        ours = 4e-4 * 0.5 ** (1 / 10) * half_lives(updates, 10_000, 1e-3, 100_000)
        assert ours == pytest.approx(4e-4 * 2 ** (-updates / 100_000))


def test_without_warm_up_and_half_life_the_rate_stays() -> None:
    assert {half_lives(updates, 0, 0.1, None) for updates in (0, 1, 1000)} == {1.0}


def test_drops_are_behind_whole_epochs_as_torchs_multi_step() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    sgd = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.MultiStepLR(sgd, [2, 5], gamma=0.1)
    for epoch in range(8):
        assert drops(epoch, (2, 5), 0.1) == pytest.approx(sgd.param_groups[0]["lr"])
        sgd.step()
        theirs.step()


@pytest.mark.parametrize(
    ("step", "value"), [(-5, 1.0), (0, 1.0), (5, 2.0), (10, 3.0), (15, 1.5), (20, 0.0), (99, 0.0)]
)
def test_between_knots_lie_straight_lines_and_beyond_the_ends_nothing_changes(
    step: int, value: float
) -> None:
    assert piecewise(step, [(0, 1.0), (10, 3.0), (20, 0.0)]) == value


def test_a_single_knot_is_a_constant() -> None:
    assert {piecewise(step, [(7, 0.5)]) for step in (0, 7, 8)} == {0.5}


@pytest.mark.parametrize("steps", [[], [0, 0], [5, 3]])
def test_knots_must_rise(steps: list[int]) -> None:
    with pytest.raises(ValueError, match="steps of knots must rise, got"):
        piecewise(1, [(step, 1.0) for step in steps])


@pytest.mark.parametrize("multiple", [1, 2, 5, 10, 20])
@pytest.mark.parametrize("batch", [8, 16, 32, 64])
def test_three_phases_are_one_of_warm_up_and_four_of_a_cosine(multiple: int, batch: int) -> None:
    """The published rates, 7e-4 · n / W, then 3e-4 + 2e-4 · (1 + cos(π · (n − W) / D))."""
    epoch = 70_000 // batch
    warm, total = multiple * epoch, 5 * multiple * epoch
    for updates in (0, 1, warm // 2, warm - 1, warm, warm + 1, total // 2, total - 1, total):
        cosine = 3e-4 + 2e-4 * (1 + math.cos(math.pi * (updates - warm) / (4 * warm)))
        stated = 7e-4 * updates / warm if updates <= warm else cosine
        found = 7e-4 * three_phases(
            updates, total, warm_up_steps=round(0.2 * total), first=1e-10, floor=3 / 7
        )
        assert found == pytest.approx(stated, rel=1e-9, abs=1e-13)


def test_the_peak_and_the_floor_are_reached_exactly() -> None:
    """A switch one step early has the peak 0.9995 and ends an exponential decay at 0.09995."""
    phases: dict[str, Any] = {"warm_up_steps": 1000, "first": 0.01, "floor": 0.1}
    for decay in ("cosine", "exponential"):
        assert three_phases(1000, 5000, decay=decay, **phases) == 1.0
        assert three_phases(5000, 5000, decay=decay, **phases) == pytest.approx(0.1, rel=1e-12)
    assert three_phases(999, 5000, **phases) == pytest.approx(0.01 + 0.99 * 0.999)
    assert three_phases(3000, 5000, decay="exponential", **phases) == pytest.approx(0.1**0.5)


def test_behind_the_decay_the_rate_stays_at_the_floor() -> None:
    held: dict[str, Any] = {"warm_up_steps": 10, "hold_steps": 30, "floor": 0.25}
    assert {three_phases(updates, 100, **held) for updates in (70, 80, 99, 200)} == {0.25}
    assert three_phases(69, 100, **held) > 0.25


def test_an_exponential_decay_ends_above_zero() -> None:
    with pytest.raises(ValueError, match="floor of an exponential decay must be above 0, got 0"):
        three_phases(1, 10, warm_up_steps=0, decay="exponential")


def test_the_schedule_of_dino_has_the_values_of_its_code() -> None:
    """Four epochs of three steps, one of warm-up: 0 at first, the peak twice, 0.1 never."""
    published = [0, 0.5, 1, 1, 0.973, 0.895, 0.775, 0.628, 0.472, 0.325, 0.205, 0.127]
    found = [cosine_of_dino(step, 12, start=1.0, end=0.1, warm_up_steps=3) for step in range(12)]
    assert found == pytest.approx(published, abs=5e-4)
    assert cosine_of_dino(0, 12, start=1.0, end=0.1, warm_up_steps=1) == 0.0


def test_a_cosine_between_two_values_has_both_ends() -> None:
    found = [cosine_between(step, 5, 0.996, 1.0) for step in range(7)]
    halves = [0.996, 0.998 - 0.002 / math.sqrt(2), 0.998, 0.998 + 0.002 / math.sqrt(2), 1.0]
    assert found == pytest.approx([*halves, 1.0, 1.0], abs=1e-12)


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_evenly_is_what_numpy_has_and_the_end_behind_it(number: int) -> None:
    found = [evenly(place, number, 0.04, 0.07) for place in range(7)]
    expected = [*np.linspace(0.04, 0.07, number), *[0.07] * (7 - number)]
    assert found == pytest.approx(expected)
