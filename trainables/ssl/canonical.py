"""Fields of a configuration that are void in view of the others."""

from __future__ import annotations

from typing import Any


def of_channels(canonical: dict[str, Any], num_channels: int) -> dict[str, Any]:
    """Of images of three channels without how one is taken, of one without changes of colour."""
    if num_channels == 3:
        canonical.get("model", {}).pop("channel_mode", None)
        return canonical
    changes = canonical.get("evaluation", {}).get("natural", {})
    for name in ("saturation", "hue"):
        changes.pop(name, None)
    return canonical


def of_labels(canonical: dict[str, Any], labelled: bool = False) -> dict[str, Any]:
    """Of what sees labels: images without them, unless they are `labelled`, are not trained on."""
    found = canonical.get("data", {})
    if not labelled:
        found.pop("unlabelled", None)
    found.get("boxes", {}).pop("empty_pictures", None)
    return canonical


def of_no_labels(canonical: dict[str, Any]) -> dict[str, Any]:
    """Of what sees no labels: who gives them does not matter."""
    canonical.get("data", {}).pop("labels_from", None)
    return canonical


def without_boxes(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The canonical form of evaluations, without pictures of boxes."""
    figures = {k: v for k, v in evaluation.get("figures", {}).items() if k != "boxes"}
    found = {name: one for name, one in evaluation.items() if name != "figures"}
    return found | ({"figures": figures} if figures else {})
