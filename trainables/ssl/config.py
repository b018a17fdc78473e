"""Configurations of supervised training and of pretraining by comparing views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from trainables.core.config import Config
from trainables.core.training import ExperimentConfig, Training
from trainables.settings import optimizers
from trainables.settings.backbones import Backbone
from trainables.settings.going_on import Part, check_part, missing_checkpoint, of_content
from trainables.settings.images import Images
from trainables.settings.ranges import Count, NonNegative, Positive, Rate
from trainables.settings.schedules import Schedule
from trainables.settings.strong import Strengthened, check_cutout
from trainables.settings.views import MultiCrop, Views
from trainables.ssl import controls, optimization
from trainables.ssl.canonical import of_channels, of_labels, of_no_labels, without_boxes
from trainables.ssl.evaluations import Evaluation, Evaluations
from trainables.ssl.methods import Dino, Method, SimCLR, SupCon
from trainables.ssl.optimization import Optimizer
from trainables.ssl.segmentation_settings import SegmentationConfig


class Augmentation(Strengthened):
    """What is done to training images.

    `shift` in pixels; `smallest_crop` the smallest side of a crop, a share of the image (1: none);
    `mixup` and `cutmix` the α of their Beta distributions (0: off); half of the images are mirrored
    left to right if it `flips`: right for photographs, wrong for digits. Before they are mixed they
    are `strong`, erased and cut out as `Strengthened` says.
    """

    shift: int = Field(default=0, ge=0, le=4)
    smallest_crop: float = Field(default=1.0, gt=0.2, le=1)
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)
    flips: bool = False

    def void(self) -> frozenset[str]:
        """No flips are as if there were none to have; what is not done."""
        return super().void() | (frozenset() if self.flips else frozenset({"flips"}))


class Model(Config):
    """The vision transformer; sizes as in `trainables.layers.vit`.

    It begins as the `weights_part` of `weights_file`, a checkpoint of a run, as in
    `settings.going_on` (null: as it is drawn).
    """

    kind: Literal["vit"] = "vit"
    patch_size: Count = 2
    width: Count = 32
    layers: Count = 2
    heads: Count = 2
    mlp_ratio: float = Field(default=2.0, ge=0.5, le=8)
    dropout: Rate = 0.0
    attention_dropout: Rate = 0.0
    drop_path: Rate = 0.0
    pool: Literal["class_token", "mean"] = "class_token"
    positions: Literal["learned", "sine_cosine"] = "learned"
    norm: Literal["pre", "post"] = "pre"
    weights_file: str | None = None
    weights_part: Part | None = None

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Model:
        if self.width % self.heads:
            raise ValueError(f"heads must divide width ({self.width}), got {self.heads}")
        if self.positions == "sine_cosine" and self.width % 4:
            raise ValueError(f"width must be a multiple of 4 with sine_cosine, got {self.width}")
        check_part(self.weights_file, self.weights_part)
        return self

    def void(self) -> frozenset[str]:
        """The first of several blocks has no drop path, so a single block has none.

        Nor does the kind count: what has none is a vision transformer; nor a file that is none.
        """
        file = {"weights_file", "weights_part"} if self.weights_file is None else set[str]()
        return frozenset({"kind", "drop_path"} | file if self.layers == 1 else {"kind"} | file)

    def missing(self, path: str) -> str | None:
        """The sentence on a checkpoint that is not there."""
        return missing_checkpoint(path, self.weights_file)

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return of_content(super()._canonical(plain))


class AdamW(optimizers.AdamW):
    """AdamW, with the rate and the weight decay of this family."""

    lr: Positive = 1e-3
    weight_decay: NonNegative = 0.05


class SGD(optimizers.SGD):
    """SGD, with the rate and the weight decay of this family."""

    lr: Positive = 0.1
    weight_decay: NonNegative = 5e-4


class LARS(optimizers.LARS):
    """LARS, with the rate and the weight decay of this family."""

    lr: Positive = 0.3
    weight_decay: NonNegative = 1e-6


class SAM(optimizers.SAM):
    """SAM, with the rate and the weight decay of AdamW, its first base."""

    lr: Positive = 1e-3
    weight_decay: NonNegative = 0.05


class Supervised(ExperimentConfig):
    """A vision transformer, a network of timm or a smaller one, trained with labels."""

    experiment: ClassVar[str] = "trainables.ssl.experiment:SupervisedExperiment"
    name: ClassVar[str] = "ssl.supervised"

    data: Images = Images()
    augmentation: Augmentation = Augmentation()
    model: Annotated[Model | Backbone | controls.Control, Field(discriminator="kind")] = Model()
    optimizer: Annotated[AdamW | SGD | LARS | SAM, Field(discriminator="kind")] = AdamW()
    schedule: Schedule = Schedule()
    label_smoothing: Rate = 0.0
    training: Training = Training(epochs=20, batch_size=32)
    evaluation: Evaluation = Evaluation()

    def canonical(self) -> dict[str, Any]:
        """As of any configuration; without what images of so many channels have not."""
        return of_labels(
            of_channels(super().canonical(), self.data.num_channels), self.data.labels_from.is_used
        )

    def missing(self) -> str | None:
        """The sentence on images or weights that are not there."""
        corruption = self.evaluation.corruption.missing("evaluation.corruption")
        model = None if isinstance(self.model, controls.Control) else self.model.missing("model")
        path = self.evaluation.landscape.missing("evaluation.landscape")
        labels = self.data.labels_from.missing()
        return self.data.missing() or labels or model or corruption or path

    def unreported(self, metric: str) -> str | None:
        """The sentence on why no run reports a metric; None if it may."""
        return self.evaluation.unreported(metric) or _unchanged(metric, self, None)

    @field_validator("model", mode="before")
    @classmethod
    def _what_has_no_kind_is_a_vit(cls, model: Any) -> Any:
        return {"kind": "vit", **model} if isinstance(model, dict) else model

    @model_validator(mode="after")
    def _images_change_as_they_can(self) -> Supervised:
        _check_changes(self)
        return self

    @model_validator(mode="after")
    def _the_model_takes_the_image(self) -> Supervised:
        side = self.data.side
        check_cutout(
            "augmentation.", self.augmentation.cutout, {f"data.name {self.data.name!r}": side}
        )
        if not isinstance(self.model, Model):
            if self.model.image_size is not None and self.model.image_size < side:
                raise ValueError(
                    f"model.image_size must be at least the side of {self.data.name} ({side}), "
                    f"got {self.model.image_size}"
                )
            if isinstance(self.model, controls.ModernResNet):
                if problem := self.model.too_small(self.model.image_size or side):
                    raise ValueError(f"model.{problem}")
            return self
        if side % self.model.patch_size:
            fitting = [str(size) for size in range(1, side + 1) if side % size == 0]
            raise ValueError(
                f"model.patch_size must divide the side of {self.data.name} ({side}), got "
                f"{self.model.patch_size}; try {', '.join(fitting[:-1])} or {fitting[-1]}"
            )
        return self


_OF_CLASSIFIERS = ("accuracy", "recall", "ece", "brier")
"""How the names of what only classifiers have begin."""


_CLASSIFIER = (
    "a classifier, which method.kind {!r} does not give; take cross_entropy, focal, paco, gpaco "
    "or multi_task, or dino with method.focal.weight above 0"
)
_OTHERS = "somebody else than the classifier to answer"


def _unchanged(metric: str, config: Any, missing: dict[str, str] | None) -> str | None:
    """The sentence on an answer to changed images that nobody gives (None: none but a network)."""
    missing = missing if missing is not None else {"probe": _OTHERS, "classifier": _OTHERS}
    given = "evaluation.natural", config.data.num_channels, missing
    return config.evaluation.natural.unreported(metric, *given)


def _check_changes(config: Supervised | Pretraining) -> None:
    """Raises ValueError if images cannot be changed as it is said."""
    data, asked = config.data, config.evaluation.natural
    problem = asked.refused(
        "evaluation.natural", data.num_channels, data.name, has_files=data.is_own
    )
    if problem is not None:
        raise ValueError(problem)


SMALL_VIT = Model(patch_size=4, width=96, layers=4, heads=3)
"""For views of 28 and 16 pixels."""


class Pretraining(ExperimentConfig):
    """A network that learns from several views of each image, by one of several methods.

    Views are crops (`views`), the network a vision transformer or one of timm without classes
    (`model`), and `method` says what is compared. Rates are for a batch of 256.

    `compatibility` `official` has what the code of DINO does beside its paper: a first rate of 0,
    the peak of the rate twice and no last value, gradients bounded for each tensor by itself
    (`clip_each`, 0: no bound), and weight decay of tokens, positions and prototypes.
    """

    experiment: ClassVar[str] = "trainables.ssl.pretraining:PretrainingExperiment"
    name: ClassVar[str] = "ssl.pretraining"

    data: Images = Images(name="fashion_mnist")
    views: Views = MultiCrop(size=28, local_crop_input_factor=1.75)
    model: Annotated[Model | Backbone, Field(discriminator="kind")] = SMALL_VIT
    method: Method = Dino()
    optimizer: Optimizer = optimization.AdamW()
    schedule: Schedule = Schedule()
    training: Training = Training(epochs=100, batch_size=64, clip_norm=3.0, prefetch=2)
    evaluation: Evaluations = Evaluations()
    compatibility: Literal["none", "official"] = "none"
    clip_each: NonNegative = 0.0

    def void(self) -> frozenset[str]:
        """No compatibility, and what it alone has."""
        if self.compatibility == "none":
            return frozenset({"compatibility", "clip_each"})
        return frozenset()

    def canonical(self) -> dict[str, Any]:
        """As of any configuration; without what images of so many channels have not."""
        found = of_channels(super().canonical(), self.data.num_channels)
        if self.data.name != "boxes":
            found["evaluation"] = without_boxes(found["evaluation"])
        if not self.method.sees_labels:
            return of_no_labels(found)
        return of_labels(found, self.data.labels_from.is_used)

    def missing(self) -> str | None:
        """The sentence on images or weights that are not there."""
        corruption = self.evaluation.corruption.missing("evaluation.corruption")
        path = self.evaluation.landscape.missing("evaluation.landscape")
        labels = self.data.labels_from.missing() if self.method.sees_labels else None
        others = corruption or self.evaluation.beside.missing() or path
        return self.data.missing() or labels or self.model.missing("model") or others

    def unreported(self, metric: str) -> str | None:
        """The sentence on why no run reports a metric; None if it may."""
        evaluation, *network, value = metric.split("/")
        is_scored, own = evaluation in ("val", "test"), self.method.has_classifier
        missing = {} if own else {"classifier": _CLASSIFIER.format(self.method.kind)}
        if is_scored and missing and "/".join([*network, value]).startswith(_OF_CLASSIFIERS):
            return f"metric {metric} needs {missing['classifier']}"
        if not self.evaluation.probe.steps:
            missing["probe"] = "a probe; take evaluation.probe.steps of at least 1"
        if is_scored and network and network[0] != "recall" and not self.method.has_teacher:
            return (
                f"metric {metric} needs a teacher, which method.kind {self.method.kind!r} does not "
                f"give; take dino, byol, moco or paco"
            )
        if problem := self.evaluation.unreported(metric) or _unchanged(metric, self, missing):
            return problem
        is_probed = value.startswith("probe") and "probe" in missing
        return f"metric {metric} needs {missing['probe']}" if is_probed else None

    def sides(self) -> dict[str, int]:
        """The sides of views in pixels by the paths that set them, the large ones first."""
        return {f"views.{name}": side for name, side in self.views.sides.items()}

    @field_validator("model", mode="before")
    @classmethod
    def _what_has_no_kind_is_a_vit(cls, model: Any) -> Any:
        return {"kind": "vit", **model} if isinstance(model, dict) else model

    @model_validator(mode="after")
    def _images_change_as_they_can(self) -> Pretraining:
        _check_changes(self)
        return self

    @model_validator(mode="after")
    def _the_model_takes_the_views(self) -> Pretraining:
        for path, side in self.sides().items():
            if isinstance(self.model, Model) and side % self.model.patch_size:
                fitting = [str(size) for size in range(1, side + 1) if side % size == 0]
                raise ValueError(
                    f"model.patch_size must divide the side of views that {path} makes ({side}), "
                    f"got {self.model.patch_size}; try {', '.join(fitting)}"
                )
        return self

    @model_validator(mode="after")
    def _the_probe_sees_blocks_that_there_are(self) -> Pretraining:
        probe = self.evaluation.probe
        if probe.steps and isinstance(self.model, Model) and probe.blocks > self.model.layers:
            raise ValueError(
                f"evaluation.probe.blocks must be at most model.layers ({self.model.layers}), got "
                f"{probe.blocks}"
            )
        return self

    @model_validator(mode="after")
    def _examples_are_balanced_by_their_labels(self) -> Pretraining:
        data = self.data
        if data.balanced and data.has_unlabelled and not self.method.sees_labels:
            raise ValueError(
                f"data.balanced must be false where method.kind {self.method.kind!r} learns from "
                f"images without labels too (data.labels_share below 1, data.unlabelled), got true"
            )
        if data.balanced and getattr(self.method, "adjustment", 0.0):
            raise ValueError(
                "data.balanced must be false where method.adjustment is above 0, which corrects "
                "for uneven classes as well: with both each class counts the less the more images "
                "it has, got true"
            )
        return self

    @model_validator(mode="after")
    def _two_views_are_compared(self) -> Pretraining:
        if not self.method.takes_two_views:
            return self
        method, views = self.method.kind, self.views
        if views.kind == "multi_crop" and views.small.number:
            raise ValueError(
                f"views.small.count must be 0 with method.kind {method!r}, which compares two "
                f"large views, got {views.small.number} small ones; or take "
                f"views.kind 'contrastive'"
            )
        if views.kind == "contrastive" and views.count != 2:
            raise ValueError(
                f"views.count must be 2 with method.kind {method!r}, got {views.count}"
            )
        return self

    @model_validator(mode="after")
    def _one_bound_of_gradients(self) -> Pretraining:
        if self.compatibility == "official" and self.training.clip_norm:
            raise ValueError(
                f"training.clip_norm must be 0 with compatibility 'official', which bounds the "
                f"gradient of each tensor by clip_each, got {self.training.clip_norm:g}"
            )
        if self.compatibility == "official" and self.schedule.kind != "cosine":
            raise ValueError(
                f"schedule.kind must be 'cosine' with compatibility 'official', got "
                f"{self.schedule.kind!r}"
            )
        return self

    @model_validator(mode="after")
    def _examples_have_losses(self) -> Pretraining:
        if isinstance(self.optimizer, optimization.SAM) and self.optimizer.needs_each:
            if self.method.compares_images:
                raise ValueError(
                    f"optimizer.example_share must be 1 with method.kind {self.method.kind!r}, "
                    f"whose loss compares images, got {self.optimizer.example_share:g}"
                )
        return self

    @model_validator(mode="after")
    def _there_are_others_to_compare_with(self) -> Pretraining:
        images = self.training.batch_size // self.training.num_micro_batches
        if isinstance(self.method, SimCLR | SupCon) and images < 2:
            raise ValueError(
                f"training.batch_size must have at least 2 images in each micro-batch with "
                f"method.kind {self.method.kind!r}, which compares them, got {images}"
            )
        return self


class Segmentation(SegmentationConfig):
    """STEGO: codes of places by which features of a frozen network correspond, and classes of them.

    Clusters of codes are matched with classes, and a linear layer reads classes off them; neither
    teaches the codes anything. With the `signal` `labels` true classes are compared in place of
    features.
    """

    experiment: ClassVar[str] = "trainables.ssl.segmentation:SegmentationExperiment"
    name: ClassVar[str] = "ssl.segmentation"
