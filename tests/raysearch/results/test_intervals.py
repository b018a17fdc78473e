"""Means, differences and their intervals, against scipy.stats."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from raysearch.results.intervals import difference, interval, mean
from raysearch.results.reductions import reduce_objective


def _draws(count: int, seed: int, mean: float = 0.0, spread: float = 1.0) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(mean, spread) for _ in range(count)]


@pytest.mark.parametrize("count", [2, 3, 5, 40])
def test_the_interval_of_a_mean_is_students(count: int) -> None:
    values = _draws(count, count)
    found, known = interval(values), stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), rel=1e-12)
    assert (found.mean, found.count) == (pytest.approx(sum(values) / count), count)


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    found = interval([0.3])
    assert (found.mean, found.low, found.high, found.half, found.count) == (0.3, 0.3, 0.3, 0.0, 1)
    with pytest.raises(ValueError, match="at least one value"):
        interval([])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_with_the_same_seeds_the_difference_is_paired(count: int) -> None:
    first, second = _draws(count, 1), _draws(count, 2, 0.3)
    known = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = difference(dict(enumerate(first)), dict(reversed(list(enumerate(second)))))
    assert found is not None and found.is_paired
    assert (found.low, found.high) == pytest.approx((known.low, known.high), rel=1e-9)


@pytest.mark.parametrize(("one", "other"), [(2, 3), (5, 2), (4, 4)])
def test_with_other_seeds_the_difference_is_welchs(one: int, other: int) -> None:
    first, second = _draws(one, 1), _draws(other, 2, 0.3, 3.0)
    known = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    found = difference(dict(enumerate(first)), dict(enumerate(second, 1)))
    assert found is not None and not found.is_paired
    assert (found.low, found.high) == pytest.approx((known.low, known.high), rel=1e-9)


def test_of_a_single_seed_no_difference_is_known() -> None:
    assert difference({0: 1.0}, {0: 1.0, 1: 2.0}) is None
    assert difference({0: 1.0, 1: 2.0}, {1: 1.0}) is None


def test_values_that_never_vary_are_told_apart_and_equal_ones_are_not() -> None:
    apart, equal = difference({0: 1.0, 1: 1.0}, {2: 2.0, 3: 2.0}), difference(
        {0: 0.1, 1: 0.1}, {0: 0.1, 1: 0.1}
    )  # fmt: skip
    assert apart is not None and (apart.low, apart.high, apart.is_tie) == (-1.0, -1.0, False)
    assert equal is not None and equal.is_tie


def test_the_interval_covers_the_true_mean_in_19_of_20() -> None:
    found = [interval(_draws(3, seed)) for seed in range(2000)]
    share = sum(each.low <= 0.0 <= each.high for each in found) / len(found)
    assert share == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / len(found)) ** 0.5)


@pytest.mark.parametrize("large", [1e150, 1e160, 1.5e308])
def test_values_that_explode_have_a_mean_and_a_wide_interval(large: float) -> None:
    found, gap = interval([0.5, large, 0.4]), difference({0: large, 1: 0.5}, {2: -large, 3: 0.4})
    assert found.mean == pytest.approx(large / 3) and math.isfinite(found.high - found.mean)
    assert gap is not None and gap.is_tie and math.isfinite(gap.low) and math.isfinite(gap.mean)
    assert mean([large, large, large]) == pytest.approx(large)
    assert reduce_objective([large] * 4, "mean(3)", "minimize") == pytest.approx(large)


@pytest.mark.parametrize("value", [0.813, 0.1, 1e-300, -0.7])
@pytest.mark.parametrize("count", [2, 3, 6, 7])
def test_equal_values_have_themselves_as_mean_and_no_width(value: float, count: int) -> None:
    found = interval([value] * count)
    assert (found.low, found.mean, found.high) == (value, value, value)
