"""The reports of an attempt at its last step, and what may be added to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from raysearch.trial.messages import InvalidMessage, brief


@dataclass
class ReportedSteps:
    """What an attempt has reported at its last step: all reports of one step are one."""

    step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    checkpoint: str | None = None

    def take(
        self, step: int, metrics: Mapping[str, float], checkpoint: str | None
    ) -> dict[str, float]:
        """Takes in a report; returns the metrics that are new at its step.

        Raises:
            InvalidMessage: the step goes back, or a metric has another value at the same step.
        """
        check_order(step, self.step)
        if step != self.step:
            self.step, self.metrics, self.checkpoint = step, {}, None
        added = merged(step, self.metrics, metrics)
        self.metrics |= added
        self.checkpoint = checkpoint or self.checkpoint
        return added


def merged(step: int, known: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    """What a second report of a step adds to the first.

    Raises:
        InvalidMessage: one name has two values.
    """
    added: dict[str, float] = {}
    for name, value in more.items():
        if name not in known:
            added[name] = value
        elif not same(known[name], value):
            raise InvalidMessage(
                f"metric {brief(name)} must have one value at step {step}, got {known[name]} and "
                f"then {value}"
            )
    return added


def check_order(step: int, last: int | None) -> None:
    """Raises InvalidMessage if a step goes back behind the last one of the same attempt."""
    if last is not None and step < last:
        raise InvalidMessage(
            f"step must not go back within a run, got {step} after {last}: count steps from the "
            f"beginning of the training, not of the epoch"
        )


def same(one: float, other: float) -> bool:
    """Whether two numbers are equal; NaN is equal to itself."""
    return one == other or (math.isnan(one) and math.isnan(other))
