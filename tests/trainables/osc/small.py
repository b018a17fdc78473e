"""Tiny scenes, and settings with which each experiment of the family runs on them in no time."""

from __future__ import annotations

from typing import Any

from tests.trainables.small_scenes import SIDE, provide
from trainables.core.training import ExperimentConfig

__all__ = ["provide", "values"]


def values(config: ExperimentConfig) -> dict[str, Any]:
    """Settings that make a configuration small."""
    found: dict[str, Any] = {
        "data.made": True,
        "data.image_size": SIDE,
        "data.crop": "none",
        "data.interpolation": "nearest",
        "views.size": SIDE,
        "evaluation.scenes": 8,
        "evaluation.probe.steps": 5,
        "evaluation.pictures": 1,
    }
    is_turned, is_timm = (
        config.value_at(f"{part}.kind") == kind
        for part, kind in (("views", "turned"), ("backbone", "timm"))
    )
    if is_turned:
        found["views.small.size"] = SIDE if is_timm else 8
    if is_timm:
        found |= {"backbone.name": "test_vit", "backbone.pretrained": False, "views.size": 32}
    else:
        found |= {"backbone.width": 16, "backbone.patch_size": 4, "backbone.layers": 2}
    return found
