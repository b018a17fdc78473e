"""Reference rows that learn nothing: blocks, colours, chance, the most frequent answer."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from trainables.core import liveness
from trainables.core.experiment import References
from trainables.data.scenes.choosing import Positions, pixels
from trainables.data.scenes.store import Scenes
from trainables.data.scores import kept_scores
from trainables.metrics.blind import blind_segments
from trainables.metrics.masks import entity_masks, overlap_scores
from trainables.metrics.records import Records
from trainables.metrics.segments import segment_scores
from trainables.osc import agreement, probing, views
from trainables.osc.alike import COLUMNS, Alike, object_types, scores_of_alike
from trainables.osc.task import RepresentationTask
from trainables.settings.crops import ClipFrames

AT_ONCE = 32
"""So many scenes are segmented together."""


def references(experiment: RepresentationTask, split: str, positions: Positions) -> References:
    """Of answers that look at no image, and of segments that nobody has learned.

    Segments depend on scenes, number of slots and size alone, and are kept for all runs of those.
    """
    config, store = experiment.config, experiment.store
    scenes, found = store.splits[split], probing.blind(store, split, positions)
    if not (scenes.has_labels and config.has_slots):
        return found
    if isinstance(config.views, ClipFrames):  # any slot, where one of them shows the object
        by_chance = {"right_matches": 1 / config.queries.num_slots}
        found = {**found, "chance": {**found.get("chance", {}), **by_chance}}
    slots, size = config.evaluation.num_slots or config.queries.num_slots, config.views.size
    slots = agreement.kept(slots, config.objects)
    facts = ["osc", store.fingerprint, split, slots, size]
    facts.append(hashlib.sha256(positions.tobytes()).hexdigest())
    types = object_types(store, split, positions)
    alike = None if types is None else Alike(types, positions, loss="none", images=2)
    facts += [] if alike is None else ["alike"]
    root = Path(config.data.root)
    return found | kept_scores(
        root, facts, lambda: _segments(scenes, positions, slots, size, alike)
    )


def _segments(
    scenes: Scenes, positions: Positions, slots: int, size: int, alike: Alike | None
) -> References:
    """Of what `metrics.blind` makes of images of a side."""
    rows: dict[str, Records] = {}
    for part in np.array_split(positions, -(-len(positions) // AT_ONCE)):
        liveness.alive()
        labels = views.middle_labels(torch.from_numpy(scenes.labels(part)), size)
        images = views.middle(pixels(scenes, part), size)
        for name, segments in blind_segments(2 * images - 1, slots).items():
            masks = entity_masks(segments)
            scores = segment_scores(segments, masks.shape[1], labels)
            scores |= overlap_scores(labels, masks.float(), masks)
            if alike is not None:
                scores |= alike.columns(part, labels, labels, masks, masks.float())
            rows.setdefault(name, Records()).add(scores)
    found = {
        row: {name: value for name, value in records.means().items() if name not in COLUMNS}
        for row, records in rows.items()
    }
    if alike is not None:
        found = {row: values | scores_of_alike(rows[row]) for row, values in found.items()}
    return found
