"""What a run on global and object-centric representations is made of."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.core.training import ExperimentConfig, Training
from trainables.layers.geometry import swin_geometry
from trainables.osc import agreement
from trainables.osc.evaluations import Evaluations
from trainables.osc.objectives import Loss, Regularization
from trainables.osc.parts import (
    AnyQueries,
    AttentionPool,
    Backbone,
    GlobalFunction,
    LearnedQueries,
    Mlp,
    NormalQueries,
    ObjectFunction,
    Projection,
    SlotAttention,
    TimmBackbone,
    VisionTransformer,
)
from trainables.settings import optimizers
from trainables.settings.crops import ClipFrames, PublishedCrops, SmallCrops, TurnedCrops, Views
from trainables.settings.ranges import NonNegative, Positive, Rate
from trainables.settings.scenes import Scenes

FLOOR = 3e-4 / 7e-4
"""The published last rate over the published peak."""
REFERENCE_BATCH = 64
"""What a rate that is scaled with the batch is stated for."""

SWIN_DEPTHS = (2, 2, 6, 2)
"""Of four stages, as all of them have; how many blocks one has does not matter here."""

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


class Representation(ExperimentConfig):
    """A representation of the image, of the objects in it, or of both, learned from two views.

    `architecture`: `global` has no slots; in `global_obj` image and slots are two branches on the
    backbone; in `obj_global` the image is represented by its slots. `feature_norm` is applied to
    the features of image and slots. The defaults are those of the first generation of the
    published experiments; `second_generation` has those of the second.
    """

    experiment: ClassVar[str] = "trainables.osc.experiment:RepresentationExperiment"
    name: ClassVar[str] = "osc.representation"

    data: Scenes = Scenes(
        name="clevr_with_masks", image_size=240, crop="whole", interpolation="bilinear"
    )
    views: Views = PublishedCrops()
    architecture: Literal["global", "global_obj", "obj_global"] = "obj_global"
    backbone: Backbone = VisionTransformer()
    queries: AnyQueries = LearnedQueries()
    objects: ObjectFunction = SlotAttention()
    global_function: GlobalFunction = Mlp()
    global_projection: Projection = Projection()
    object_projection: Projection = Projection()
    feature_norm: Literal["none", "l2", "squash", "improved_squash", "layer_norm"] = "none"
    loss: Loss = Loss()
    optimizer: Annotated[AdamW | SGD | LARS, Field(discriminator="kind")] = AdamW()
    schedule: Phases = Phases()
    training: Training = Training(epochs=50, batch_size=64, clip_norm=0.0, prefetch=2)
    evaluation: Evaluations = Evaluations()

    def void(self) -> frozenset[str]:
        """Without slots, what makes them; where none are compared, their projection; no norm."""
        void = frozenset({"feature_norm"} if self.feature_norm == "none" else ())
        if self.architecture == "global":
            return void | {"queries", "objects", "object_projection"}
        return void if self.loss.learns_from_slots else void | {"object_projection"}

    def missing(self) -> str | None:
        """The sentence on scenes or weights that are not there."""
        return self.data.missing() or self.backbone.missing()

    @property
    def has_slots(self) -> bool:
        """Whether objects are represented."""
        return self.architecture != "global"

    @property
    def small_crops(self) -> SmallCrops | None:
        """The small crops, if there are any that the loss counts."""
        counts = self.loss.learns_from_slots and self.loss.small_crops > 0
        if counts and isinstance(self.views, TurnedCrops) and self.views.small.count:
            return self.views.small
        return None

    def _sides(self) -> dict[str, int]:
        """Of the views, by their paths."""
        sides = {"views.size": self.views.size}
        if self.small_crops is not None:
            sides["views.small.size"] = self.small_crops.size
        return sides

    @property
    def peak(self) -> float:
        """The largest learning rate, scaled with the batch if asked."""
        share = self.training.batch_size / REFERENCE_BATCH
        factors = {"none": 1.0, "linear": share, "sqrt": share**0.5}
        return self.optimizer.lr * factors[self.optimizer.scaling]

    @model_validator(mode="after")
    def _losses_have_what_they_compare(self) -> Representation:
        if not self.has_slots and self.loss.learns_from_slots:
            raise ValueError(
                f"loss.objects must be 'none' with architecture 'global', which has no slots, got "
                f"{self.loss.objects!r}"
            )
        if self.loss.learns_from_slots and self.loss.small_crops and self.small_crops is None:
            raise ValueError(
                f"loss.small_crops must be 0 without small crops (views.kind 'turned' with "
                f"views.small.count), got {self.loss.small_crops:g}"
            )
        return self

    @model_validator(mode="after")
    def _patches_divide_the_views(self) -> Representation:
        if not isinstance(self.backbone, VisionTransformer):
            return self
        for path, side in self._sides().items():
            if side % self.backbone.patch_size:
                fitting = [str(size) for size in range(1, side + 1) if side % size == 0]
                raise ValueError(
                    f"backbone.patch_size must divide {path} ({side}), got "
                    f"{self.backbone.patch_size}; try {', '.join(fitting)}"
                )
        return self

    @model_validator(mode="after")
    def _windows_fit_the_views(self) -> Representation:
        if not isinstance(self.backbone, TimmBackbone):
            return self
        shape = re.fullmatch(r"swin.*_patch(\d+)_window(\d+)_.*", self.backbone.name)
        if shape is None:
            return self
        patch, window = (int(number) for number in shape.groups())
        for path, side in self._sides().items():
            if said := swin_geometry(side, patch, window, SWIN_DEPTHS):
                raise ValueError(f"{path} must fit {self.backbone.name}: {said}")
        return self

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Representation:
        if not isinstance(self.backbone, VisionTransformer):
            return self  # asked when it is built: its width is timm's to say
        width, asked = self.backbone.width, {"objects": self.objects, "queries": self.queries}
        found = {name: getattr(part, "heads", 1) for name, part in asked.items() if self.has_slots}
        if isinstance(self.global_function, AttentionPool):
            found["global_function"] = self.global_function.heads
        for name, heads in found.items():
            if width % heads:
                raise ValueError(f"{name}.heads must divide backbone.width ({width}), got {heads}")
        return self

    @model_validator(mode="after")
    def _frames_are_of_clips(self) -> Representation:
        if isinstance(self.views, ClipFrames) and not self.data.is_video:
            raise ValueError(
                f"views.kind 'frames' needs clips, and data.name is {self.data.name!r}; take "
                f"movi_c, movi_d, movi_e or digit_grids"
            )
        return self

    @model_validator(mode="after")
    def _parts_agree(self) -> Representation:
        found = [agreement.of_batch(self.training)]
        if self.has_slots:
            measured = self.evaluation.num_slots
            found += [
                agreement.of_slots(self.loss, self.queries, self.objects),
                agreement.of_clusters(self.queries, self.backbone, self._sides(), measured),
                agreement.of_measured_slots(self.queries, measured),
            ]
        shares = self.evaluation.shares_draws
        found.append(agreement.of_draws(self.queries, shares=shares, has_slots=self.has_slots))
        for said in found:
            if said:
                raise ValueError(said)
        return self


def second_generation(**values: Any) -> Representation:
    """The defaults of the second generation of the published experiments, with other values.

    A frozen vision transformer of DINO, normal queries, two large and four small crops, terms of
    variance and covariance, and 10,000 steps.
    """
    settings: dict[str, Any] = {
        "views": TurnedCrops(),
        "backbone": TimmBackbone(),
        "queries": NormalQueries(),
        "objects": SlotAttention(positions="copied"),
        "global_function": AttentionPool(),
        "global_projection": Projection(bias=True),
        "object_projection": Projection(bias=True),
        "loss": Loss(
            objects="sim_img",
            of_images=Regularization(variance=0.5, covariance=0.3),
            of_slots=Regularization(variance=0.5, covariance=0.3),
            small_crops=1.0,
        ),
        "optimizer": AdamW(lr=1e-4, weight_decay=1e-6, decays="matrices"),
        "schedule": Phases(first=0.01, floor=0.1),
        "training": Training(
            steps=10_000, batch_size=32, clip_norm=0.0, evaluate_every=1000, prefetch=2
        ),
    }
    return Representation(**(settings | values))


SECOND_MICRO = VisionTransformer(
    width=128,
    dropout=0.2,
    attention_dropout=0.2,
    drop_path=0.2,
    drop_path_schedule="linear",
    pool="class_token",
    positions_at="input",
    class_has_position=True,
    qkv_bias=True,
    eps=1e-6,
    output_norm=True,
    standardization="centred",
)
"""The small backbone from scratch of the second generation, vit_micro_patch8."""
