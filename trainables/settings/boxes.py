"""Which boxes of annotated pictures are images with a class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from trainables.core.config import Config
from trainables.settings.contents import by_content
from trainables.settings.ranges import Count, Natural, NonNegative

Part = Annotated[float, Field(gt=0, lt=1)]
_OF_PIXELS = ("context", "shape")


class Boxes(Config):
    """Boxes of at least `min_crop_size` pixels a side, by area; `all`, or of each picture the
    `largest`.

    `context` is how much more there is to see at each side, in shares of the box; `shape` whether
    its sides become equal (`warp`) or black stands beside it (`pad`). `coarse_map` is a file that
    says which class labels become, `classes` the classes that are kept (null: all), each with at
    most `max_per_class` boxes. `pictures` is the folder of pictures (null: that of the list of
    boxes), `field` the name of boxes in an export of FiftyOne (null: the only one). Pairs of stereo
    pictures, and those whose names have the same text where `sequence_pattern` matches, are in the
    same split; validation and test have about `val_share` and `test_share` of each class.
    """

    crop: Literal["largest", "all"] = "all"
    min_crop_size: Natural = 32
    context: NonNegative = 0.0
    shape: Literal["warp", "pad"] = "warp"
    classes: tuple[str, ...] | None = None
    coarse_map: str | None = None
    max_per_class: Count | None = None
    pictures: str | None = None
    field: str | None = None
    sequence_pattern: str | None = None
    val_share: Part = 0.1
    test_share: Part = 0.1

    @field_validator("sequence_pattern")
    @classmethod
    def _it_is_a_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"must be a regular expression, got {pattern!r} ({error})") from None
        return pattern

    @model_validator(mode="after")
    def _something_is_trained_on(self) -> Boxes:
        if self.val_share + self.test_share >= 1:
            raise ValueError(
                f"test_share must leave boxes to train on beside val_share ({self.val_share:g}), "
                f"got {self.test_share:g}"
            )
        return self

    def void(self) -> frozenset[str]:
        """Where pictures lie."""
        return frozenset({"pictures"})

    def options(self) -> dict[str, Any]:
        """The arguments of `trainables.data.detection.crops.Options`."""
        return self.model_dump(exclude={"pictures", *_OF_PIXELS})

    def arguments(self) -> dict[str, Any]:
        """Those of `trainables.data.images.load`: of which boxes, where, and how they are cut."""
        return {
            "options": self.options(),
            "pictures": self.pictures,
            "cut": self.model_dump(include={*_OF_PIXELS}),
        }

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return by_content(super()._canonical(plain), "coarse_map")
