"""Named settings of the family detr: what was published, also by accident, and compared."""

from __future__ import annotations

from collections.abc import Mapping

from raysearch.sweeps.sweep import Metric
from search_spaces.settings import Settings, merged
from trainables.detr.config import Detection

AP = [Metric("val/mAP", "maximize")]
"""Of boxes, over overlaps of 0.5 to 0.95, at the end, where the rate is at its lowest."""

# What was published --------------------------------------------------------------------------

PUBLISHED: Settings = {"data.selects_on": "val2017", "training.seed": 42}
"""Trials are chosen by the pictures of the test."""
ADDED: Settings = {"cross.padding": "added"}
"""As the published module of attention has it, which all maps but torch's softmax went through."""
SHORT: Settings = {"training.epochs": 25}
"""The length at which published runs were compared; the rate has not dropped by then."""
SWAPPED: Settings = {"optimizer.lr": 1e-5, "optimizer.backbone_lr": 1e-4}
DECAYED: Settings = {"optimizer.weight_decay": 0.1}
POST: Settings = {"transformer.norm": "post"}
FAULTY: Settings = {**SWAPPED, **DECAYED, "loss.aux_loss": False}
"""Of the files of 10 March 2022, read from 27 April to 26 May."""
SPARSEMAX: Settings = {"cross.map.kind": "sparsemax"}
DRAWN: Settings = {"cross.map.kind": "entmax", "cross.map.start": "normal"}
"""The α-entmax with an α for each head, which is drawn."""
ALPHA: Settings = {**DRAWN, "cross.map.form": "clamped", "alpha.lr": 1e-3}
"""That which learned, from 22 June 2022 on."""

# What is compared ----------------------------------------------------------------------------

RATES: Mapping[str, Settings] = {
    "right": {"optimizer.lr": 1e-4, "optimizer.backbone_lr": 1e-5},
    "swapped": SWAPPED,
    "equal": {"optimizer.lr": 1e-4, "optimizer.backbone_lr": 1e-4},
}
"""Of transformer and backbone; the second and third are those before and behind a first repair."""
WEIGHTS: Mapping[str, tuple[float, float]] = {"five_two": (5.0, 2.0), "threes": (3.0, 3.0)}
"""Of distances of boxes and of their overlaps."""
ACTIVATIONS = ("softmax", "sparsemax", "entmax15", "entmax")
"""Kinds of maps; the last learns its α."""


def detector(*settings: Settings) -> Detection:
    """The default with all of these settings, the later before the earlier."""
    return Detection().with_values(merged(*settings))


def balances(*parts: str) -> dict[str, Settings]:
    """`WEIGHTS` for these of `costs` and `weights`, by label."""
    return {
        label: {
            f"loss.{part}.{name}": value
            for part in parts
            for name, value in (("bbox", bbox), ("giou", giou))
        }
        for label, (bbox, giou) in WEIGHTS.items()
    }
