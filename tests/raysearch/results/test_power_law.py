"""Power laws of errors: closed forms, outliers, intervals that hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from raysearch.errors import BadSetting
from raysearch.results import power_law
from raysearch.results.power_law import fit

SIZES = np.array([100.0, 200, 400, 800, 1600, 3200])


def errors(a: float, b: float, c: float, x: NDArray[np.float64] = SIZES) -> NDArray[np.float64]:
    return a * x**-b + c


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_law, "RESAMPLES", 60)


@pytest.mark.parametrize(
    ("a", "b", "c"), [(2.0, 0.5, 0.05), (30.0, 1.0, 0.0), (1.5, 0.25, 0.0), (800.0, 1.5, 0.2)]
)
def test_the_numbers_of_a_law_without_noise_are_found(a: float, b: float, c: float) -> None:
    law = fit(SIZES.tolist(), errors(a, b, c).tolist())
    assert law.b.value == pytest.approx(b, rel=1e-2)
    assert law.c.value == pytest.approx(c, abs=2e-3)
    assert law.at(6400).value == pytest.approx(a * 6400**-b + c, rel=1e-2)
    assert law.falls and law.spread < 1e-3


def test_one_trial_that_went_wrong_hardly_counts() -> None:
    x = np.repeat(SIZES, 3)
    draw = np.random.default_rng(0)
    heights = errors(3, 0.5, 0.02, x) * np.exp(0.02 * draw.standard_normal(len(x)))
    right = fit(x.tolist(), heights.tolist())
    heights[-1] *= 2
    wrong = fit(x.tolist(), heights.tolist())
    slope, *_ = np.polyfit(np.log(x), np.log(heights), 1)
    squares = -float(slope)
    assert abs(wrong.b.value - right.b.value) < 0.03 < abs(squares - 0.5)


def test_units_of_x_change_a_alone() -> None:
    heights = errors(3, 0.4, 0.1) * np.array([1.02, 0.99, 1.01, 0.98, 1.0, 1.01])
    small, large = (fit((scale * SIZES).tolist(), heights.tolist()) for scale in (1.0, 1e6))
    assert large.b.value == pytest.approx(small.b.value, rel=1e-3)
    assert large.c.value == pytest.approx(small.c.value, rel=1e-3, abs=1e-6)
    assert large.a.value == pytest.approx(small.a.value * 1e6**small.b.value, rel=2e-2)


def test_what_does_not_fall_is_said() -> None:
    draw = np.random.default_rng(1)
    flat = 0.3 * np.exp(0.05 * draw.standard_normal(18))
    assert not fit(np.repeat(SIZES, 3).tolist(), flat.tolist()).falls


@pytest.mark.parametrize(
    ("x", "heights", "sentence"),
    [
        ([1, 2, 3, 3, 3], [0.5, 0.4, 0.3, 0.3, 0.3], "at 4 different values, .* got 5 at 3"),
        ([1, 2, 3, 4], [0.5, 0.4, 0.3, 0.2], "at least 5 trials .* got 4 at 4"),
        ([0, 1, 2, 3, 4], [0.5, 0.4, 0.3, 0.2, 0.1], "x must be finite and above 0 .*, got 0"),
        ([1, 2, 3, 4, 5], [0.5, 0.4, 0.3, 0.2, 0], "errors must be finite and above 0 .*, got 0"),
    ],
)
def test_too_little_to_find_a_law_of_is_refused(
    x: list[float], heights: list[float], sentence: str
) -> None:
    with pytest.raises(BadSetting, match=sentence):
        fit(x, heights)


@pytest.mark.slow
def test_intervals_hold_the_true_numbers_about_as_often_as_they_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(power_law, "RESAMPLES", 200)
    x, runs, held, limits = np.repeat(SIZES, 3), 60, 0, 0
    for run in range(runs):
        noise = np.random.default_rng(run).standard_normal(len(x))
        law = fit(x.tolist(), (errors(3, 0.5, 0.05, x) * np.exp(0.04 * noise)).tolist(), seed=run)
        held += law.b.low <= 0.5 <= law.b.high
        limits += law.c.low <= 0.05 <= law.c.high
    assert min(held, limits) >= 0.85 * runs
