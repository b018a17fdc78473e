"""Named settings of the family osc."""

from __future__ import annotations

from collections.abc import Mapping

from raysearch.sweeps.sweep import Metric
from search_spaces.settings import Settings, merged
from trainables.osc.config import Representation
from trainables.osc.objectives import PRESETS

OBJECTS = [Metric("val/iou", "maximize")]
"""Of masks of slots, without the background, at the end, where the rate is at its lowest."""
IMAGES = [Metric("val/questions/features/ap", "maximize")]
"""Of the 96 questions, answered from the vector of the image, at the end."""

GLOBAL: Settings = {"architecture": "global", "loss.objects": "none"}
LEARNED: Settings = {"queries.kind": "learned"}
SLOT: Settings = {"objects.kind": "slot_attention"}
CROSS: Settings = {"objects.kind": "cross_attention"}
COARSE: Settings = {"backbone.patch_size": 8}
FINE: Settings = {"backbone.patch_size": 4}
DROPS: Settings = {"backbone.dropout": 0.2, "backbone.attention_dropout": 0.2}
HEAD_DROPS: Settings = {
    f"{head}.dropout": 0.2 for head in ("global_function", "global_projection", "object_projection")
}
DROP_INS: Mapping[str, Settings] = {
    "size": {"backbone.width": 64, "backbone.layers": 4, "backbone.heads": 8},
    "learned": LEARNED,
    "kmeans": {"queries.kind": "kmeans"},
    "backbone_drops": DROPS,
    "head_drops": HEAD_DROPS,
    "overfit": {"purpose": "overfit", "data.limit": 6400, "evaluation.scenes": 6400},
    "debug": {
        "purpose": "debug",
        "training.epochs": 3,
        "training.seed": 42,
        "data.limit": 640,
        "evaluation.scenes": 640,
    },
}
"""What was put into any published sweep, as the overrides of a command or of `Client.search`.

`overfit` and `debug` go together, the latter behind; their trials say so as `purpose`, another
trial than one without. 640 scenes are ten batches of 64.
"""

WEIGHTS: Mapping[str, Settings] = {
    name: {"loss.global_weight": images, "loss.object_weight": objects}
    for name, (images, objects) in PRESETS.items()
}
"""Weights of the loss by the names that they were published under."""
MORE_GLOBAL = WEIGHTS["more_global"]


def representation(*settings: Settings, start: Representation | None = None) -> Representation:
    """The configuration with all of these settings, the later before the earlier."""
    return (start or Representation()).with_values(merged(*settings))


def lasts(times: int) -> Settings:
    """As many times five epochs, of which the rate rises in the first fifth."""
    return {"training.epochs": 5 * times}


def crops(*pairs: tuple[float, float]) -> dict[str, Settings]:
    """Least and largest area of a crop, as shares of the image, by `least-largest`."""
    return {
        f"{least}-{largest}": {"views.min_area": least, "views.max_area": largest}
        for least, largest in pairs
    }
