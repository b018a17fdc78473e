"""Named settings of the family osc, and how its sweeps choose among settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raysearch.declare.sweep import Metric, Trial, bare
from trainables.osc.config import Representation
from trainables.osc.objectives import PRESETS

Settings = Mapping[str, object]
"""Values by dotted path."""

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
    "overfit": {"data.limit": 6400, "evaluation.scenes": 6400},
    "debug": {
        "training.epochs": 3,
        "training.seed": 42,
        "data.limit": 640,
        "evaluation.scenes": 640,
    },
}
"""What was put into any published sweep, as the overrides of a command or of `Client.search`.

`overfit` and `debug` go together, the latter behind; searches with them are given a tag of their
name. 640 scenes are ten batches of 64.
"""

WEIGHTS: Mapping[str, Settings] = {
    name: {"loss.global_weight": images, "loss.object_weight": objects}
    for name, (images, objects) in PRESETS.items()
}
"""Weights of the loss by the names that they were published under."""
MORE_GLOBAL = WEIGHTS["more_global"]


def representation(*settings: Settings, start: Representation | None = None) -> Representation:
    """The configuration with all of these settings, the later before the earlier."""
    merged: dict[str, object] = {}
    for each in settings:
        merged |= each
    return (start or Representation()).with_values(merged)


def lasts(times: int) -> Settings:
    """As many times five epochs, of which the rate rises in the first fifth."""
    return {"training.epochs": 5 * times}


def one_of(trial: Trial, name: str, *values: Any) -> dict[str, Any]:
    """One of these values at the path of a parameter."""
    return {bare(name): trial.suggest_categorical(name, list(values))}


def labelled(trial: Trial, name: str, table: Mapping[str, Settings]) -> Settings:
    """The settings behind one label of a table, which is `choice.<name>`."""
    return table[trial.suggest_categorical(f"choice.{name}", list(table))]


def choices(**tables: Mapping[str, Settings]) -> dict[str, list[str]]:
    """The paths that the choices with these tables set."""
    return {
        f"choice.{name}": list(dict.fromkeys(path for each in table.values() for path in each))
        for name, table in tables.items()
    }


def only(table: Mapping[str, Settings], *labels: str) -> dict[str, Settings]:
    """A table with these labels alone, in this order."""
    return {label: table[label] for label in labels}


def crops(*pairs: tuple[float, float]) -> dict[str, Settings]:
    """Least and largest area of a crop, as shares of the image, by `least-largest`."""
    return {
        f"{least}-{largest}": {"views.min_area": least, "views.max_area": largest}
        for least, largest in pairs
    }
