"""Scores of the segments of slots against the objects of scenes."""

from __future__ import annotations

from trainables.metrics.records import Records

SCENE = ("position", "objects")
"""Columns that say which scene it is."""


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
