"""What data sets there are, where they come from, and their shapes; nothing is read here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSet:
    """Facts of a data set: image side in pixels, channels, classes by index, sizes of splits."""

    name: str
    source: str
    licence: str
    image_size: int
    channels: int
    classes: tuple[str, ...]
    splits: dict[str, int]


DIGITS = DataSet(
    name="digits",
    source="scikit-learn load_digits (UCI, Alpaydin and Kaynak 1998): comes with the package",
    licence="CC BY 4.0",
    image_size=8,
    channels=1,
    classes=tuple(str(digit) for digit in range(10)),
    splits={"train": 1197, "val": 300, "test": 300},
)

DATA_SETS = {data_set.name: data_set for data_set in (DIGITS,)}
