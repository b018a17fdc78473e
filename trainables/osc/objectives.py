"""Settings of the losses that compare views, and their weights."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from pydantic import model_validator

from trainables.core.config import Config
from trainables.settings.ranges import NonNegative, Positive, Rate

GlobalTerm = Literal["ctr", "sim", "none"]
ObjectTerm = Literal["ctr_all", "ctr_img", "ctr_aug", "sim_img", "distillation", "none"]
PRESETS = {
    "equal": (1.0, 1.0),
    "more_global": (1.0, 0.05),
    "more_objects": (0.1, 1.0),
    "zero_objects": (1.0, 0.0),
    "objects_only": (0.0, 1.0),
}
"""`loss.global_weight` and `loss.object_weight` by the names that they were published under."""


class Regularization(Config):
    """Weights of the variance and the covariance of features, beside the term that compares."""

    variance: NonNegative = 0.0
    covariance: NonNegative = 0.0


class Loss(Config):
    """What views are compared by, and how much it counts.

    The loss is `global_weight` × (the term on images + `of_images`) + `object_weight` × (the term
    on slots + `of_slots` + `small_crops` × that of small crops, which without it are not made).
    Terms: `ctr` (contrast with all other images), `sim` (with no negatives); `ctr_all`, `ctr_img`
    and `ctr_aug` contrast a slot with those of all images, of both views of its image, or of the
    other view; `sim_img` has no negatives, and `distillation` a teacher that follows the networks
    with `momentum`. `matching` of slots is one to one, or each to its nearest (`greedy`).
    """

    images: GlobalTerm = "ctr"
    objects: ObjectTerm = "ctr_img"
    global_weight: NonNegative = 1.0
    object_weight: NonNegative = 1.0
    temperature: Positive = 0.1
    matching: Literal["hungarian", "greedy"] = "hungarian"
    of_images: Regularization = Regularization()
    of_slots: Regularization = Regularization()
    small_crops: NonNegative = 0.0
    teacher_temperature: Positive = 0.04
    momentum: Rate = 0.999

    @model_validator(mode="before")
    @classmethod
    def _an_old_name(cls, data: Any) -> Any:
        """`sim_all` was the name of a loss that never was another than `sim_img`."""
        if isinstance(data, dict) and data.get("objects") == "sim_all":
            warnings.warn("loss.objects 'sim_all' is called 'sim_img'", stacklevel=2)
            return {**data, "objects": "sim_img"}
        return data

    @model_validator(mode="after")
    def _there_is_a_term(self) -> Loss:
        if self.images == "none" and self.objects == "none":
            raise ValueError("images must not be 'none' where loss.objects is: nothing is learned")
        learns = {
            "global_weight": self.images != "none" or self.of_images != Regularization(),
            "object_weight": self.objects != "none",
        }
        if not any(has_terms and getattr(self, name) for name, has_terms in learns.items()):
            name = max(learns, key=lambda one: learns[one])
            raise ValueError(f"{name} must be above 0 where nothing else is learned, got 0")
        return self

    def void(self) -> frozenset[str]:
        """What belongs to terms that there are none of."""
        void: set[str] = set()
        if self.objects != "distillation":
            void |= {"teacher_temperature", "momentum"}
        contrasts = self.images == "ctr" or self.objects.startswith("ctr")
        if not contrasts and self.objects != "distillation":
            void.add("temperature")
        if self.images == "none" and self.of_images == Regularization():
            void.add("global_weight")
        if self.objects == "none":
            void |= {"object_weight", "matching", "of_slots", "small_crops"}
        return frozenset(void)

    @property
    def learns_from_slots(self) -> bool:
        """Whether any part of the loss is of slots."""
        return self.objects != "none"
