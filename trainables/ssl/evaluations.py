"""How pretrained networks are measured; training does not depend on it."""

from __future__ import annotations

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.settings.ranges import Count, Natural, Positive


class Neighbours(Config):
    """Classes by a vote of the `number` nearest training images, each with e^(cosine / τ).

    τ is the `temperature` (null: all weigh the same). They are looked for among at most `bank`
    training images (null: all), with the same share of each class.
    """

    number: Count = 20
    temperature: Positive | None = 0.07
    bank: int | None = Field(default=None, ge=2)


class Probe(Config):
    """A linear layer on frozen features of the bank, at the last time: `steps` of it (0: none)."""

    steps: Natural = 0


class Evaluations(Config):
    """How networks are measured: by neighbours and a probe on all images of a split.

    `health` is that of so many images of the validation split (0: none), and of their views.
    """

    neighbours: Neighbours = Neighbours()
    probe: Probe = Probe()
    health: Natural = 256

    @model_validator(mode="after")
    def _images_are_compared(self) -> Evaluations:
        if self.health == 1:
            raise ValueError("health must be 0, or at least 2 images that are compared, got 1")
        return self
