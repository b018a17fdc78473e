"""Strong augmentation as it is asked for: operations in a row, and parts that are covered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.settings.crops import Share
from trainables.settings.ranges import Natural


class Plain(Config):
    """Nothing more is done."""

    kind: Literal["none"] = "none"


class RandAugment(Config):
    """So many `operations` in a row, each one of fourteen, all of one `magnitude` of 30."""

    kind: Literal["rand_augment"] = "rand_augment"
    operations: Annotated[int, Field(ge=1, le=16)] = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9


class AutoAugment(Config):
    """One of 25 pairs of operations that were found on `cifar10` or on `imagenet`."""

    kind: Literal["auto_augment"] = "auto_augment"
    policy: Literal["cifar10", "imagenet"] = "cifar10"


class AugMix(Config):
    """The image mixed with `chains` of one to three operations, each of one of `severity` levels.

    Without `all_operations` none of them is a corruption by which robustness is measured.
    """

    kind: Literal["aug_mix"] = "aug_mix"
    severity: Annotated[int, Field(ge=1, le=10)] = 3
    chains: Annotated[int, Field(ge=1, le=16)] = 3
    all_operations: bool = False


Strong = Annotated[Plain | RandAugment | AutoAugment | AugMix, Field(discriminator="kind")]


class Erasing(Config):
    """A rectangle of a `rate` of the images, of `min_area` … `max_area` of them, becomes the mean
    of the training images (0: of none)."""

    rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    min_area: Share = 0.02
    max_area: Share = 0.33

    @model_validator(mode="after")
    def _a_range_is_not_empty(self) -> Erasing:
        if self.max_area < self.min_area:
            raise ValueError(
                f"max_area must be at least min_area ({self.min_area:g}), got {self.max_area:g}"
            )
        return self

    def void(self) -> frozenset[str]:
        """Of no image everything."""
        return frozenset() if self.rate else frozenset(type(self).model_fields)


class Strengthened(Config):
    """What is done to images behind all else: `strong` operations, `erasing`, and a square of
    `cutout` pixels a side that becomes the mean of the training images (0: none).

    Where images have one channel, `color` is no operation: it leaves them as they are.
    """

    strong: Strong = Plain()
    erasing: Erasing = Erasing()
    cutout: Natural = 0

    def void(self) -> frozenset[str]:
        """What is not done."""
        off = {"strong": self.strong.kind == "none", "cutout": not self.cutout}
        return frozenset(name for name, is_off in off.items() if is_off)


def check_cutout(path: str, cutout: int, sides: Mapping[str, int]) -> None:
    """Raises ValueError if a square may cover a whole image, of sides in pixels by what makes them.

    It begins with the path of the setting.
    """
    for name, side in sides.items():
        if cutout >= side:
            raise ValueError(
                f"{path}cutout must be below the side of images ({side} pixels, by {name}), got "
                f"{cutout}"
            )


def arguments(strong: Plain | RandAugment | AutoAugment | AugMix) -> dict[str, Any]:
    """The arguments of the function of `trainables.data.strong_augment` with the name of the kind,
    but how many operations there are, which its draws say."""
    return strong.model_dump(exclude={"kind", "operations"})
