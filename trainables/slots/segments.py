"""How well the segments of slots fit the objects of scenes."""

from __future__ import annotations

from torch import Tensor

from trainables.metrics import segments
from trainables.metrics.records import Records

SCENE = ("position", "objects")
"""Columns that say which scene it is."""


def segment_scores(found: Tensor, num_slots: int, true: Tensor | None) -> dict[str, Tensor]:
    """Scores [B] of label maps `found` [B, H, W] of slots, by name.

    `slots_used`: how many own a pixel, 1…`num_slots`. If there are true labels [B, H, W], with 0
    for the background: `ari` and `foreground_ari` (−½…1), `mbo` and `miou` (0…1, NaN without an
    object).
    """
    if true is None:
        counts = segments.contingency(found.new_zeros(found.shape), found, 1, num_slots)
        return {"slots_used": segments.slots_used(counts)}
    counts = segments.contingency(true, found, int(true.max()) + 1, num_slots)
    return {
        "slots_used": segments.slots_used(counts),
        "ari": segments.adjusted_rand(counts),
        "foreground_ari": segments.adjusted_rand(segments.foreground(counts)),
        "mbo": segments.mean_best_overlap(counts),
        "miou": segments.matched_iou(counts),
    }


def means(records: Records, by_objects: bool) -> dict[str, float]:
    """The mean of each column that is a score, and of F-ARI for each number of objects if asked.

    Those are called `foreground_ari/<n>_objects`, and there are none without true labels.
    """
    found = {name: value for name, value in records.means().items() if name not in SCENE}
    if not by_objects or "foreground_ari" not in found:
        return found
    return found | {
        f"foreground_ari/{number}_objects": scores["foreground_ari"].mean
        for number, scores in records.by("objects").items()
    }
