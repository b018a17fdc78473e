"""The sweeps of the family osc as tests see them: each walked once, its labels read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from raysearch.sweeps import catalog
from raysearch.sweeps.distributions import Choice
from raysearch.sweeps.space import Space
from trainables.osc.objectives import PRESETS

SWEEPS = {
    name: sweep
    for name, sweep in catalog.sweeps(["search_spaces"]).items()
    if name.startswith("osc.")
}
LETTERS = "ABCDEFGHIJKMNO"
PUBLISHED = [f"osc.{letter}" for letter in LETTERS]
OTHERS = [name for name in SWEEPS if name not in PUBLISHED]
DROPS: Mapping[str, object] = {"backbone.dropout": 0.2, "backbone.attention_dropout": 0.2}
HEAD_DROPS: Mapping[str, object] = {
    "global_function.dropout": 0.2,
    "global_projection.dropout": 0.2,
    "object_projection.dropout": 0.2,
}
_PROJECTIONS = ("object_projection.width", "global_projection.width")
LABELS: Mapping[tuple[str, str], Mapping[str, object]] = {
    ("length", "epochs"): {"training.steps": None, "training.evaluate_every": 0},
    ("length", "steps"): {"training.steps": 10_930, "training.evaluate_every": 1_093},
    ("start", "frozen"): {"backbone.pretrained": True, "backbone.frozen": True},
    ("start", "tuned"): {"backbone.pretrained": True, "backbone.frozen": False},
    ("start", "scratch"): {"backbone.pretrained": False, "backbone.frozen": False},
    ("backbone", "none"): dict.fromkeys(DROPS, 0.0),
    ("backbone", "fifth"): DROPS,
    ("heads", "none"): dict.fromkeys(HEAD_DROPS, 0.0),
    ("heads", "fifth"): HEAD_DROPS,
    ("projections", "half"): dict.fromkeys(_PROJECTIONS, 32),
    ("projections", "same"): dict.fromkeys(_PROJECTIONS, None),
    ("projections", "twice"): dict.fromkeys(_PROJECTIONS, 128),
    ("projections", "four_times"): dict.fromkeys(_PROJECTIONS, 256),
    ("batch", "global_b16"): {
        "architecture": "global",
        "loss.objects": "none",
        "training.batch_size": 16,
    },
    ("batch", "objects_b64"): {
        "architecture": "obj_global",
        "loss.objects": "sim_img",
        "training.batch_size": 64,
    },
}


def read(name: str, label: str) -> Mapping[str, object]:
    """What a label says."""
    name = name.removeprefix("choice.")
    if (name, label) in LABELS:
        return LABELS[name, label]
    if name == "weights":
        return dict(zip(("loss.global_weight", "loss.object_weight"), PRESETS[label], strict=True))
    if name == "crop":
        areas = map(float, label.split("-"))
        return dict(zip(("views.min_area", "views.max_area"), areas, strict=True))
    paths = {"p": "backbone.patch_size", "h": "backbone.heads", "b": "training.batch_size"}
    return {paths[part[0]]: int(part[1:]) for part in label.split("_")}


@cache
def space(name: str) -> Space:
    """The space of a sweep, walked once."""
    return Space(SWEEPS[name])


def offered(name: str) -> dict[str, frozenset[Any]]:
    """What a sweep offers, by name."""
    found = space(name).survey.distributions
    return {name: frozenset(d.choices) for name, d in found.items() if isinstance(d, Choice)}


def configurations(name: str) -> list[tuple[dict[str, Any], Any]]:
    """The points of a sweep: parameters and configurations."""
    return [(params, space(name).point(params).config) for params in space(name).survey.params]


def check_labels(name: str) -> None:
    """Each label of a sweep sets what it says, and no more than is declared."""
    sweep, seen = SWEEPS[name], set[tuple[str, str]]()
    for params in space(name).survey.params:
        new = {(choice, params[choice]) for choice in sweep.choices if choice in params} - seen
        config = space(name).point(params).config if new else None
        for choice, label in new:
            assert config is not None
            said = read(choice, label)
            assert {path: config.value_at(path) for path in sweep.choices[choice]} == said
        seen |= new
    assert seen == {(one, label) for one in sweep.choices for label in offered(name)[one]}
