"""Configurations of global and object-centric representations."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from trainables.core.training import ExperimentConfig, Training
from trainables.layers.geometry import swin_geometry, timm_width
from trainables.osc import agreement, reported
from trainables.osc.evaluations import Evaluations
from trainables.osc.objectives import Loss, Regularization
from trainables.osc.optimization import LARS, REFERENCE_BATCH, SGD, AdamW, Phases
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
from trainables.settings.crops import ClipFrames, PublishedCrops, SmallCrops, TurnedCrops, Views
from trainables.settings.scenes import Scenes

SWIN_DEPTHS = (2, 2, 6, 2)
"""Of four stages, as all of them have; how many blocks one has does not matter here."""

_OF_SLOTS = ("segmentation", "num_slots")
"""Settings of evaluations that nothing but slots has a use for."""


class Representation(ExperimentConfig):
    """A representation of the image, of the objects in it, or of both, learned from two views.

    `architecture`: `global` has no slots; in `global_obj` image and slots are two branches on the
    backbone; in `obj_global` the image is represented by its slots. `feature_norm` is applied to
    the features of image and slots. `purpose` marks runs that are no results, by which they are
    told apart and left out: an `overfit` on few scenes, or `debug`; it changes nothing else. The
    defaults are those of the first generation of the published experiments; `second_generation` has
    those of the second.
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
    purpose: Literal["result", "overfit", "debug"] = "result"

    def void(self) -> frozenset[str]:
        """Without slots, what makes them; where none are compared, their projection; no norm; no
        mark.
        """
        neutral = {"feature_norm": "none", "purpose": "result"}
        void = frozenset(name for name, value in neutral.items() if getattr(self, name) == value)
        if self.architecture == "global":
            return void | {"queries", "objects", "object_projection"}
        return void if self.loss.learns_from_slots else void | {"object_projection"}

    def canonical(self) -> dict[str, Any]:
        """As of any configuration; without slots, without how they are measured."""
        found = super().canonical()
        if not self.has_slots:
            measured = found["evaluation"]
            found["evaluation"] = {k: v for k, v in measured.items() if k not in _OF_SLOTS}
        return found

    def missing(self) -> str | None:
        """The sentence on scenes or weights that are not there."""
        return self.data.missing() or self.backbone.missing()

    def unreported(self, metric: str) -> str | None:
        """The sentence on why no run reports a metric; None if it may."""
        decisive = reported.Configured(
            architecture=self.architecture,
            has_slots=self.has_slots,
            data=self.data.name,
            objects=self.loss.objects,
            views=self.views.kind,
            probe_steps=self.evaluation.probe.steps,
        )
        return reported.why_unreported(metric, decisive)

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
            if problem := swin_geometry(side, patch, window, SWIN_DEPTHS):
                raise ValueError(f"{path} must fit {self.backbone.name}: {problem}")
        return self

    @property
    def heads(self) -> dict[str, int]:
        """Of all that looks at the features of the backbone, by the path of the part."""
        asked = {"objects": self.objects, "queries": self.queries} if self.has_slots else {}
        found = {name: getattr(part, "heads", 1) for name, part in asked.items()}
        if isinstance(self.global_function, AttentionPool):
            found["global_function"] = self.global_function.heads
        return found

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Representation:
        if isinstance(self.backbone, VisionTransformer):
            problem = agreement.of_heads(self.heads, self.backbone.width, "backbone.width")
        else:
            name = self.backbone.name
            width = timm_width(name)  # None: asked when it is built
            whose = f"the width of {name}"
            problem = None if width is None else agreement.of_heads(self.heads, width, whose)
        if problem:
            raise ValueError(problem)
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
        for problem in found:
            if problem:
                raise ValueError(problem)
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
