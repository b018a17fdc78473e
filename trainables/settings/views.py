"""Views of an image that self-supervised methods compare: large and small ones, or equal ones."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.settings.crops import Crop, Share, Side
from trainables.settings.ranges import Natural, NonNegative
from trainables.settings.strong import Strengthened, check_cutout

_PLACES = {"five": 5, "ten": 10}
"""Of views at given places, how many there are."""


class SmallViews(Config):
    """So many small views (0: none) of `min_area` … `max_area` of the image.

    `local` says where: at `random`, in strips across the image, in its corners and its middle
    (`five`) or there and mirrored too (`ten`).
    """

    count: Natural = 8
    local: Literal["random", "strip_vertical", "strip_horizontal", "five", "ten"] = "random"
    min_area: Share = 0.05
    max_area: Share = 0.4

    @model_validator(mode="after")
    def _a_range_is_not_empty(self) -> SmallViews:
        if self.max_area < self.min_area:
            raise ValueError(
                f"max_area must be at least min_area ({self.min_area:g}), got {self.max_area:g}"
            )
        return self

    @property
    def number(self) -> int:
        """How many there are: of `five` and `ten` as many as they say."""
        return _PLACES.get(self.local, self.count)

    @property
    def area(self) -> tuple[float, float]:
        """The bounds of the area, in shares of the image."""
        return self.min_area, self.max_area

    def void(self) -> frozenset[str]:
        """Of no views everything; the count where places say it."""
        if self.local in _PLACES:
            return frozenset({"count"})
        return frozenset() if self.count else frozenset(type(self).model_fields) - {"count"}


class Infrared(Config):
    """What an infrared camera adds to each view, in units in which images are 0…1.

    Gaussian `noise` of so large a deviation; a `shift` of all temperatures by at most so much.
    """

    noise: NonNegative = 0.0
    shift: NonNegative = 0.0

    def void(self) -> frozenset[str]:
        """What adds nothing."""
        return frozenset(name for name in ("noise", "shift") if not getattr(self, name))


class MultiCrop(Strengthened, Crop):
    """Two large views of `size` pixels a side, and small ones, as DINO makes them.

    Small ones have a side of `size` ÷ `local_crop_input_factor`, rounded. `values` are those of
    `trainables.data.multi_crop`, with colours `strength` times as strong; without `blurs` nothing
    is blurred, without `flips` nothing mirrored: right for digits. All views are `strong`, erased
    and cut out as `Strengthened` says.
    """

    kind: Literal["multi_crop"] = "multi_crop"
    size: Side = 32
    min_area: Share = 0.4
    local_crop_input_factor: Annotated[float, Field(ge=1, le=16)] = 2.0
    small: SmallViews = SmallViews()
    values: Literal["official", "notes"] = "official"
    strength: NonNegative = 1.0
    blurs: bool = True
    flips: bool = True
    infrared: Infrared = Infrared()

    @model_validator(mode="after")
    def _ten_crops_are_mirrored_and_none_is_covered(self) -> MultiCrop:
        if self.small.local == "ten" and not self.flips:
            raise ValueError(
                "flips must be true where small.local is 'ten', half of which are mirrored, got "
                "false; try 'five'"
            )
        check_cutout("", self.cutout, self.sides)
        return self

    @property
    def small_size(self) -> int:
        """The side of the small views, in pixels."""
        return round(self.size / self.local_crop_input_factor)

    @property
    def sides(self) -> dict[str, int]:
        """The sides of views, by the setting that says them."""
        small = {"local_crop_input_factor": self.small_size} if self.small.number else {}
        return {"size": self.size, **small}

    @property
    def distortions(self) -> dict[str, Any]:
        """The arguments of `trainables.data.multi_crop.named`."""
        return _distortions(self)

    def void(self) -> frozenset[str]:
        """The side of small views that are not there; what is not done."""
        factor = frozenset() if self.small.number else frozenset({"local_crop_input_factor"})
        return super().void() | factor

    def too_small(self, least: int, network: str) -> str | None:
        """One sentence on views below the `least` pixels a side that a network takes, or None."""
        if self.size < least or not self.small.number or self.small_size >= least:
            return _too_small(self.size, least, network)
        return (
            f"local_crop_input_factor must be at most {self.size / least:g}, so that small views "
            f"have the {least} pixels a side that {network} takes, got "
            f"{self.local_crop_input_factor:g}: {self.small_size} pixels"
        )


class Contrastive(Strengthened, Crop):
    """So many views of `size` pixels a side, all made alike, their colours changed by `strength`.

    `values`: those of supervised contrastive learning on `cifar`, or of `simclr`, whose colours go
    further. Without `blurs` nothing is blurred (of `cifar` nothing is), without `flips` nothing
    mirrored. All are `strong`, erased and cut out as `Strengthened` says.
    """

    kind: Literal["contrastive"] = "contrastive"
    count: Annotated[int, Field(ge=2, le=64)] = 2
    size: Side = 32
    min_area: Share = 0.2
    values: Literal["cifar", "simclr"] = "cifar"
    strength: NonNegative = 1.0
    blurs: bool = True
    flips: bool = True
    infrared: Infrared = Infrared()

    @model_validator(mode="after")
    def _none_is_covered(self) -> Contrastive:
        check_cutout("", self.cutout, self.sides)
        return self

    @property
    def sides(self) -> dict[str, int]:
        """The side of views, by the setting that says it."""
        return {"size": self.size}

    @property
    def distortions(self) -> dict[str, Any]:
        """The arguments of `trainables.data.multi_crop.named`, or of `views.contrastive` there."""
        return _distortions(self)

    def void(self) -> frozenset[str]:
        """A blur that there is not; what is not done."""
        return super().void() | (frozenset({"blurs"}) if self.values == "cifar" else frozenset())

    def too_small(self, least: int, network: str) -> str | None:
        """One sentence on views below the `least` pixels a side that a network takes, or None."""
        return _too_small(self.size, least, network)


Views = Annotated[MultiCrop | Contrastive, Field(discriminator="kind")]


def _distortions(views: MultiCrop | Contrastive) -> dict[str, Any]:
    named = {} if views.values == "simclr" else {"name": views.values}
    return {**named, "strength": views.strength, "blurs": views.blurs, "flips": views.flips}


def _too_small(size: int, least: int, network: str) -> str | None:
    if size >= least:
        return None
    return f"size must be at least the {least} pixels a side that {network} takes, got {size}"
