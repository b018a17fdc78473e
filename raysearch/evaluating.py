"""Which finished trials a sweep evaluates that states `evaluates=`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysearch.declare.nearest import on_offer
from raysearch.declare.sweep import Sweep, bare
from raysearch.record.events import Store
from raysearch.record.results import SearchView, TrialView
from raysearch.settings import Settings


def evaluated(
    sweep: Sweep, of: str | None, top: int | None, store: Store, settings: Settings
) -> dict[str, Any]:
    """The completed trials of a search, best first, that have a checkpoint on disk.

    Args:
        sweep: names in `evaluates` the sweep whose trials are evaluated.
        of: the search; None: the last one of that sweep that has such trials.
        top: only so many of the best; None: all.
        store: where searches are.
        settings: where their folders are.

    Raises:
        LookupError: there is no such search. ValueError: it is of another sweep, or has no trial
            with a checkpoint.
    """
    if top is not None and top < 1:
        raise ValueError(f"--top must be at least 1, got {top}")
    wanted = str(sweep.evaluates)
    if of is not None and not store.exists(of):
        raise LookupError(f"--of {of!r} is no search{on_offer(of, store.searches())}")
    for name in [of] if of is not None else reversed(store.searches()):
        view = SearchView.read(store, name)
        if wanted not in (view.spec["sweep_name"], view.spec["sweep"]):
            if of is not None:
                raise ValueError(
                    f"--of must be a search of {wanted}, which {sweep.name} evaluates, got {of!r}, "
                    f"a search of {view.spec['sweep_name']}"
                )
            continue
        found = [_trial(view, trial, settings.folder(name)) for trial in _finished(view, top)]
        kept = [trial for trial in found if Path(trial["checkpoint"]).exists()]
        if kept:
            return {"search": name, "trials": kept}
    what = f"search {of!r} has none" if of is not None else f"no search of {wanted} has one"
    raise ValueError(
        f"{sweep.name} evaluates completed trials of {wanted} that have a checkpoint, and {what}; "
        f"run one by `raysearch search {wanted}`, or name one by --of"
    )


def _finished(view: SearchView, top: int | None) -> list[TrialView]:
    done = [trial for trial in view.ranked() if trial.is_feasible and trial.best_checkpoint]
    return done[:top]


def _trial(view: SearchView, trial: TrialView, folder: Path) -> dict[str, Any]:
    names: Mapping[str, Any] = trial.distributions
    return {
        "search": view.search,
        "trial": trial.number,
        "config": trial.config,
        "params": {name: trial.params[bare(name)] for name in names},
        "distributions": dict(names),
        "checkpoint": str(folder / str(trial.best_checkpoint)),
    }
