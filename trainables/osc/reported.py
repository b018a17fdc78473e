"""Metrics that a configuration can never report, and the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from trainables.data.scenes.catalog import SCENE_SETS

_SPLITS = ("val", "test")
_ALIKE = ("slots", "masks", "properties")
_NEEDS: dict[str, tuple[str, ...]] = {
    r"slots_used|collapse/slots/.+": ("slots",),
    r"(iou|dice)(_with_background)?|ari|foreground_ari|mbo|miou": ("slots", "masks"),
    r"(un)?alike/.+": _ALIKE,
    r"negatives/alike(_by_chance)?": (*_ALIKE, "negatives"),
    r"negatives/alike_elsewhere": (*_ALIKE, "negatives of other images"),
    r"right_matches(_by_chance)?": ("slots", "masks", "partners", "two frames"),
    r"objects/.+|collapse/partners/.+": ("slots", "partners"),
    r"questions/features/.+": ("probes", "properties"),
    r"questions/slots/.+": ("slots", "probes", "properties"),
    r"properties/features/.+": ("probes", "several properties"),
    r"properties/slots/.+": ("slots", "probes", "several properties"),
    r"counts/slots": ("slots", "probes"),
    r"counts/features|neighbours/features": ("probes",),
}
"""What values need, by patterns of their names."""


class Configured(NamedTuple):
    """What of a configuration decides which values there are."""

    architecture: str
    has_slots: bool
    data: str
    """The name of the set of scenes."""
    objects: str
    """The loss of objects."""
    views: str
    """The kind of views."""
    probe_steps: int


def why_unreported(metric: str, config: Configured) -> str | None:
    """The sentence on why no run reports a metric; None if it may, or is of no evaluation."""
    split, _, name = metric.partition("/")
    if split not in _SPLITS:
        return None
    needs = next((needs for one, needs in _NEEDS.items() if re.fullmatch(one, name)), ())
    for need in needs:
        field, value, has_it, others = _supply(need, config)
        if not has_it:
            without = f"{field} {value!r} does not give"
            return f"metric {metric} needs {need}, which {without}; take {others}"
    return None


def _supply(need: str, config: Configured) -> tuple[str, object, bool, str]:
    """Which field supplies a need, its value, whether that does, and which others would."""
    name, loss = config.data, config.objects
    if need == "slots":
        return "architecture", config.architecture, config.has_slots, "obj_global or global_obj"
    if need == "probes":
        steps = config.probe_steps
        return "evaluation.probe.steps", steps, steps > 0, "at least 1"
    if need == "two frames":
        kind = config.views
        return "views.kind", kind, kind == "frames", "frames"
    if need == "partners":
        others = ("ctr_all", "ctr_img", "ctr_aug", "sim_img", "distillation")
        return "loss.objects", loss, loss in others, _any(others)
    if need == "negatives of other images":
        return "loss.objects", loss, loss == "ctr_all", "ctr_all"
    if need == "negatives":
        return "loss.objects", loss, loss.startswith("ctr"), _any(("ctr_all", "ctr_img", "ctr_aug"))
    fitting = [
        one.name
        for one in SCENE_SETS.values()
        if (one.has_masks if need == "masks" else len(one.properties) > (need != "properties"))
    ]
    return "data.name", name, name in fitting, _any(fitting)


def _any(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
