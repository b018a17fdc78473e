"""Power laws of errors, with their intervals: error = a · x^−b + c."""

# N trials.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysearch.errors import BadSetting

Numbers = NDArray[np.float64]

LEAST_VALUES, LEAST_TRIALS = 4, 5
"""Different x, and trials, of which three numbers can be found and some noise is left to see."""
RESAMPLES = 1000
_EXPONENTS = (1e-3, 10.0)
"""Exponents that are looked at."""
_STARTS = ((0.1, 0.3, 0.7, 1.5), (0.0, 0.5, 0.9))
"""Exponents, and shares of the smallest error that are c, from which a fit begins."""
_EVEN = 0.01
"""An exponent below it is none: the error halves over 30 decades of x."""
_SMALLEST = 1e-9
_STEPS = 60


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PowerLaw:
    """error = a · x^−b + c with 95 % intervals; `resampled` has a, b, c of each resample [R, 3].

    `spread` is the deviation of the logarithm of an error around the law, `tail` the share of
    resamples on either side of an interval.
    """

    a: Estimate
    b: Estimate
    c: Estimate
    spread: float
    resampled: Numbers
    tail: float

    @property
    def falls(self) -> bool:
        """Whether the error falls with x: the interval of b is above 0."""
        return self.b.low > _EVEN

    def at(self, x: float) -> Estimate:
        """The error that the law says at x, and the interval of what it says."""
        a, b, c = self.resampled.T
        value = self.a.value * x**-self.b.value + self.c.value
        return _estimate(value, a * x**-b + c, self.tail)


def fit(x: Sequence[float], errors: Sequence[float], seed: int = 0) -> PowerLaw:
    """The law of errors [N] of trials at x [N], by its logarithm, robustly.

    Σ ρ(log(a · x^−b + c) − log error) is smallest, ρ the soft absolute value √(1 + r²) − 1 of
    residuals in twice their typical size, so that a single trial that went wrong hardly counts;
    a > 0, 0.001 ≤ b ≤ 10, 0 ≤ c. Intervals are of 1,000 fits to the law with residuals drawn anew
    among trials, made larger by √(N / (N − 3)) for the three numbers that were fitted (Davison and
    Hinkley 1997, section 6.2.3); they leave out the tails of Student's distribution with N − 3
    degrees of freedom (the expanded percentiles of Hesterberg 2015), and held the true exponent
    in 94 of 100 simulations of three seeds at six x. A limit that was never nearly reached is
    uncertain, and so is what lies beyond the largest x.

    Raises:
        BadSetting: x or an error is not positive; there are too few trials, or different x.
    """
    across, heights = np.array(x, np.float64), np.array(errors, np.float64)
    _check(across, heights)
    middle = float(np.exp(np.log(across).mean()))
    places, logs = np.log(across / middle), np.log(heights)
    first = _first(places, logs)[None]
    scale = 2 * max(1.4826 * float(np.median(np.abs(logs - _said(first, places)))), _SMALLEST)
    found = _solved(first, places, logs[None], scale)
    fitted = _said(found, places)[0]
    residuals = logs - fitted
    free = len(logs) - 3
    wider = (residuals - residuals.mean()) * np.sqrt(len(logs) / free)
    draws = np.random.default_rng(seed).choice(wider, (RESAMPLES, len(wider)))
    refits = _solved(np.repeat(found, RESAMPLES, 0), places, fitted + draws, scale)
    own, resampled = _plain(found, middle)[0], _plain(refits, middle)
    share = _tail(free)
    a, b, c = (_estimate(own[k], resampled[:, k], share) for k in range(3))
    spread = float(np.sqrt((residuals**2).sum() / free))
    return PowerLaw(a, b, c, spread, resampled, share)


def _check(x: Numbers, errors: Numbers) -> None:
    for name, values in (("x", x), ("errors", errors)):
        if not (np.isfinite(values).all() and (values > 0).all()):
            bad = values[~(np.isfinite(values) & (values > 0))][0]
            raise BadSetting(f"{name} must be finite and above 0 for a power law, got {bad:g}")
    different = len(set(x.tolist()))
    if different < LEAST_VALUES or len(x) < LEAST_TRIALS:
        raise BadSetting(
            f"a power law needs at least {LEAST_TRIALS} trials at {LEAST_VALUES} different values, "
            f"since it has three numbers, got {len(x)} at {different}"
        )


def _tail(free: int) -> float:
    """The share of resamples on either side of an interval, with so many degrees of freedom."""
    from scipy.special import ndtr, stdtrit

    return 1 - float(ndtr(stdtrit(free, 0.975)))


def _estimate(value: float, resampled: Numbers, tail: float) -> Estimate:
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))


def _plain(found: Numbers, middle: float) -> Numbers:
    """a, b, c of log a at the middle x, b, c; [R, 3]."""
    height, exponent, floor = found.T
    return np.stack([np.exp(height + exponent * np.log(middle)), exponent, floor], 1)


def _said(found: Numbers, places: Numbers) -> Numbers:
    """The logarithms of errors [R, N] at the logarithms of x over the middle one [N]."""
    return np.log(np.exp(found[:, :1] - found[:, 1:2] * places) + found[:, 2:])


def _slopes(found: Numbers, places: Numbers) -> Numbers:
    """What `_said` gains with each of the three numbers, [R, N, 3]."""
    power = np.exp(found[:, :1] - found[:, 1:2] * places)
    each = np.stack([power, -power * places, np.ones_like(power)], 2)
    return each / (power + found[:, 2:])[:, :, None]


def _first(places: Numbers, logs: Numbers) -> Numbers:
    """The best of fits by least squares from several starts."""
    least = float(np.exp(logs.min()))
    starts = [
        (float((logs + exponent * places).mean()), exponent, share * least)
        for exponent in _STARTS[0]
        for share in _STARTS[1]
    ]
    found = _solved(np.array(starts), places, np.repeat(logs[None], len(starts), 0), None)
    squares = ((_said(found, places) - logs) ** 2).sum(1)
    return found[int(squares.argmin())]


def _solved(start: Numbers, places: Numbers, logs: Numbers, scale: float | None) -> Numbers:
    """The three numbers [R, 3] of fits to logarithms [R, N] that begin at `start` [R, 3].

    Levenberg and Marquardt's steps of all fits at once, cut off at the bounds; with a scale each
    residual r has the weight 1 / √(1 + (r / scale)²) of the soft absolute value.
    """
    rows = len(start)
    low = np.repeat([[-np.inf, _EXPONENTS[0], 0.0]], rows, 0)
    high = np.stack([np.full(rows, np.inf), np.full(rows, _EXPONENTS[1]), np.exp(logs.min(1))], 1)
    found, damping = np.clip(start, low, high), np.full(rows, 1e-3)
    now = _cost(_said(found, places) - logs, scale)
    for _ in range(_STEPS):
        gaps, slopes = _said(found, places) - logs, _slopes(found, places)
        weights = np.ones_like(gaps) if scale is None else 1 / np.sqrt(1 + (gaps / scale) ** 2)
        uphill = np.einsum("rn,rnk->rk", weights * gaps, slopes)
        at_end = ((found <= low) & (uphill > 0)) | ((found >= high) & (uphill < 0))
        slopes = np.where(at_end[:, None], 0.0, slopes)
        uphill = np.where(at_end, 0.0, uphill)
        curves = np.einsum("rn,rnk,rnl->rkl", weights, slopes, slopes)
        own = np.einsum("rkk->rk", curves) + _SMALLEST
        more = damping[:, None] * own + np.where(at_end, 1.0, _SMALLEST * own)
        step = np.linalg.solve(curves + more[:, :, None] * np.eye(3), uphill[:, :, None])
        ahead = np.clip(found - step[:, :, 0], low, high)
        cost = _cost(_said(ahead, places) - logs, scale)
        better = cost <= now
        found, now = np.where(better[:, None], ahead, found), np.where(better, cost, now)
        damping = np.where(better, damping / 5, damping * 4).clip(1e-12, 1e8)
    return found


def _cost(gaps: Numbers, scale: float | None) -> Numbers:
    """The sum of residuals [R, N], [R]: squares, or soft absolute values."""
    if scale is None:
        return (gaps**2).sum(1)
    return (np.sqrt(1 + (gaps / scale) ** 2) - 1).sum(1)
