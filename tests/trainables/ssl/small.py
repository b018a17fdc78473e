"""Settings with which each experiment of the family runs in no time; its data come installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainables.core.training import ExperimentConfig
from trainables.ssl.config import Pretraining

HEADS: dict[str, dict[str, Any]] = {
    "byol": {"width": 6, "hidden": 12},
    "moco": {"width": 6},
    "dino": {"prototypes": 24, "layers": 2, "hidden": 12, "bottleneck": 6},
    "simclr": {"width": 6},
    "supcon": {"width": 6},
}
"""Small heads, by the kind of the method."""


def provide(root: Path) -> None:
    """Nothing: digits are those of scikit-learn."""


def values(config: ExperimentConfig) -> dict[str, Any]:
    """Settings that make a configuration small."""
    if not isinstance(config, Pretraining):
        return {}
    found: dict[str, Any] = {"data.name": "digits", "data.limit": 60, "views.size": 8}
    found |= {"evaluation.health": 8, "evaluation.neighbours.bank": None}
    if config.views.kind == "multi_crop":
        found |= {"views.local_crop_input_factor": 2.0, "views.small.count": 2}
    if config.method.kind == "byol":
        found["method.predictor.hidden"] = 12
    if config.method.kind == "moco":
        found["method.queue"] = 10
    found |= {f"method.head.{k}": v for k, v in HEADS[config.method.kind].items()}
    if config.model.kind == "timm":
        found |= {"model.name": "test_resnet", "model.drop_path": 0.0, "views.size": 32}
    else:
        found |= {"model.patch_size": 2, "model.width": 8}
        found |= {"model.layers": 2, "model.heads": 2, "model.mlp_ratio": 1.0}
    return found
