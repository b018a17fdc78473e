"""The finished trials that a sweep with `evaluates=` evaluates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting, RaysearchError, UnknownName, WrongState
from raysearch.events.log import Store
from raysearch.results.view import SearchView, TrialView
from raysearch.settings import Settings
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.requirements import refuse_missing, refuse_unreported
from raysearch.sweeps.search_spec import EvaluatedTrial, EvaluatedTrials
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Sweep, bare


def evaluated(
    space: Space, of: str | None, top: int | None, store: Store, settings: Settings
) -> EvaluatedTrials:
    """The completed trials of a search, best first, that have a checkpoint on disk.

    Args:
        space: the settings; its sweep names in `evaluates` the one whose trials are evaluated.
        of: the search; None: the last one of that sweep that has such trials.
        top: only so many of the best; None: all.
        store: where searches are.
        settings: where their folders are.

    Raises:
        LookupError: there is no such search, or the data of a trial is not there.
        ValueError: it is of another sweep, has no trial with a checkpoint, or a trial that cannot
            be evaluated with one of the settings.
    """
    if top is not None and top < 1:
        raise BadSetting(f"--top must be at least 1, got {top}")
    if of is not None and not store.exists(of):
        raise UnknownName(f"--of {of!r} is no search{on_offer(of, store.searches())}")
    for name in [of] if of is not None else reversed(store.searches()):
        try:
            view = SearchView.read(store, name)
        except WrongState:
            if of is not None:
                raise
            continue  # another one that is damaged takes nothing away from those that are not
        if not _is_wanted(view, space.sweep, must=of is not None):
            continue
        trials = _trials(view, settings.folder(name))[:top]
        if trials:
            from raysearch.study.evaluations import Evaluations

            pairs = Evaluations(space, trials)
            pairs.check()
            refuse_unreported(pairs.configurations(), space.sweep.metrics)
            refuse_missing(pairs.configurations())
            return EvaluatedTrials(name, trials)
    wanted = space.sweep.evaluates
    what = f"search {of!r} has none" if of is not None else f"no search of {wanted} has one"
    raise BadSetting(
        f"{space.sweep.name} evaluates completed trials of {wanted} that have a checkpoint, and "
        f"{what}; run one by `raysearch search {wanted}`, or name one by --of"
    )


def foreseen(
    space: Space,
    of: str | None,
    top: int | None,
    settings: Settings,
    store_of: Callable[[Settings], Store],
) -> tuple[EvaluatedTrials | None, str]:
    """What would be evaluated now, and the sentence that says so, or why nothing can be.

    Raises:
        LookupError, ValueError: as `evaluated`, where the user named a search or a number.
    """
    wanted, points = str(space.sweep.evaluates), space.count().points or 0
    try:
        found = evaluated(space, of, top, store_of(settings), settings)
    except RaysearchError as error:
        if of is not None or top is not None:
            raise
        return None, f"finished trials of {wanted}, each with every point; now none: {error}"
    count = len(found.trials)
    trials = f"{count} finished trial" + ("s" if count > 1 else "")
    return found, (
        f"{trials} of {found.search} ({wanted}), each with {points} points: {count * points} runs"
    )


def _is_wanted(view: SearchView, sweep: Sweep, *, must: bool) -> bool:
    if sweep.evaluates in (view.spec.sweep_name, view.spec.sweep):
        return True
    if must:
        raise BadSetting(
            f"--of must be a search of {sweep.evaluates}, which {sweep.name} evaluates, got "
            f"{view.search!r}, a search of {view.spec.sweep_name}"
        )
    return False


def _trials(view: SearchView, folder: Path) -> tuple[EvaluatedTrial, ...]:
    done = [trial for trial in view.ranked() if trial.is_feasible and trial.best_checkpoint]
    found = (_trial(view, trial, folder) for trial in done)
    return tuple(trial for trial in found if Path(trial.checkpoint).exists())


def _trial(view: SearchView, trial: TrialView, folder: Path) -> EvaluatedTrial:
    names: Mapping[str, Any] = trial.distributions
    saved = trial.checkpoints.get(str(trial.best_checkpoint))
    return EvaluatedTrial(
        search=view.search,
        trial=trial.number,
        config=trial.config,
        params={name: trial.params[bare(name)] for name in names},
        distributions=dict(names),
        checkpoint=str(folder / str(trial.best_checkpoint)),
        bytes=saved.bytes if saved is not None else None,
        sha256=saved.sha256 if saved is not None else None,
    )
