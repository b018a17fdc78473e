"""How far features, projections and slots have collapsed, as values of an evaluation."""

from __future__ import annotations

from trainables.metrics import collapse
from trainables.osc.probing import Features


def collapse_of(seen: Features) -> dict[str, float]:
    """Of what was found of scenes, `collapse/<of what>/<measure>` (see `metrics.collapse`)."""
    vectors = {"features": seen.features, "projections": seen.projections}
    found = {
        f"{name}/{measure}": value
        for name, one in vectors.items()
        for measure, value in collapse.collapse_of_vectors(one).items()
    }
    if seen.slots is not None and seen.slots.shape[1] > 1:
        measured = collapse.collapse_of_slots(seen.slots)
        found |= {f"slots/{measure}": value for measure, value in measured.items()}
    return {f"collapse/{name}": float(value) for name, value in found.items()}
