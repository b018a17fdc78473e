"""The curve of a trial, as the study is told of it while it runs."""

from __future__ import annotations

from raysearch.results.view import TrialView


def curve_of(trial: TrialView) -> dict[int, float]:
    """The first objective at each new fidelity."""
    curve: dict[int, float] = {}
    last = -1
    for _, fidelity, values, _ in trial.reports:
        if fidelity is not None and values and fidelity > last:
            curve[fidelity], last = values[0], fidelity
    return curve
