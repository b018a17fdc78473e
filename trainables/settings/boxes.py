"""Settings of boxes of annotated pictures as images with a class."""

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
    same split; so are those between whose times is no gap above `time_gap` seconds (null: times are
    not looked at), which are where `time_pattern` matches, whose groups are seconds and perhaps
    microseconds. Validation and test have about `val_share` and `test_share` of each class.

    Methods that see no labels learn from whole pictures without boxes too (`empty_pictures`
    `beside`), from these `alone`, or from none of them.
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
    time_gap: NonNegative | None = None
    time_pattern: str = r"(\d+)_(\d+)"
    empty_pictures: Literal["none", "beside", "alone"] = "none"
    val_share: Part = 0.1
    test_share: Part = 0.1

    @field_validator("sequence_pattern", "time_pattern")
    @classmethod
    def _it_is_a_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"must be a regular expression, got {pattern!r} ({error})") from None
        return pattern

    @field_validator("time_pattern")
    @classmethod
    def _it_finds_a_time(cls, pattern: str) -> str:
        if not re.compile(pattern).groups:
            raise ValueError(f"must have a group of digits, such as (\\d+), got {pattern!r}")
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
        """Where pictures lie; times that are not looked at; no pictures without boxes."""
        void = {"pictures"}
        if self.time_gap is None:
            void |= {"time_gap", "time_pattern"}
        return frozenset(void if self.takes_empty else void | {"empty_pictures"})

    @property
    def takes_empty(self) -> bool:
        """Whether pictures without boxes are learned from."""
        return self.empty_pictures != "none"

    def options(self) -> dict[str, Any]:
        """The arguments of `trainables.data.boxes.crops.Options`."""
        others = {"pictures", "empty_pictures", *_OF_PIXELS}
        return {**self.model_dump(exclude=others), "takes_empty": self.takes_empty}

    def arguments(self) -> dict[str, Any]:
        """Those of `trainables.data.images.load`: of which boxes, where, and how they are cut."""
        return {
            "options": self.options(),
            "pictures": self.pictures,
            "cut": self.model_dump(include={*_OF_PIXELS}),
            "empty_alone": self.empty_pictures == "alone",
        }

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return by_content(super()._canonical(plain), "coarse_map")
