"""What a supervised run on images is made of."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.core.training import ExperimentConfig, Training
from trainables.data.catalog import DATA_SETS

Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Data(Config):
    """Which images; `split_seed` draws the train, validation and test splits."""

    name: Literal["digits"] = "digits"
    split_seed: int = Field(default=0, ge=0)


class Augmentation(Config):
    """What is done to training images.

    `shift` in pixels; `smallest_crop` the smallest side of a crop, a share of the image (1: none);
    `mixup` and `cutmix` the α of their Beta distributions (0: off).
    """

    shift: int = Field(default=0, ge=0, le=4)
    smallest_crop: float = Field(default=1.0, gt=0.2, le=1)
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)


class Model(Config):
    """The vision transformer; sizes as in `trainables.layers.vit`."""

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
        """The first of several blocks has no drop path, so a single block has none."""
        return frozenset({"drop_path"}) if self.layers == 1 else frozenset()


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


class Schedule(Config):
    """How the learning rate goes: warm-up as a share of all steps, then down to `floor` × peak."""

    kind: Literal["cosine", "linear", "constant"] = "cosine"
    warm_up: Rate = 0.1
    floor: float = Field(default=0.0, ge=0, le=1)

    def void(self) -> frozenset[str]:
        """A constant rate has no floor."""
        return frozenset({"floor"}) if self.kind == "constant" else frozenset()


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
    """A vision transformer trained with labels."""

    experiment: ClassVar[str] = "trainables.ssl.experiment:SupervisedExperiment"
    name: ClassVar[str] = "ssl.supervised"

    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    model: Model = Model()
    optimizer: Annotated[AdamW | SGD, Field(discriminator="kind")] = AdamW()
    schedule: Schedule = Schedule()
    label_smoothing: Rate = 0.0
    training: Training = Training(epochs=20, batch_size=32)
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _patches_tile_the_image(self) -> Supervised:
        side = DATA_SETS[self.data.name].image_size
        if side % self.model.patch_size:
            fitting = [str(size) for size in range(1, side + 1) if side % size == 0]
            raise ValueError(
                f"model.patch_size must divide the side of {self.data.name} ({side}), got "
                f"{self.model.patch_size}; try {', '.join(fitting[:-1])} or {fitting[-1]}"
            )
        return self
