"""Settings that map pictures of 16 bits, such as infrared ones, to numbers in 0…1."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.settings.ranges import Positive

Percent = Annotated[float, Field(ge=0, le=100)]


class Thermal(Config):
    """What of 16 bits is looked at, as in `trainables.data.thermal`.

    `scale`: the upper 8 `bytes` alone; a `window` of `low` … `high` °C, where counts 0 … `largest`
    are `coldest` … `hottest` °C; of each image what is between its `percentiles` `lower` and
    `upper`; or the `whole` range.
    """

    scale: Literal["bytes", "window", "percentiles", "whole"] = "bytes"
    low: float = 10.0
    high: float = 50.0
    coldest: float = -80.0
    hottest: float = 2000.0
    largest: Positive = 65535.0
    lower: Percent = 1.0
    upper: Percent = 99.0

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> Thermal:
        for least, most in (("low", "high"), ("coldest", "hottest"), ("lower", "upper")):
            below, above = getattr(self, least), getattr(self, most)
            if above <= below:
                raise ValueError(f"{most} must be above {least} ({below:g}), got {above:g}")
        return self

    def void(self) -> frozenset[str]:
        """What another scale needs."""
        fields = frozenset(type(self).model_fields)
        needed = {
            "bytes": set[str](),
            "window": {"scale", "low", "high", "coldest", "hottest", "largest"},
            "percentiles": {"scale", "lower", "upper"},
            "whole": {"scale", "largest"},
        }
        return fields - needed[self.scale]

    def arguments(self) -> dict[str, Any] | None:
        """Those of `trainables.data.thermal.Reading`; None for bytes."""
        return None if self.scale == "bytes" else self.model_dump()
