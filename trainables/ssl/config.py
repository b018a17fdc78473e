"""What a supervised run on images is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from trainables.core.config import Config
from trainables.core.training import ExperimentConfig, Training
from trainables.data.catalog import IMAGE_SETS, ROOT, DataSet
from trainables.data.places import folder_facts
from trainables.layers.weights import locate

Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Data(Config):
    """Which images; `split_seed` draws the validation split, of some sets the test split too.

    `root` is the folder in which sets are looked for and their arrays kept, as in
    `trainables.data.catalog`; where they lie changes no run. A `folder` of images lies at `path`
    and is read with so many `channels`, a shorter side of `image_size` pixels. `limit`: at most so
    many training images, and validation shrinks with them (None: all).
    """

    name: Literal["digits", "fashion_mnist", "mnist", "cifar10", "cifar100", "folder"] = "digits"
    split_seed: int = Field(default=0, ge=0)
    root: str = str(ROOT)
    path: str | None = None
    image_size: Annotated[int, Field(ge=8, le=512)] = 32
    channels: Literal[1, 3] = 3
    limit: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _a_folder_has_a_path(self) -> Data:
        if self.name == "folder" and self.path is None:
            raise ValueError("path must be given with data.name 'folder': where the images are")
        return self

    def void(self) -> frozenset[str]:
        """The place; what only a folder needs; a limit that is none."""
        void = {"root"} if self.limit is not None else {"root", "limit"}
        return frozenset(
            void if self.name == "folder" else void | {"path", "image_size", "channels"}
        )

    @property
    def side(self) -> int:
        """The side of the images in pixels."""
        return self.image_size if self.name == "folder" else IMAGE_SETS[self.name].image_size

    def facts(self) -> DataSet:
        """What the catalogue says of the set. Raises LookupError for a folder that is not there."""
        if self.name != "folder":
            return IMAGE_SETS[self.name]
        return folder_facts(Path(self.path or ""), self.image_size, self.channels)

    def missing(self) -> str | None:
        """One sentence on what to run, or what to put where; None if the images are there."""
        try:
            return self.facts().missing(Path(self.root))
        except LookupError as error:
            return str(error)


class Augmentation(Config):
    """What is done to training images.

    `shift` in pixels; `smallest_crop` the smallest side of a crop, a share of the image (1: none);
    `mixup` and `cutmix` the α of their Beta distributions (0: off); half of the images are mirrored
    left to right if it `flips`: right for photographs, wrong for digits.
    """

    shift: int = Field(default=0, ge=0, le=4)
    smallest_crop: float = Field(default=1.0, gt=0.2, le=1)
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)
    flips: bool = False

    def void(self) -> frozenset[str]:
        """No flips are as if there were none to have."""
        return frozenset() if self.flips else frozenset({"flips"})


class Model(Config):
    """The vision transformer; sizes as in `trainables.layers.vit`."""

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

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Model:
        if self.width % self.heads:
            raise ValueError(f"heads must divide width ({self.width}), got {self.heads}")
        if self.positions == "sine_cosine" and self.width % 4:
            raise ValueError(f"width must be a multiple of 4 with sine_cosine, got {self.width}")
        return self

    def void(self) -> frozenset[str]:
        """The first of several blocks has no drop path, so a single block has none.

        Nor does the kind count: what has none is a vision transformer.
        """
        return frozenset({"kind", "drop_path"} if self.layers == 1 else {"kind"})


class Backbone(Config):
    """A network of timm, by timm's name, as in `trainables.layers.backbones`.

    `pretrained` takes weights that are at hand, from a package or from `weights_file`; `frozen`
    trains the last layer only. Images are scaled up to `image_size` pixels a side (None: as they
    are). `dropout` is on the features.
    """

    kind: Literal["timm"] = "timm"
    name: str = "resnet18"
    pretrained: bool = False
    weights_file: str | None = None
    frozen: bool = False
    image_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    dropout: Rate = 0.0
    drop_path: Rate = 0.0

    def missing(self) -> str | None:
        """The sentence on pretrained weights that are not there; None if nothing is missing."""
        try:
            if self.pretrained:
                locate(self.name, self.weights_file)
        except LookupError as error:
            return f"model.{error}"
        return None

    def void(self) -> frozenset[str]:
        """No file is read without pretrained weights, and what is frozen drops no paths."""
        file = frozenset[str]() if self.pretrained else frozenset({"weights_file"})
        return file | {"drop_path"} if self.frozen else file


class AdamW(Config):
    """AdamW; `lr` is the peak of the schedule."""

    kind: Literal["adamw"] = "adamw"
    lr: Positive = 1e-3
    weight_decay: float = Field(default=0.05, ge=0)
    beta1: Rate = 0.9
    beta2: Rate = 0.999


class SGD(Config):
    """SGD with momentum; `lr` is the peak of the schedule."""

    kind: Literal["sgd"] = "sgd"
    lr: Positive = 0.1
    weight_decay: float = Field(default=5e-4, ge=0)
    momentum: Rate = 0.9
    nesterov: bool = False

    def void(self) -> frozenset[str]:
        """Nesterov's look-ahead needs momentum."""
        return frozenset({"nesterov"}) if self.momentum == 0 else frozenset()


class LARS(Config):
    """LARS; `lr` is the peak of the schedule, `trust` the trust coefficient."""

    kind: Literal["lars"] = "lars"
    lr: Positive = 0.3
    weight_decay: float = Field(default=1e-6, ge=0)
    momentum: Rate = 0.9
    nesterov: bool = False
    trust: float = Field(default=1e-3, gt=0, le=1)

    def void(self) -> frozenset[str]:
        """Nesterov's look-ahead needs momentum."""
        return frozenset({"nesterov"}) if self.momentum == 0 else frozenset()


class SAM(Config):
    """Sharpness-aware minimisation with `rho` around a base, whose settings the others are.

    A step takes twice the time of the base's; `lr` is the peak of the schedule.
    """

    kind: Literal["sam"] = "sam"
    base: Literal["adamw", "sgd"] = "adamw"
    rho: float = Field(default=0.05, ge=0, le=2)
    lr: Positive = 1e-3
    weight_decay: float = Field(default=0.05, ge=0)
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    momentum: Rate = 0.9
    nesterov: bool = False

    def void(self) -> frozenset[str]:
        """The settings of the other base; and Nesterov's look-ahead needs momentum."""
        if self.base == "adamw":
            return frozenset({"momentum", "nesterov"})
        return frozenset({"beta1", "beta2"} if self.momentum else {"beta1", "beta2", "nesterov"})


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


class Evaluation(Config):
    """How trained networks are measured; training does not depend on it.

    `noise` is the standard deviation of Gaussian noise that is added to the images, in their units:
    digits are standardised, so 1 is as large as what they show (0: none).
    """

    noise: float = Field(default=0.0, ge=0)

    def void(self) -> frozenset[str]:
        """Noise of size 0 is not there."""
        return frozenset({"noise"}) if self.noise == 0 else frozenset()


class Supervised(ExperimentConfig):
    """A vision transformer, or a network of timm, trained with labels."""

    experiment: ClassVar[str] = "trainables.ssl.experiment:SupervisedExperiment"
    name: ClassVar[str] = "ssl.supervised"

    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    model: Annotated[Model | Backbone, Field(discriminator="kind")] = Model()
    optimizer: Annotated[AdamW | SGD | LARS | SAM, Field(discriminator="kind")] = AdamW()
    schedule: Schedule = Schedule()
    label_smoothing: Rate = 0.0
    training: Training = Training(epochs=20, batch_size=32)
    evaluation: Evaluation = Evaluation()

    def missing(self) -> str | None:
        """The sentence on images or weights that are not there."""
        model = self.model.missing() if isinstance(self.model, Backbone) else None
        return self.data.missing() or model

    @field_validator("model", mode="before")
    @classmethod
    def _what_has_no_kind_is_a_vit(cls, model: Any) -> Any:
        return {"kind": "vit", **model} if isinstance(model, dict) else model

    @model_validator(mode="after")
    def _the_model_takes_the_image(self) -> Supervised:
        side = self.data.side
        if isinstance(self.model, Backbone):
            if self.model.image_size is not None and self.model.image_size < side:
                raise ValueError(
                    f"model.image_size must be at least the side of {self.data.name} ({side}), "
                    f"got {self.model.image_size}"
                )
            return self
        if side % self.model.patch_size:
            fitting = [str(size) for size in range(1, side + 1) if side % size == 0]
            raise ValueError(
                f"model.patch_size must divide the side of {self.data.name} ({side}), got "
                f"{self.model.patch_size}; try {', '.join(fitting[:-1])} or {fitting[-1]}"
            )
        return self
