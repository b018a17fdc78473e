"""The numbers that settings are: whole or not, and from where to where."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, lt=1)]


def both_ends(low: float, high: float) -> BeforeValidator:
    """Says both ends of a number that is not above one and below the other."""

    def checked(value: Any) -> Any:
        if isinstance(value, (int, float)) and not low < value < high:
            raise ValueError(f"must be above {low:g} and below {high:g}, got {value!r}")
        return value

    return BeforeValidator(checked)
