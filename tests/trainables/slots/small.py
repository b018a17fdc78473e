"""Tiny scenes, and settings with which each experiment of the family runs on them in no time."""

from __future__ import annotations

from typing import Any

from tests.trainables.small_scenes import SIDE, SIZES, joined, provide
from trainables.core.training import ExperimentConfig

__all__ = ["SIDE", "SIZES", "VALUES", "joined", "provide", "values"]

_COMMON = {
    "data.made": True,
    "data.image_size": SIDE,
    "data.crop": "none",
    "data.interpolation": "nearest",
    "slots.width": 8,
    "slots.mlp_width": 8,
    "evaluation.main.scenes": 4,
    "schedule.warm_up": 2,
}
_CONVOLUTIONS = {"encoder.channels": 4}
VALUES: dict[str, dict[str, Any]] = {
    "slots.discovery": {**_COMMON, **_CONVOLUTIONS, "decoder.channels": 4},
    "slots.set_prediction": {**_COMMON, **_CONVOLUTIONS},
    "slots.dinosaur": {
        **_COMMON,
        "features.backbone": "test_vit",
        "features.pretrained": False,
        "features.image_size": 32,
        "evaluation.mask_size": SIDE,
    },
}
"""By name of the experiment."""


def values(config: ExperimentConfig) -> dict[str, Any]:
    """Settings that make a configuration small."""
    found = dict(VALUES[config.name])
    if config.value_at("evaluation.more.num_slots") is not None:
        found["evaluation.more.scenes"] = 4
    if config.name == "slots.dinosaur" and "width" in type(config.value_at("decoder")).model_fields:
        found["decoder.width"] = 16
    return found
