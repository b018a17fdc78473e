"""What a supervised run on images is made of."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from trainables.core.config import Config
from trainables.core.training import ExperimentConfig, Training
from trainables.settings import optimizers
from trainables.settings.backbones import Backbone
from trainables.settings.images import Images
from trainables.settings.ranges import Count, NonNegative, Positive, Rate
from trainables.settings.schedules import Schedule


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

    data: Images = Images()
    augmentation: Augmentation = Augmentation()
    model: Annotated[Model | Backbone, Field(discriminator="kind")] = Model()
    optimizer: Annotated[AdamW | SGD | LARS | SAM, Field(discriminator="kind")] = AdamW()
    schedule: Schedule = Schedule()
    label_smoothing: Rate = 0.0
    training: Training = Training(epochs=20, batch_size=32)
    evaluation: Evaluation = Evaluation()

    def missing(self) -> str | None:
        """The sentence on images or weights that are not there."""
        model = self.model.missing("model") if isinstance(self.model, Backbone) else None
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
