"""Settings of unsupervised segmentation: features, head, correspondence, probes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.core.training import ExperimentConfig, Training
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.classes import classes
from trainables.settings import optimizers
from trainables.settings.backbones import missing_weights
from trainables.settings.contents import by_content
from trainables.settings.ranges import Count, Natural, NonNegative, Positive, Rate
from trainables.settings.scenes import Scenes
from trainables.settings.schedules import Schedule

Property = Literal["any", "none", "size", "material", "shape", "color", "digit", "garment"]
NO_CLASSES = "none"
"""Of pixels whose classes nobody knows, or is to look at."""


class Segmented(Scenes):
    """Scenes, and by which property of an object its pixels have a class.

    By `any` there are two classes, background and object; of a set whose masks are classes, these.
    By `none` there are no classes, as sets without masks have it: there are pictures of clusters.
    With `five_crop` training images are the corners and the middle of each scene, with sides of so
    much of its sides (null: whole scenes); evaluated are whole ones.
    """

    classes: Property = "any"
    five_crop: Annotated[float, Field(gt=0.1, lt=1)] | None = None

    def void(self) -> frozenset[str]:
        """As of any scenes; crops that are none."""
        found = super().void()
        return found | {"five_crop"} if self.five_crop is None else found

    @model_validator(mode="after")
    def _there_are_such_classes(self) -> Segmented:
        if self.classes == NO_CLASSES:
            return self
        if not SCENE_SETS[self.name].has_masks:
            raise ValueError(
                f"classes must be none for {self.name}, which has no masks, got {self.classes!r}"
            )
        try:
            classes(SCENE_SETS[self.name], self.classes)
        except LookupError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes of pixels, by index; none if nobody knows them."""
        if self.classes == NO_CLASSES:
            return ()
        return classes(SCENE_SETS[self.name], self.classes)


class Maps(Config):
    """The frozen network whose feature maps are looked at, by timm's name.

    `layer` counts its blocks or stages from the end (1: the last), of which `outputs` are taken, of
    a transformer behind its last norm (`final_norm`), or the `keys` of its attention. It sees
    images of `image_size` rows (null: as many as it was trained with), and columns in proportion.
    With a `checkpoint` it is the vision transformer that was trained there, by `ssl.pretraining`
    (the teacher if it moves) or `ssl.supervised`. The first run computes the maps, once for all,
    and keeps them as `store` says: `float16`, or `int8` with a scale for each place.
    """

    backbone: str = "vit_small_patch8_224.dino"
    pretrained: bool = True
    weights_file: str | None = None
    layer: Count = 1
    taken: Literal["outputs", "keys"] = "outputs"
    final_norm: bool = True
    image_size: Annotated[int, Field(ge=16, le=1024)] | None = None
    store: Literal["float16", "int8"] = "float16"
    checkpoint: str | None = None

    def void(self) -> frozenset[str]:
        """No file is read without pretrained weights; a checkpoint says all but the size."""
        if self.checkpoint is not None:
            return frozenset(type(self).model_fields) - {"checkpoint", "image_size", "store"}
        found = {"checkpoint"} if self.pretrained else {"checkpoint", "weights_file"}
        return frozenset(found | {"final_norm"} if self.taken == "keys" else found)

    def missing(self) -> str | None:
        """The sentence on pretrained weights that are not there; None if nothing is missing."""
        if self.checkpoint is not None:
            is_there = Path(self.checkpoint).is_file()
            where = f"and there is none at {self.checkpoint!r}"
            return None if is_there else f"features.checkpoint must be a file, {where}"
        if not self.pretrained:
            return None
        return missing_weights("features", self.backbone, self.weights_file)

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return by_content(super()._canonical(plain), "checkpoint", "weights_file")


class Head(Config):
    """Codes of so many numbers: a linear layer, with 2 `layers` a perceptron beside it.

    `dropout` is of whole channels of the features, also of those that are compared.
    """

    width: Count = 70
    layers: Literal[1, 2] = 2
    dropout: Rate = 0.1


class Correspondence(Config):
    """What codes learn from: where features of two images are more alike than a shift.

    An image is compared with itself (`self`), with one of its nearest `neighbours`, and with
    `negatives` others of the micro-batch, each with a weight and a shift b. `places` × `places` are
    drawn in each image. `centres`, `clamps` and `stabilises` as in
    `trainables.losses.correspondence`.
    """

    self_weight: NonNegative = 0.67
    neighbour_weight: NonNegative = 0.25
    random_weight: NonNegative = 0.63
    self_shift: float = 0.18
    neighbour_shift: float = 0.12
    random_shift: float = 0.46
    neighbours: Count = 7
    negatives: Count = 5
    places: Count = 11
    centres: bool = True
    clamps: bool = True
    stabilises: bool = False

    def void(self) -> frozenset[str]:
        """What belongs to a weight of 0."""
        found: set[str] = set()
        if not self.self_weight:
            found.add("self_shift")
        if not self.neighbour_weight:
            found |= {"neighbour_shift", "neighbours"}
        if not self.random_weight:
            found |= {"random_shift", "negatives"}
        return frozenset(found)


class ColourTerm(Config):
    """Codes that are alike where places and colours are, with a `weight` (0: no such term).

    Image and codes are scaled to `size` × `size`, and `places` of these are drawn. The others are
    those of `trainables.losses.correspondence.Kernel`.
    """

    weight: NonNegative = 0.0
    places: Count = 1000
    size: Count = 56
    alpha: Positive = 0.5
    beta: Positive = 0.15
    gamma: Positive = 0.05
    near: NonNegative = 10.0
    close: NonNegative = 3.0
    shift: float = 0.0

    def void(self) -> frozenset[str]:
        """All if there is no such term."""
        return frozenset() if self.weight else frozenset(type(self).model_fields)


class Alignment(Config):
    """Codes that move with what they are of, with a `weight` (0: no such term).

    Of each training image there are so many changed `versions`, the same in all runs: a window of
    at least `smallest_area`, half of them mirrored, its colours times 1 ± `strength`. Their maps
    are computed with the others, and one of them is drawn in each step.
    """

    weight: NonNegative = 0.0
    versions: Count = 4
    smallest_area: Annotated[float, Field(gt=0.05, le=1)] = 0.8
    strength: Annotated[float, Field(ge=0, le=1)] = 0.3

    def void(self) -> frozenset[str]:
        """All if there is no such term."""
        return frozenset() if self.weight else frozenset(type(self).model_fields)


class Probes(Config):
    """What reads classes off the codes and teaches them nothing: its rate, and more clusters.

    There are as many clusters as classes, and `extra_clusters`, which no class is matched with;
    where there are no classes these are all.
    """

    lr: Positive = 5e-3
    extra_clusters: Natural = 0


class Adam(optimizers.Adam):
    """Adam, with the rate of the published code."""

    lr: Positive = 5e-4


class AdamW(optimizers.AdamW):
    """AdamW, whose weight decay is that of the head alone."""

    lr: Positive = 5e-4
    weight_decay: NonNegative = 0.01


class SegmentationEvaluations(Config):
    """How segments are measured: on the first `scenes` of a split (null: all).

    With `mirrors` codes are the mean of those of the image and of its mirror image. With `crf` what
    a conditional random field makes of them is measured too, at the last time: its time grows as
    the square of the pixels. `pictures` scenes are shown.
    """

    scenes: Count | None = 512
    mirrors: bool = True
    crf: bool = False
    pictures: Natural = 6

    def void(self) -> frozenset[str]:
        """What is only to be looked at; no random field is as if there were none to have."""
        return frozenset({"pictures"} if self.crf else {"pictures", "crf"})


class SegmentationConfig(ExperimentConfig):
    """The settings of unsupervised segmentation and what they have to agree on."""

    data: Segmented = Segmented(name="clevr_with_masks", classes="shape")
    features: Maps = Maps()
    head: Head = Head()
    signal: Literal["features", "labels"] = "features"
    correspondence: Correspondence = Correspondence()
    reconstruction_weight: NonNegative = 0.0
    colours: ColourTerm = ColourTerm()
    alignment: Alignment = Alignment()
    probes: Probes = Probes()
    optimizer: Annotated[Adam | AdamW, Field(discriminator="kind")] = Adam()
    schedule: Schedule = Schedule(kind="constant", warm_up=0.0)
    training: Training = Training(
        steps=5000, batch_size=16, clip_norm=0.0, evaluate_every=100, save_every=500
    )
    evaluation: SegmentationEvaluations = SegmentationEvaluations()

    def void(self) -> frozenset[str]:
        """A reconstruction that weighs nothing."""
        return frozenset() if self.reconstruction_weight else frozenset({"reconstruction_weight"})

    def unreported(self, metric: str) -> str | None:
        """The sentence on why no run reports a metric; None if it may."""
        evaluation, _, value = metric.partition("/")
        is_none, of_use = self.data.classes == NO_CLASSES, value.startswith("clusters_")
        if evaluation not in ("val", "test") or is_none == of_use:
            return None
        if is_none:
            return (
                f"metric {metric} needs classes, and data.classes is 'none'; look at "
                f"{evaluation}/clusters_used and at the pictures"
            )
        return f"metric {metric} is of scenes without classes; take data.classes 'none'"

    @model_validator(mode="after")
    def _what_has_no_classes_needs_none(self) -> SegmentationConfig:
        if self.data.classes != NO_CLASSES:
            return self
        if self.signal == "labels":
            raise ValueError(
                "signal must be 'features' with data.classes 'none', of which there are no labels, "
                "got 'labels'"
            )
        if self.probes.extra_clusters < 2:
            raise ValueError(
                f"probes.extra_clusters must be at least 2 with data.classes 'none', where these "
                f"are all clusters, got {self.probes.extra_clusters}; try 27"
            )
        return self

    def missing(self) -> str | None:
        """The sentence on scenes or weights that are not there."""
        return self.data.missing() or self.features.missing()

    @model_validator(mode="after")
    def _there_are_others_to_compare_with(self) -> SegmentationConfig:
        images = self.training.batch_size // self.training.num_micro_batches
        if self.correspondence.random_weight and images < 2:
            raise ValueError(
                f"training.batch_size must have at least 2 images in each micro-batch unless "
                f"correspondence.random_weight is 0, since others are compared with, got {images}"
            )
        return self
