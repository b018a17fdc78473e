"""Settings of schedules of the learning rate, whose formulas are in `trainables.core.schedules`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainables.core.config import Config
from trainables.settings.ranges import Count, Natural, Rate


class Schedule(Config):
    """How the learning rate goes: warm-up as a share of all steps, then down to `floor` × peak.

    `half_life`, of an exponential decay, is a share of all steps too.
    """

    kind: Literal["cosine", "linear", "constant", "exponential"] = "cosine"
    warm_up: Rate = 0.1
    floor: float = Field(default=0.0, ge=0, le=1)
    half_life: float = Field(default=0.2, gt=0, le=100)

    def void(self) -> frozenset[str]:
        """A constant rate has no floor; only an exponential decay has a half-life."""
        floor = frozenset({"floor"}) if self.kind == "constant" else frozenset[str]()
        return floor if self.kind == "exponential" else floor | {"half_life"}


class HalfLives(Config):
    """A linear warm-up from `first` × the rate, then half of it each `half_life` steps.

    All in steps; a half-life of null keeps the rate.
    """

    warm_up: Natural = 10_000
    first: float = Field(default=1e-3, ge=0, le=1)
    half_life: Count | None = 100_000

    def void(self) -> frozenset[str]:
        """Without a warm-up there is no first rate."""
        return frozenset() if self.warm_up else frozenset({"first"})
