"""Means of a few runs, and of their differences, with 95 % intervals."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from raysearch.errors import BadSetting

CONFIDENCE = 0.95
_LARGEST = sys.float_info.max
"""Where an interval ends that is wider: a metric that explodes is finite for a while."""


@dataclass(frozen=True)
class Interval:
    """A mean of `count` values with its 95 % interval; of one value low = high = mean."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def half(self) -> float:
        """Half the width of the interval: mean ± half."""
        return (self.high - self.low) / 2

    def __str__(self) -> str:
        """`0.982 [0.975, 0.989]`; of one value the value."""
        if self.count < 2:
            return f"{self.mean:.4g}"
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True)
class Difference:
    """A difference of two means with its 95 % interval; `is_paired`: taken seed by seed."""

    mean: float
    low: float
    high: float
    is_paired: bool

    @property
    def is_tie(self) -> bool:
        """Whether the interval includes 0: the two cannot be told apart."""
        return self.low <= 0.0 <= self.high


def interval(values: Sequence[float]) -> Interval:
    """The mean ± t · s / √n, with the 97.5 % quantile t of Student's distribution, n − 1 degrees.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise BadSetting("a mean must be of at least one value, got none")
    count, middle = len(values), mean(values)
    half = 0.0 if count == 1 else _half(_variance(values) / count, count - 1)
    return Interval(middle, _finite(middle - half), _finite(middle + half), count)


def difference(first: Mapping[int, float], second: Mapping[int, float]) -> Difference | None:
    """mean(first) − mean(second), each given by seed; None where one has a single seed.

    With the same seeds on both sides it is paired: what is common to the runs of a seed (data
    order, initial weights) cancels, and the interval is that of the mean of the differences
    (Student 1908). With other seeds it is Welch's, which takes no equal variances: the degrees of
    freedom are those of Welch (1947), Biometrika 34, and Satterthwaite (1946). Nothing is corrected
    for looking at several differences.
    """
    if len(first) < 2 or len(second) < 2:
        return None
    if first.keys() == second.keys():
        paired = interval([_finite(value - second[seed]) for seed, value in first.items()])
        return Difference(paired.mean, paired.low, paired.high, True)
    one, other = list(first.values()), list(second.values())
    a, b = _variance(one) / len(one), _variance(other) / len(other)
    gap, half = _finite(mean(one) - mean(other)), math.inf if math.isinf(a + b) else 0.0
    if 0 < a + b < math.inf:
        share = a / (a + b)  # squared here, where nothing overflows
        spread = share**2 / (len(one) - 1) + (1 - share) ** 2 / (len(other) - 1)
        half = _half(a + b, 1 / spread)
    return Difference(gap, _finite(gap - half), _finite(gap + half), False)


def mean(values: Sequence[float]) -> float:
    """The mean of at least one value, of any that are finite; of equal ones exactly that."""
    try:
        return min(max(math.fsum(values) / len(values), min(values)), max(values))
    except OverflowError:
        return float(sum(map(Fraction, values)) / len(values))


def _variance(values: Sequence[float]) -> float:
    """The variance of a sample, with n − 1; infinite where its squares are."""
    middle = mean(values)
    try:
        return math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1)
    except OverflowError:
        return math.inf


def _finite(value: float) -> float:
    return min(max(value, -_LARGEST), _LARGEST)


def _half(variance: float, degrees: float) -> float:
    """Half the width of the interval of a mean that has this variance."""
    if variance <= 0:
        return 0.0
    from scipy.special import stdtrit  # a tenth of what scipy.stats costs to import

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
