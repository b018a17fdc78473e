"""Settings of the views of an image: the pipelines of `trainables.data.views`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.settings.ranges import Natural, NonNegative

Side = Annotated[int, Field(ge=8, le=512)]
Share = Annotated[float, Field(gt=0, le=1)]


class Crop(Config):
    """What all crops have: `size` pixels a side, of `min_area` … `max_area` of the image."""

    size: Side = 128
    min_area: Share = 0.3
    max_area: Share = 1.0

    @model_validator(mode="after")
    def _a_range_is_not_empty(self) -> Crop:
        if self.max_area < self.min_area:
            raise ValueError(
                f"max_area must be at least min_area ({self.min_area:g}), got {self.max_area:g}"
            )
        return self

    @property
    def area(self) -> tuple[float, float]:
        """The bounds of the area, in shares of the image."""
        return self.min_area, self.max_area


class PublishedCrops(Crop):
    """Two random resized crops, mirrored or not, their colours a little changed.

    The second overlaps with the first by at least `min_overlap`, an intersection over union (0: as
    it comes).
    """

    kind: Literal["published"] = "published"
    min_overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.0

    def void(self) -> frozenset[str]:
        """No overlap that is asked for."""
        return frozenset() if self.min_overlap else frozenset({"min_overlap"})


class SmallCrops(Crop):
    """So many small crops beside the large ones (0: none)."""

    count: Natural = 4
    size: Side = 96
    min_area: Share = 0.08
    max_area: Share = 0.25
    strength: NonNegative = 0.5

    def void(self) -> frozenset[str]:
        """Of no crops everything."""
        return frozenset() if self.count else frozenset(type(self).model_fields) - {"count"}


class TurnedCrops(Crop):
    """Two large crops and some small ones, turned, sheared, their colours changed by `strength`."""

    kind: Literal["turned"] = "turned"
    size: Side = 224
    min_area: Share = 0.6
    strength: NonNegative = 1.0
    small: SmallCrops = SmallCrops()


class ContrastiveCrops(Crop):
    """Two crops as SimCLR makes them, their colours changed by `strength`."""

    kind: Literal["contrastive"] = "contrastive"
    min_area: Share = 0.08
    strength: NonNegative = 1.0


class ClipFrames(Config):
    """Two frames of one clip, as they are, at `size` pixels a side."""

    kind: Literal["frames"] = "frames"
    size: Side = 128


Views = Annotated[
    PublishedCrops | TurnedCrops | ContrastiveCrops | ClipFrames, Field(discriminator="kind")
]
