"""Tiny pictures with boxes, and settings with which a detector trains on them in no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainables.core.training import ExperimentConfig
from trainables.detr.config import AlphaToy
from trainables.synthetic.catalog import MAKERS

SIDE = 64


def provide(root: Path) -> None:
    """Writes the pictures below a folder of data sets."""
    MAKERS["tiny"].make(
        root, scenes=16, image_size=SIDE, seed=0, progress=lambda done, all_: None, rules={}
    )


def values(config: ExperimentConfig) -> dict[str, Any]:
    """Settings that make a configuration small."""
    if isinstance(config, AlphaToy):
        return {"training.log_every": 2}
    return {
        "data.name": "tiny",
        "data.image_size": SIDE,
        "augmentation.sizes": [40, 48],
        "augmentation.longest": SIDE,
        "augmentation.crop_rate": 0.5,
        "augmentation.first_sizes": [44, 52],
        "augmentation.crop_range": [24, 40],
        "augmentation.evaluated_size": 48,
        "backbone.name": "test_resnet",
        "backbone.pretrained": False,
        "backbone.dilation": False,
        "transformer.width": 16,
        "transformer.heads": 2,
        "transformer.encoder_layers": 1,
        "transformer.decoder_layers": 2,
        "transformer.mlp_ratio": 2.0,
        "num_queries": 5,
        "evaluation.data": "own",
        "evaluation.pictures": 1,
        "training.log_every": 2,  # an epoch is one step
    }
