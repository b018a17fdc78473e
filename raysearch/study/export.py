"""A search as an Optuna study: in memory, or in a database for optuna-dashboard."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import exc as sa_exc

from raysearch.errors import BadSetting
from raysearch.events.database import need_driver
from raysearch.passwords import hidden
from raysearch.results.curve import curve_of
from raysearch.results.view import SearchView, TrialView
from raysearch.study.optuna_ranges import optuna_float
from raysearch.sweeps.search_spec import to_plain
from raysearch.sweeps.sweep import Direction, bare

_STATES = {
    "complete": TrialState.COMPLETE,
    "known": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "infeasible": TrialState.PRUNED,  # with a constraint of 1
}
_CONSTRAINT = "feasible"
_SAID = ("sweep", "sweep_name", "question", "group", "tags", "notes", "sampler", "pruner", "seed")
_WITH = ("fidelity", "fixed", "experiment", "git", "packages", "command")
_UNREADABLE = (
    sa_exc.SQLAlchemyError,
    StorageInternalError,
    OSError,
    ImportError,
    RuntimeError,
    ValueError,
)


def optuna_trials(view: SearchView, *, once: bool = False) -> list[FrozenTrial]:
    """All trials in order, as the study of the search has them; numbers are equal.

    Complete; pruned, with their curve; infeasible as pruned with a constraint of 1 (all others that
    were told have 0); failed; a duplicate with the result of its first. Those that are not told are
    RUNNING, whether they run or wait. With several objectives there are no curves. What the study
    does not know is in the user attributes. With `once` duplicates are left out, as from a study
    whose importances are asked for, and numbers move up.
    """
    trials = [trial for trial in view.trials.values() if not once or trial.duplicate_of is None]
    return [_trial(view, trial, number) for number, trial in enumerate(trials)]


def study_of(view: SearchView, *, once: bool = False) -> optuna.Study:
    """The study in memory, for importances and Optuna's plots; `once` as in `optuna_trials`."""
    storage = optuna.storages.InMemoryStorage()
    return _write(view, storage, view.search, optuna_trials(view, once=once))


def study_of_trials(like: optuna.Study, trials: Iterable[FrozenTrial]) -> optuna.Study:
    """A study in memory with the directions of another one and these trials, repeated or not."""
    storage = optuna.storages.InMemoryStorage()
    study = _created(storage, like.study_name, like.directions)
    study.add_trials(trials)
    return study


def export_study(view: SearchView, url: str, study: str) -> int:
    """Writes the study of that name into a database; returns how many trials it has.

    It is written whole or not at all, but for a kill in between: then the study lacks the user
    attribute `raysearch.complete`.

    Args:
        view: the search.
        url: a database as SQLAlchemy names it: sqlite:///study.db, postgresql+psycopg://…
        study: the name of the study.

    Raises:
        ValueError: in one sentence: the database cannot be opened or written, is another program's,
            or has a study of that name.
    """
    trials = optuna_trials(view)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        _refuse_others(url)
        storage = RDBStorage(url)
    except _UNREADABLE as error:
        raise BadSetting(
            f"--optuna {hidden(url)!r} must be a database that can be written, such as "
            f"sqlite:///study.db or postgresql+psycopg://user@host/name: {_reason(error)}"
        ) from None
    try:
        _refuse_known(storage, url, study)
        _write_whole(view, storage, url, study, trials)
    finally:
        storage.remove_session()
        storage.engine.dispose()
    return len(trials)


def _write_whole(
    view: SearchView, storage: BaseStorage, url: str, study: str, trials: list[FrozenTrial]
) -> None:
    """Writes all of a study; takes back what was written if not all can be."""
    try:
        written = _write(view, storage, study, trials)
        written.set_user_attr("raysearch.complete", True)
    except BaseException as error:
        _remove(storage, study)
        if isinstance(error, _UNREADABLE):
            raise BadSetting(
                f"--optuna {hidden(url)!r}: study {study!r} could not be written: {_reason(error)}"
            ) from None
        raise


def _refuse_others(url: str) -> None:
    """Raises ValueError for the database of another program, where Optuna's tables would collide.

    MLflow's has a table `alembic_version` too, and would no longer open.
    """
    need_driver(url, "it")
    engine = sa.create_engine(url)
    try:
        tables = sa.inspect(engine).get_table_names()
    finally:
        engine.dispose()
    if "alembic_version" in tables and "studies" not in tables:
        raise BadSetting("it is the database of another program")


def _refuse_known(storage: BaseStorage, url: str, study: str) -> None:
    known = {each.study_name: each for each in storage.get_all_studies()}
    if study not in known:
        return
    attrs = known[study].user_attrs
    half = "raysearch.search" in attrs and "raysearch.complete" not in attrs
    what = "is being written, or was left half written by a kill" if half else "exists"
    raise BadSetting(
        f"--study {study!r} {what} in {hidden(url)!r}; choose another name, or delete it by "
        f"`optuna delete-study --storage {hidden(url)} --study-name {study}`"
    )


def _remove(storage: BaseStorage, study: str) -> None:
    try:
        storage.delete_study(storage.get_study_id_from_name(study))
    except (KeyError, *_UNREADABLE):
        return  # nothing was begun, or nobody answers: what is there says that it is not complete


def _write(
    view: SearchView, storage: BaseStorage, name: str, trials: list[FrozenTrial]
) -> optuna.Study:
    metrics = view.spec.metrics
    study = _created(storage, name, [metric.direction for metric in metrics])
    for key, value in _study_attrs(view).items():
        study.set_user_attr(key, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([metric.name for metric in metrics])
    study.add_trials(trials)
    return study


def _created(
    storage: BaseStorage, name: str, directions: Sequence[Direction | StudyDirection]
) -> optuna.Study:
    """A new study; Optuna says nothing of it."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    optuna.logging.set_verbosity(verbosity)
    return study


def _study_attrs(view: SearchView) -> dict[str, Any]:
    """What is known of a search, by names that do not collide with another program's."""
    tags = {key: to_plain(getattr(view.spec, key)) for key in (*_SAID, *_WITH)}
    metrics = [f"{m.direction} {m.name} ({m.reduce})" for m in view.spec.metrics]
    known = {"search": view.search, "state": view.state, "metrics": metrics, **tags}
    return {f"raysearch.{key}": value for key, value in known.items()}


def _trial(view: SearchView, trial: TrialView, number: int) -> FrozenTrial:
    source = _source(view, trial)
    state = TrialState.RUNNING if trial.ended is None else _STATES[source.state]
    curve = curve_of(source) if len(view.spec.metrics) == 1 else {}
    if trial.ended is None and source is not trial:
        curve = {}  # its first is not told either
    values = trial.values if state == TrialState.COMPLETE else None
    if state == TrialState.PRUNED and curve:
        values = [curve[max(curve)]]  # as Optuna tells a pruned trial
    frozen = create_trial(
        state=state,
        values=values,
        params={name: trial.params[bare(name)] for name in trial.distributions},
        distributions={name: _distribution(d) for name, d in trial.distributions.items()},
        user_attrs=_attrs(trial),
        intermediate_values=curve,
        constraints=_constraint(trial, source),
    )
    frozen.number = number
    started = trial.started or trial.ended or view.created or 0
    frozen.datetime_start = _time(started)
    frozen.datetime_complete = None if trial.ended is None else _time(trial.ended)
    return frozen


def _source(view: SearchView, trial: TrialView) -> TrialView:
    """The trial that ran: for a duplicate the first with its configuration and seed."""
    return trial if trial.duplicate_of is None else view.trials[trial.duplicate_of]


def _constraint(trial: TrialView, source: TrialView) -> dict[str, float] | None:
    if trial.ended is None:
        return None
    return {_CONSTRAINT: 1.0 if source.state == "infeasible" else 0.0}


def _attrs(trial: TrialView) -> dict[str, Any]:
    found: dict[str, Any] = {
        "digest": trial.digest,
        "seed": trial.seed,
        "origin": trial.origin,
        "state": trial.state,
        "reason": trial.reason,
        "duplicate_of": trial.duplicate_of,
        "repeat_of": trial.repeat_of,
        "retry_of": trial.retry_of,
        "evaluates": trial.evaluates,
        "checkpoint": trial.best_checkpoint,
        **(trial.tested.get("metrics") or {}),
    }
    return {key: value for key, value in found.items() if value not in (None, "")}


def _distribution(data: Mapping[str, Any]) -> BaseDistribution:
    """One of our distributions, as the events have it, as Optuna's."""
    if data["type"] == "choice":
        return CategoricalDistribution(data["choices"])
    low, high, log = data["low"], data["high"], data.get("log", False)
    if data["type"] == "float":
        return optuna_float(low, high, log, data.get("step"))
    return IntDistribution(low, high, log=log, step=data.get("step", 1))


def _time(milliseconds: int) -> datetime:
    """Local and without a zone, as Optuna writes it."""
    return datetime.fromtimestamp(milliseconds / 1000)


def _reason(error: BaseException) -> str:
    """The first line of what a database says."""
    text = str(getattr(error, "orig", None) or error.__cause__ or error)
    return hidden(text.strip().splitlines()[0]) if text.strip() else type(error).__name__
