"""The rest of what a detector is made of: pictures, backbones, losses, optimiser, measurements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.data.catalog import ROOT
from trainables.data.detection.catalog import DETECTION_SETS, DetectionSet
from trainables.settings import optimizers
from trainables.settings.backbones import missing_weights
from trainables.settings.contents import by_content
from trainables.settings.ranges import Count, Natural, NonNegative, Positive, Rate

Sides = Annotated[tuple[Count, ...], Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
SIDES = tuple(range(480, 801, 32))
"""Shorter sides of training pictures (Carion et al. 2020, appendix A.4)."""
LARGEST_AREA = 1e5**2
"""Square pixels of the largest object that pycocotools counts."""

FINISHING = {
    "fixed_crop_rate": ("fixed_crop_sides",),
    "centre_crop_rate": ("centre_crop_sides",),
    "pad_rate": ("most_padding",),
    "erase_rate": ("erased_range", "erased_ratio"),
}
"""What may be done to resized pictures: the probability of each, and what it is done by."""


class Pictures(Config):
    """Which pictures with boxes; validation is a part of training's that is not trained on.

    `root` is the folder of data sets, `copy_to` one on the own disk of a node, to which pictures
    are copied first (null: nowhere); where they lie changes no run. Made and converted pictures
    are of `image_size` pixels a side (None: what is customary). Of `coco`, `selects_on` says
    which pictures choose among trials: 5,000 of train2017, or those of val2017, as was published,
    which are the test otherwise. `limit`: at most so many training pictures, drawn by the seed of
    the run (None: all).
    """

    name: Literal["coco", "garments_boxes", "trees", "tiny"] = "coco"
    root: str = str(ROOT)
    copy_to: str | None = None
    image_size: Annotated[int, Field(ge=32, le=1024)] | None = None
    selects_on: Literal["train2017", "val2017"] = "train2017"
    limit: Count | None = None

    def void(self) -> frozenset[str]:
        """The place; a size and a limit that are none; what only COCO has."""
        void = {"root", "copy_to"} | {
            name for name in ("image_size", "limit") if getattr(self, name) is None
        }
        return frozenset(void if self.name == "coco" else void | {"selects_on"})

    @property
    def facts(self) -> DetectionSet:
        """What the catalogue says of the set."""
        return DETECTION_SETS[self.name]

    @property
    def path(self) -> Path:
        """The folder of data sets."""
        return Path(self.root)

    def missing(self) -> str | None:
        """One sentence on what to run, or what to put where; None if the pictures are there."""
        return self.facts.missing(self.path, image_size=self.image_size or 0)


class Augmentation(Config):
    """How pictures are mirrored, cropped and resized, as in `trainables.data.detection.geometry`.

    For training the short side is one of `sizes`, by draw, and for evaluation `evaluated_size`, but
    no long side is above `longest`. With probability `crop_rate` a part of the picture is taken
    before, its short side being one of `first_sizes`, whose sides are within `crop_range`. What is
    done to the resized picture, each with its probability, is in `data.detection.finishing`.
    """

    sizes: Sides = SIDES
    longest: Count = 1333
    mirror_rate: Share = 0.5
    crop_rate: Share = 0.5
    first_sizes: Sides = (400, 500, 600)
    crop_range: tuple[Count, Count] = (384, 600)
    evaluated_size: Count = 800
    fixed_crop_rate: Share = 0.0
    fixed_crop_sides: tuple[Count, Count] = (384, 384)
    centre_crop_rate: Share = 0.0
    centre_crop_sides: tuple[Count, Count] = (384, 384)
    pad_rate: Share = 0.0
    most_padding: Count = 32
    erase_rate: Share = 0.0
    erased_range: tuple[Share, Share] = (0.02, 0.33)
    erased_ratio: tuple[Positive, Positive] = (0.3, 3.3)

    def void(self) -> frozenset[str]:
        """Sizes of crops, where there are none; all of what is never done to resized pictures."""
        void = set[str]() if self.crop_rate else {"first_sizes", "crop_range"}
        for rate, others in FINISHING.items():
            void |= set() if getattr(self, rate) else {rate, *others}
        return frozenset(void)

    @model_validator(mode="after")
    def _sides_are_in_order(self) -> Augmentation:
        low, high = self.crop_range
        if high < low:
            raise ValueError(f"crop_range must be the least and the largest, got {low}, {high}")
        for name in ("erased_range", "erased_ratio"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must rise from above 0, got {low:g}, {high:g}")
        return self


class Backbone(Config):
    """A ResNet of torchvision, or any network of timm that has maps; the last map is taken.

    Batch normalisation is frozen, and of a ResNet the stem and the first stage. `pretrained` takes
    weights that are at hand, or those in `weights_file`. `dilation` doubles the grid.
    """

    name: str = "resnet50"
    pretrained: bool = True
    weights_file: str | None = None
    dilation: bool = False

    def void(self) -> frozenset[str]:
        """No file is read without pretrained weights."""
        return frozenset() if self.pretrained else frozenset({"weights_file"})

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return by_content(super()._canonical(plain), "weights_file")

    def missing(self) -> str | None:
        """The sentence on pretrained weights that are not there; None if nothing is missing."""
        if not self.pretrained:
            return None
        return missing_weights("backbone", self.name, self.weights_file)

    @model_validator(mode="after")
    def _dilation_is_possible(self) -> Backbone:
        if self.dilation and self.name in ("resnet18", "resnet34"):
            raise ValueError(
                f"dilation must be false for {self.name}, whose blocks cannot be dilated, got "
                f"true; take resnet50 or resnet101"
            )
        return self


class Balance(Config):
    """What classes, distances of boxes and their generalised overlaps count against each other."""

    ce: NonNegative = 1.0
    bbox: NonNegative = 5.0
    giou: NonNegative = 2.0


class Loss(Config):
    """What pairs of queries and objects cost, and what their losses weigh.

    `eos_coef` is the weight of "no object", the class of queries without one. With `aux_loss` the
    outputs of all decoder layers are compared, each by its own pairs.
    """

    costs: Balance = Balance()
    weights: Balance = Balance()
    eos_coef: Annotated[float, Field(gt=0, le=1)] = 0.1
    aux_loss: bool = True


class AdamW(optimizers.AdamW):
    """AdamW, with a rate of its own for the backbone (0: it is frozen)."""

    lr: Positive = 1e-4
    weight_decay: NonNegative = 1e-4
    backbone_lr: NonNegative = 1e-5


class Adam(optimizers.Adam):
    """Adam, at the rate of a few numbers that learn alone."""

    lr: Positive = 0.05


class Alpha(Config):
    """How a learned α is trained: at `lr` (None: ten times `optimizer.lr`).

    It follows the schedule, or keeps its rate. Its weight decay is its own, usually none.
    """

    lr: Positive | None = None
    follows_schedule: bool = True
    weight_decay: NonNegative = 0.0

    def void(self) -> frozenset[str]:
        """A rate that follows from another; no weight decay."""
        void = {"lr"} if self.lr is None else set[str]()
        return frozenset(void if self.weight_decay else void | {"weight_decay"})


class Drops(Config):
    """The rate is multiplied by `factor` behind each of these epochs."""

    kind: Literal["drops"] = "drops"
    epochs: tuple[Count, ...] = (200,)
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1

    @model_validator(mode="after")
    def _epochs_rise(self) -> Drops:
        if list(self.epochs) != sorted(set(self.epochs)):
            raise ValueError(f"epochs must rise, got {', '.join(map(str, self.epochs))}")
        return self


class Sparsity(Config):
    """How the sparsity of attention is measured.

    `protocol`: Gini of a `map`, or of its rows as in one of three published protocols. Only queries
    whose class has a probability above `score_above` count. Weights up to a threshold are zeros.
    """

    protocol: Literal["map", "rows_a", "rows_b", "rows_c"] = "map"
    score_above: Rate = 0.0
    thresholds: Annotated[tuple[Rate, ...], Field(min_length=1)] = (
        0.0,
        *(10.0**-power for power in range(10, 2, -1)),
    )

    @model_validator(mode="after")
    def _thresholds_rise(self) -> Sparsity:
        if list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError(f"thresholds must rise, got {self.thresholds}")
        return self


class Evaluations(Config):
    """How detectors are measured, on at most so many `images` of a split (None: all).

    Boxes are small below the first of `areas` in pixels of the original picture, large above the
    second. `images_at_once` are padded to the largest of them. `data` `unrel` measures the
    objects of unusual relations in place of the set's own, with COCO's names or `as_numbered` as
    was published. `padding` in attention to pictures is as it was trained, or as one of those of
    `cross.padding`. `pictures` are shown in figures.
    """

    images: Count | None = None
    images_at_once: Count = 4
    areas: tuple[Positive, Positive] = (32.0**2, 96.0**2)
    sparsity: Sparsity = Sparsity()
    data: Literal["own", "unrel"] = "own"
    names: Literal["mapped", "as_numbered"] = "mapped"
    padding: Literal["as_trained", "masked", "added"] = "as_trained"
    pictures: Natural = 4

    def void(self) -> frozenset[str]:
        """What is only looked at; names of the other set; what is as it was, or no number."""
        void = {"pictures"} | ({"images"} if self.images is None else set())
        void |= {"padding"} if self.padding == "as_trained" else set()
        return frozenset(void if self.data == "unrel" else void | {"names"})

    @model_validator(mode="after")
    def _areas_rise(self) -> Evaluations:
        if not self.areas[0] < self.areas[1] < LARGEST_AREA:
            raise ValueError(
                f"areas must rise and be below {LARGEST_AREA:g}, got {self.areas[0]:g}, "
                f"{self.areas[1]:g}"
            )
        return self
