"""The parts of which the experiments with slots are made: data, slots, optimisers, evaluations."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.core.training import ExperimentConfig
from trainables.settings import optimizers
from trainables.settings.ranges import Count, Natural, Positive
from trainables.settings.scenes import Scenes, SceneSet

RATE = 4e-4 * 0.5 ** (1 / 10)
"""Google's 4e-4 with its decay since step 0, at the end of a warm-up of a tenth of a half-life."""


class Augmentation(Config):
    """Half of the images are mirrored left to right; all are turned by 0°, 90°, 180° or 270°."""

    flips: bool = True
    rotates: bool = False


class Slots(Config):
    """Slot Attention, as in `trainables.layers.slot_attention`.

    Trained with `num_slots` slots, or in each step with so many as are drawn from `least_slots` …
    `num_slots`. `normalization` is that of the updates: `mean` the weighted mean, `constant` the
    weighted sum · `constant_factor` / tokens, `batch_norm` over two scalars with statistics of its
    own for the first `own_statistics` iterations.
    """

    num_slots: Count = 7
    least_slots: Count | None = None
    iterations: Count = 3
    width: Count = 64
    common_width: Count | None = None
    mlp_width: Count | None = None
    heads: Count = 1
    normalization: Literal[
        "mean", "constant", "none", "layer_norm", "batch_norm", "image_level", "learned_scale"
    ] = "mean"
    constant_factor: Positive = 1.0
    own_statistics: Count = 1
    momentum: float = Field(default=0.1, gt=0, le=1)
    synchronizes: bool = True
    init: Literal["glorot", "keras", "torch"] = "glorot"
    implicit: Literal["none", "last_step", "extra_step"] = "none"
    trains_prior: bool = False
    prior: Literal["gaussian", "learned", "quasi_monte_carlo"] = "gaussian"
    projection_bias: bool = False

    @model_validator(mode="after")
    def _the_least_is_not_more(self) -> Slots:
        if self.least_slots is not None and self.least_slots > self.num_slots:
            raise ValueError(
                f"least_slots must be at most num_slots ({self.num_slots}), got {self.least_slots}"
            )
        if self.least_slots is not None and self.prior == "learned":
            raise ValueError("least_slots must be null with slots.prior 'learned': each is its own")
        if self.normalization == "batch_norm" and self.own_statistics > self.iterations:
            raise ValueError(
                f"own_statistics must be at most iterations ({self.iterations}), "
                f"got {self.own_statistics}"
            )
        width = self.common_width or self.width
        if width % self.heads:
            raise ValueError(f"heads must divide common_width ({width}), got {self.heads}")
        return self

    def void(self) -> frozenset[str]:
        """What only other normalisations have; a prior that is trained anyway."""
        void: set[str] = set()
        if self.normalization != "constant":
            void.add("constant_factor")
        if self.normalization != "batch_norm":
            void |= {"own_statistics", "momentum", "synchronizes"}
        if self.implicit == "none":
            void.add("trains_prior")
        return frozenset(void | ({"least_slots"} if self.least_slots is None else set()))


class Adam(optimizers.Adam):
    """Adam, at Google's rate."""

    lr: Positive = RATE


class AdamTF(optimizers.AdamTF):
    """TensorFlow's Adam, at Google's rate."""

    lr: Positive = RATE


class RMSprop(optimizers.RMSprop):
    """RMSprop, at the rate of Adam."""

    lr: Positive = RATE


class SGD(optimizers.PlainSGD):
    """SGD, at the rate of Adam."""

    lr: Positive = RATE


Optimizer = Annotated[AdamTF | Adam | RMSprop | SGD, Field(discriminator="kind")]


class Setting(Config):
    """One setting in which trained networks are measured; training does not depend on it.

    With `num_slots` slots and `iterations` iterations (None: as trained), on the first `scenes`
    scenes (None: all) with `min_objects` … `max_objects` objects (None: as trained). `rescale`
    multiplies updates: `cardinality` by trained slots / slots (the scaled mean), `mass` by the
    share of tokens of a slot × slots.
    """

    num_slots: Count | None = None
    iterations: Count | None = None
    min_objects: Natural | None = None
    max_objects: Natural | None = None
    scenes: Count | None = 512
    rescale: Literal["none", "cardinality", "mass"] = "none"

    def void(self) -> frozenset[str]:
        """What is as trained."""
        return frozenset(
            name for name, value in self.to_json().items() if value is None or value == "none"
        )


class Evaluations(Config):
    """How networks are measured: `val` (and `test`) by the main setting, `more` by another.

    Without `more.num_slots` the second is not made. Scenes are those of the set trained on, or of
    `other_set`, prepared in the same way. `pictures` scenes are shown in the figures.
    """

    main: Setting = Setting()
    more: Setting = Setting()
    other_set: SceneSet | None = None
    pictures: Natural = 6

    def void(self) -> frozenset[str]:
        """The second setting if it is not asked for; what is only to be looked at."""
        void = {"pictures"} if self.more.num_slots else {"pictures", "more"}
        return frozenset(void if self.other_set else void | {"other_set"})


class Positions(Config):
    """A position embedding on a map: ramps, or a learned map of `learned_width` channels.

    It is added through a linear layer, or concatenated; `normalizes` map and embedding before, and
    `weight` multiplies the embedding.
    """

    combines: Literal["add", "concatenate"] = "add"
    learned_width: Natural = 0
    normalizes: bool = False
    weight: Positive | None = None


class Weights(Config):
    """The weight of the reconstruction: linear between the knots [step, weight], flat outside."""

    reconstruction: float | list[tuple[Natural, float]] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _pairs_from_json(cls, data: Any) -> Any:
        knots = data.get("reconstruction") if isinstance(data, dict) else None
        if not isinstance(knots, list):
            return data
        return {
            **data,
            "reconstruction": [tuple(one) if isinstance(one, list) else one for one in knots],
        }

    @model_validator(mode="after")
    def _knots_go_up(self) -> Weights:
        if isinstance(self.reconstruction, list):
            steps = [step for step, _ in self.reconstruction]
            if not steps or steps != sorted(set(steps)):
                raise ValueError(
                    f"reconstruction must be knots [step, weight] with rising steps, got {steps}"
                )
        return self


class SlotExperiment(ExperimentConfig):
    """What all experiments with slots have, and have to agree on."""

    data: Scenes = Scenes()
    slots: Slots = Slots()
    evaluation: Evaluations = Evaluations()

    def missing(self) -> str | None:
        """The sentence on scenes that are not there, to be trained on or measured on."""
        other = self.evaluation.other_set
        measured = self.data if other is None else self.data.with_values({"name": other})
        return self.data.missing() or measured.missing()

    @model_validator(mode="after")
    def _pictures_are_squares(self) -> Self:
        if self.data.crop == "whole":
            raise ValueError(
                "data.crop must be none, centre, google or square, since networks with slots see "
                "squares, got 'whole'"
            )
        return self

    @model_validator(mode="after")
    def _learned_slots_keep_their_number(self) -> Self:
        trained = self.slots.num_slots
        for name in ("main", "more"):
            asked: int | None = getattr(self.evaluation, name).num_slots
            if self.slots.prior == "learned" and asked not in (None, trained):
                raise ValueError(
                    f"evaluation.{name}.num_slots must be {trained}, as in training, or null with "
                    f"slots.prior 'learned': each slot is its own, got {asked}"
                )
        return self
