"""Compares what MLflow has of a search with its events: runs, states, tags, curves, files."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from raysearch.events.log import Store
from raysearch.events.schema import Used
from raysearch.provenance.comparison import is_same
from raysearch.results.finding import Finding
from raysearch.results.saved_checkpoints import damage_of
from raysearch.results.view import SearchView, TrialView
from raysearch.tracking.mlflow.address import NOWHERE, client_of, quieten
from raysearch.tracking.mlflow.admission import unreachable
from raysearch.tracking.mlflow.artifacts import files, inside
from raysearch.tracking.mlflow.names import artifact_path, key
from raysearch.tracking.mlflow.outbox import ASIDE, fitting, param_value, takes
from raysearch.tracking.mlflow.runs import (
    experiments,
    reported_name,
    runs_of,
    status_of,
    summary_name,
    system_name,
    system_step,
)
from raysearch.tracking.mlflow.tags import (
    LINKS,
    OWNED,
    duplicates,
    search_tags,
    trial_tags,
    winner_metrics,
)
from raysearch.tracking.mlflow.writer import ANSWERED


def check_mlflow(
    store: Store, view: SearchView, written: int, folder: Path, uri: str
) -> list[Finding]:
    """What MLflow at `uri` has otherwise than the events, of which `written` are recorded as
    written; `folder` is that of the search.

    Raises:
        ConnectionError: it cannot be reached, or refuses us.
    """
    if uri == NOWHERE:
        return []
    quieten()
    from mlflow.exceptions import MlflowException

    try:
        return _compared(client_of(uri), store, view, written, folder)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise unreachable(uri, error) from None


def _compared(
    client: Any, store: Store, view: SearchView, written: int, folder: Path
) -> list[Finding]:
    runs = runs_of(client, view.identity, [one.experiment_id for one in experiments(client)])
    if written and not runs:
        text = f"its runs are not in this MLflow (raysearch sync {view.search} writes them again)"
        return [Finding(None, "mlflow", text)]
    if written < view.last:
        text = f"{view.last - written} events are not written yet (raysearch sync {view.search})"
        return [Finding(None, "mlflow", text)]
    parents = [run for run in runs if run.data.tags.get("raysearch.role") == "search"]
    if len(parents) == 1:
        found = _check_parent(client, view, parents[0], _ends(store, view), folder)
    else:
        found = [Finding(None, "mlflow", f"{len(parents)} parent runs")]
    by_trial: dict[int, list[Any]] = {}
    for run in runs:
        if run.data.tags.get("raysearch.role") == "trial":
            by_trial.setdefault(int(run.data.tags["raysearch.trial"]), []).append(run)
    twins, used = duplicates(view), _measured(store, view)
    for trial in view.trials.values():
        mine = by_trial.pop(trial.number, [])
        if len(mine) != (trial.duplicate_of is None):
            found.append(Finding(trial.number, "mlflow", f"{len(mine)} runs"))
        elif mine:
            parent = parents[0].info.run_id if parents else None
            found += _check_run(client, view, trial, mine[0], parent, folder, used)
            links = trial_tags(trial, twins.get(trial.number, ()))
            wrong = _wrong_tags(mine[0], links, LINKS)
            found += [Finding(trial.number, "mlflow", what) for what in wrong]
    for number in sorted(by_trial):
        found.append(Finding(number, "mlflow", "a run of a trial that the events do not know"))
    return found


def _check_run(
    client: Any,
    view: SearchView,
    trial: TrialView,
    run: Any,
    parent: str | None,
    folder: Path,
    used: Mapping[int, Mapping[str, dict[int, float]]],
) -> list[Finding]:
    found: list[Finding] = []

    def finding(what: str) -> None:
        found.append(Finding(trial.number, "mlflow", what))

    tags, aside = run.data.tags, _set_aside(run)
    expected = {**_expected_metrics(view, trial), **used.get(trial.number, {})}
    if tags.get("mlflow.parentRunId") != parent:
        finding("is not a child of the search's run")
    if trial.ended is not None:
        if tags.get("raysearch.state") != trial.state:
            finding(f"state {tags.get('raysearch.state')}, events say {trial.state}")
        if run.info.status != status_of(trial):
            finding(f"status {run.info.status}, events say {trial.state}")
    for name, value in trial.params.items():
        if run.data.params.get(key(name), param_value(value)) != param_value(value):
            finding(f"parameter {name} {run.data.params[key(name)]}, events say {value}")
        elif key(name) not in run.data.params and not aside.has(f"parameter {key(name)!r}: "):
            finding(f"parameter {name} is missing")
    best = view.best()
    files = {
        artifact_path(name) for name in trial.artifacts if not aside.has(f"artifact {name!r}: ")
    }
    if view.state in ("finished", "stopped") and best is trial and trial.best_checkpoint:
        files |= {artifact_path(name) for name in _uploaded(trial, folder)}
    for what in _missing_files(client, run, files):
        finding(what)
    for what in _wrong_points(client, run, expected):
        finding(what)
    return found


@dataclass(frozen=True)
class _Aside:
    """What is set aside of a run: it was said when it was, and is no news."""

    lines: tuple[str, ...]

    def has(self, beginning: str) -> bool:
        """Whether a thing is among them."""
        return any(line.startswith(beginning) for line in self.lines)


def _set_aside(run: Any) -> _Aside:
    return _Aside(tuple(str(run.data.tags.get(ASIDE, "")).splitlines()))


def _uploaded(trial: TrialView, folder: Path) -> set[str]:
    """The files of the winner's checkpoint; none where a damaged one was left out."""
    path = folder / str(trial.best_checkpoint)
    if damage_of(str(trial.best_checkpoint), trial.checkpoints, folder):
        return set()
    names = [f"{path.name}/{name}" for name in inside(path)] if path.is_dir() else [path.name]
    return {f"checkpoint/{name}" for name in names}


def _check_parent(
    client: Any, view: SearchView, run: Any, ends: dict[str, dict[int, float]], folder: Path
) -> list[Finding]:
    tags, best, wrong = run.data.tags, view.best(), list[str]()
    status = {"running": "RUNNING", "finished": "FINISHED"}.get(view.state, "KILLED")
    expected = {"raysearch.state": view.state}
    if best is not None and view.state != "running":
        expected["raysearch.best_trial"] = str(best.number)
    for name, value in expected.items():
        if tags.get(name) != value:
            wrong.append(f"{name} of the search's run is {tags.get(name)}, events say {value}")
    if run.info.status != status:
        wrong.append(f"status of the search's run is {run.info.status}, events say {view.state}")
    wrong += _wrong_tags(run, search_tags(view), OWNED)
    wrong += _wrong_points(client, run, {**_expected_curves(view), **ends})
    for name, path in view.artifacts.items():
        wrong += _wrong_folder(client, run, folder / path, artifact_path(name))
    return [Finding(None, "mlflow", what) for what in wrong]


def _wrong_tags(run: Any, expected: Mapping[str, str], only: tuple[str, ...]) -> list[str]:
    """Tags that differ, and tags beginning with one of `only` that the events do not know."""
    tags, wrong = run.data.tags, list[str]()
    for name, value in fitting(expected).items():
        if tags.get(name) != value:
            wrong.append(f"tag {name} is {tags.get(name)!r}, events say {value!r}")
    for name in sorted(set(tags) - set(expected)):
        if name.startswith(only):
            wrong.append(f"tag {name} is {tags[name]!r}, the events do not know it")
    return wrong


def _wrong_folder(client: Any, run: Any, source: Path, name: str) -> list[str]:
    """How the folder `name` of a run differs from the one here, if that is still there."""
    if not source.exists():
        return []
    wanted = {f"{name}/{path}" for path in inside(source)} or {f"{name}/{source.name}"}
    there = set(files(client, run.info.run_id, name))
    wrong = [f"artifact {path} is missing" for path in sorted(wanted - there)]
    return wrong + [f"artifact {path} is no longer part of it" for path in sorted(there - wanted)]


def _missing_files(client: Any, run: Any, names: Collection[str]) -> list[str]:
    folders = {str(Path(name).parent).removeprefix(".") for name in names}
    there = {
        file.path
        for folder in folders
        for file in client.list_artifacts(run.info.run_id, folder or None)
    }
    return [f"artifact {name} is missing" for name in sorted(set(names) - there)]


def _wrong_points(client: Any, run: Any, expected: Mapping[str, dict[int, float]]) -> list[str]:
    """What is wrong with the curves of a run: each point must be there, equal, once."""
    wrong: list[str] = []
    aside = _set_aside(run)
    for name in sorted(set(expected) | set(run.data.metrics)):
        there: dict[int, list[float]] = {}
        for point in client.get_metric_history(run.info.run_id, name):
            there.setdefault(point.step, []).append(point.value)
        wanted = expected.get(name, {})
        for step, found in sorted(there.items()):
            if len(found) > 1:
                wrong.append(f"metric {name} has {len(found)} points at step {step}")
        for step, value in sorted(wanted.items()):
            if aside.has(f"metric {name!r} at step {step}: "):
                continue
            if step not in there:
                wrong.append(f"metric {name} lacks step {step}")
            elif not any(is_same(one, value) for one in there[step]):
                got = there[step][-1]
                wrong.append(f"metric {name} at step {step} is {got}, events say {value}")
        for step in sorted(there.keys() - wanted.keys()):
            wrong.append(f"metric {name} has step {step}, the events do not")
    return wrong


def _expected_curves(view: SearchView) -> dict[str, dict[int, float]]:
    """Of the search's own run: the value of each completed trial, and the best until then."""
    sign = 1 if view.spec.metric.is_maximized else -1
    curves: dict[str, dict[int, float]] = {}
    best: float | None = None
    done = [trial for trial in view.trials.values() if trial.is_feasible and trial.values]
    for trial in sorted(done, key=lambda trial: trial.told or 0):
        value = (trial.values or [math.nan])[0]
        best = value if best is None else max(best, value, key=lambda one: sign * one)
        curves.setdefault("search/trial_value", {})[trial.number] = value
        curves.setdefault("search/best", {})[trial.number] = best
    return curves


def _ends(store: Store, view: SearchView) -> dict[str, dict[int, float]]:
    """What the search's run says of the winner, by the number of each event that ended it."""
    then, found = SearchView(view.search), dict[str, dict[int, float]]()
    for event in store.events(view.search):
        then.apply(event)
        if event.trial is None and isinstance(event.body, ANSWERED):
            for name, value in winner_metrics(then).items():
                found.setdefault(name, {})[event.seq] = value
    return found


def _measured(store: Store, view: SearchView) -> Mapping[int, dict[str, dict[int, float]]]:
    """The curves of what was measured of each trial, by its number and the name of the metric."""
    found: dict[int, dict[str, dict[int, float]]] = {}
    for event in store.events(view.search, kinds=[Used]):
        trial, fact = view.trials.get(event.trial or 0), event.body
        if trial is None or not isinstance(fact, Used):
            continue
        curves = found.setdefault(trial.number, {})
        for name, value in fact.usage.items():
            curve = curves.setdefault(key(system_name(name)), {})
            curve[system_step(trial, event)] = value
    return found


def _expected_metrics(view: SearchView, trial: TrialView) -> Mapping[str, dict[int, float]]:
    expected: dict[str, dict[int, float]] = {}

    def expect(name: str, step: int, value: float) -> None:
        if takes(value, step):
            expected.setdefault(key(name), {})[step] = value

    last = 0
    for step, _, _, metrics in trial.reports:
        last = step
        for name, value in {**metrics, **trial.costs.get(step, {})}.items():
            expect(reported_name(name, view.spec), step, value)
    if trial.ended is not None and trial.values:
        for metric, value in zip(view.spec.metrics, trial.values, strict=True):
            expect(summary_name(metric.name), last, value)
    for name, value in (trial.tested.get("metrics") or {}).items():
        expect(reported_name(name, view.spec), last, value)
    return expected
