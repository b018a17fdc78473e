"""A float range as Optuna's."""

from __future__ import annotations

from optuna.distributions import FloatDistribution


def optuna_float(low: float, high: float, log: bool, step: float | None) -> FloatDistribution:
    """The range with all of its steps.

    Optuna counts in decimal digits and takes off the last of steps that fit but for rounding, such
    as those of π/2; so its upper end is set afterwards.
    """
    if step is None:
        return FloatDistribution(low, high, log=log)
    made = FloatDistribution(low, low, step=step)
    made.high = high
    return made
