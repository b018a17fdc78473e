"""An experiment that costs nothing: three reports of the distance from the middle of its space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

REPORTS = 3


def loss(config: Mapping[str, Any], epoch: int) -> float:
    """Falls with the epochs towards a height that the configuration decides, above 0."""
    heights = (
        abs(math.log10(config["lr"]) + 2),
        abs(math.log10(config["decay"]) + 4),
        abs(config["dropout"] - 0.2),
        abs(config["momentum"] - 0.9),
        abs(config["layers"] - 4) / 4,
        abs(config["heads"] - 3) / 4,
        0.2 * (config["activation"] != "gelu"),
        0.2 * (config["schedule"] != "cosine"),
    )
    return sum(heights) + 1 / (1 + epoch)


def run(config: dict[str, Any], session: Any) -> None:
    """The experiment as raysearch runs it."""
    for epoch in range(1, REPORTS + 1):
        metrics = {"loss": loss(config, epoch), "progress/epochs": float(epoch)}
        session.report(epoch, metrics)
