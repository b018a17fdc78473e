"""Settings of optimisers: rate and weight decay, and their phases over a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.settings import optimizers
from trainables.settings.ranges import NonNegative, Positive, Rate

FLOOR = 3e-4 / 7e-4
"""The published last rate over the published peak."""
REFERENCE_BATCH = 64
"""What a rate that is scaled with the batch is stated for."""

Decays = Literal["all", "matrices"]
Scaling = Literal["none", "linear", "sqrt"]


class AdamW(optimizers.AdamW):
    """AdamW; `decays` says whether biases, gains, tokens and positions lose weight too.

    The rate of a batch of B is `lr`, `lr` · B / 64 (`linear`) or `lr` · √(B / 64) (`sqrt`).
    """

    lr: Positive = 7e-4
    weight_decay: NonNegative = 1e-4
    decays: Decays = "all"
    scaling: Scaling = "none"


class SGD(optimizers.SGD):
    """SGD, with what `AdamW` has besides."""

    lr: Positive = 0.05
    weight_decay: NonNegative = 1e-4
    decays: Decays = "matrices"
    scaling: Scaling = "none"


class LARS(optimizers.LARS):
    """LARS, with what `AdamW` has besides."""

    lr: Positive = 0.3
    weight_decay: NonNegative = 1e-6
    decays: Decays = "matrices"
    scaling: Scaling = "none"


class Phases(Config):
    """Three phases of the learning rate, in shares of all steps.

    A linear warm-up from `first` × the peak, a decay (half a cosine, or by the same factor each
    step) to `floor` × the peak, and the last `hold` at that.
    """

    decay: Literal["cosine", "exponential"] = "cosine"
    warm_up: Rate = 0.2
    first: float = Field(default=1e-10, ge=0, le=1)
    floor: float = Field(default=FLOOR, ge=0, le=1)
    hold: Rate = 0.0

    @model_validator(mode="after")
    def _there_is_a_decay(self) -> Phases:
        if self.warm_up + self.hold >= 1:
            raise ValueError(
                f"hold must leave a decay behind warm_up ({self.warm_up:g}), got {self.hold:g}"
            )
        if self.decay == "exponential" and self.floor == 0:
            raise ValueError("floor must be above 0 with schedule.decay 'exponential', got 0")
        return self

    def void(self) -> frozenset[str]:
        """Without a warm-up there is no first rate; a third phase that is none."""
        void = frozenset[str]() if self.warm_up else frozenset({"first"})
        return void if self.hold else void | {"hold"}
