"""Compares what is recorded of a search in events, Optuna study, MLflow and folders."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from raysearch.declare.sweep import bare
from raysearch.record.address import client_of, consumer
from raysearch.record.events import Store
from raysearch.record.outbox import key
from raysearch.record.results import SearchView, TrialView
from raysearch.record.writer import status_of, summary_name

_STUDY_STATE = {
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "infeasible": "PRUNED",  # with a constraint
    "failed": "FAIL",
    "waiting": "RUNNING",
    "running": "RUNNING",
}


class StudyTrial(Protocol):
    """What is compared of a trial of the Optuna study; a FrozenTrial is one."""

    @property
    def number(self) -> int:
        """Its number."""
        ...

    @property
    def params(self) -> dict[str, Any]:
        """The sampled values by Optuna's names."""
        ...

    @property
    def intermediate_values(self) -> dict[int, float]:
        """What was reported, by fidelity."""
        ...

    @property
    def state(self) -> Any:
        """Optuna's state."""
        ...

    @property
    def values(self) -> list[float] | None:
        """The values told."""
        ...


@dataclass(frozen=True)
class Finding:
    """One disagreement: which trial (None: the search), where, and what."""

    trial: int | None
    where: str
    what: str

    def __str__(self) -> str:
        """As `raysearch check` prints it."""
        whose = "search" if self.trial is None else f"trial {self.trial}"
        return f"{whose}: {self.where}: {self.what}"


def audit(
    store: Store, search: str, folder: Path, uri: str, study: Sequence[StudyTrial]
) -> list[Finding]:
    """Everything that disagrees, trial by trial; empty when all is well.

    `study` is the trials of the Optuna study rebuilt from the events. A search that still runs is
    compared as far as MLflow has been written.
    """
    view = SearchView.read(store, search)
    found = _check_events(store, view)
    found += _check_study(view, study)
    found += _check_folders(view, folder)
    found += _check_mlflow(store, view, uri)
    return found


def _check_events(store: Store, view: SearchView) -> list[Finding]:
    found: list[Finding] = []
    last, seen, told = 0, set[tuple[int, int]](), set[int]()
    for event in store.events(view.search):
        if event.seq != last + 1:
            found.append(Finding(None, "events", f"{last + 1} to {event.seq - 1} are missing"))
        last = event.seq
        if event.trial is None or event.kind == "requested":
            continue
        if event.kind != "asked" and event.trial not in view.trials:
            found.append(Finding(event.trial, "events", f"{event.kind} but never asked"))
        if event.kind == "report":
            step = (event.trial, event.body["step"])
            if step in seen:
                found.append(Finding(event.trial, "events", f"step {step[1]} reported twice"))
            seen.add(step)
        if event.kind == "told":
            if event.trial in told:
                found.append(Finding(event.trial, "events", "told twice"))
            told.add(event.trial)
    if view.state == "finished":
        for trial in view.trials.values():
            if trial.ended is None:
                found.append(
                    Finding(trial.number, "events", "the search is finished, it is not told")
                )
    return found + _check_twice(view)


def _check_twice(view: SearchView) -> list[Finding]:
    first: dict[tuple[str, int], int] = {}
    found: list[Finding] = []
    for trial in view.trials.values():
        if trial.duplicate_of is not None:
            continue
        other = first.setdefault((trial.digest, trial.seed), trial.number)
        if other != trial.number:
            found.append(
                Finding(trial.number, "events", f"runs the configuration of trial {other}")
            )
    return found


def _check_study(view: SearchView, study: Sequence[StudyTrial]) -> list[Finding]:
    found: list[Finding] = []
    by_number = {trial.number: trial for trial in study}
    for number in sorted(set(view.trials) ^ set(by_number)):
        where = "is missing" if number in view.trials else "is there, the events do not know it"
        found.append(Finding(number, "study", where))
    for number in sorted(set(view.trials) & set(by_number)):
        trial, other = view.trials[number], by_number[number]
        state = trial.state
        if state == "duplicate":
            state = view.trials[trial.duplicate_of or 0].state
        expected = _STUDY_STATE.get(state)
        if expected is not None and other.state.name != expected:
            found.append(Finding(number, "study", f"state {other.state.name}, events say {state}"))
        params = {bare(name): value for name, value in other.params.items()}
        if params != trial.params:
            found.append(
                Finding(number, "study", f"parameters {params}, events say {trial.params}")
            )
        curve = _curve(trial) if len(view.spec["metrics"]) == 1 else {}
        if other.intermediate_values != curve:
            found.append(
                Finding(number, "study", f"curve {other.intermediate_values}, events say {curve}")
            )
        if state == "complete" and other.values != trial.values:
            found.append(
                Finding(number, "study", f"values {other.values}, events say {trial.values}")
            )
    return found


def _curve(trial: TrialView) -> dict[int, float]:
    """What the study was told while the trial ran: the value at each new fidelity."""
    curve: dict[int, float] = {}
    for _, fidelity, values, _ in trial.reports:
        if fidelity is not None and values and fidelity > max(curve, default=-1):
            curve[fidelity] = values[0]
    return curve


def _check_folders(view: SearchView, folder: Path) -> list[Finding]:
    found: list[Finding] = []
    for trial in view.trials.values():
        if trial.duplicate_of is not None:
            continue
        known = {attempt["folder"] for attempt in trial.attempts}
        for path in sorted((folder / f"{trial.number:04d}").glob("attempt-*")):
            name = str(path.relative_to(folder))
            if name not in known:
                found.append(Finding(trial.number, "folders", f"{name} belongs to no attempt"))
        if trial.state == "complete":
            for what in ("best_checkpoint", "last_checkpoint"):
                path = getattr(trial, what)
                if path is not None and not (folder / path).exists():
                    text = f"{what.replace('_', ' ')} {path} is missing"
                    found.append(Finding(trial.number, "folders", text))
        if trial.state in ("pruned", "failed", "infeasible"):
            left = sorted((folder / f"{trial.number:04d}").glob("attempt-*/checkpoints/*"))
            for path in left:
                text = f"{path.relative_to(folder)} of a {trial.state} trial was not deleted"
                found.append(Finding(trial.number, "folders", text))
    return found


def _check_mlflow(store: Store, view: SearchView, uri: str) -> list[Finding]:
    client = client_of(uri)
    where = f"tags.`raysearch.search_id` = '{view.identity}'"
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs: list[Any] = []
    token: str | None = None
    while experiments:
        page = client.search_runs(experiments, where, max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            break
    written = store.cursor(view.search, consumer(uri))
    if written < view.last:
        text = f"{view.last - written} events are not written yet (raysearch sync {view.search})"
        return [Finding(None, "mlflow", text)]
    parents = [run for run in runs if run.data.tags.get("raysearch.role") == "search"]
    if len(parents) == 1:
        found = _check_parent(client, view, parents[0])
    else:
        found = [Finding(None, "mlflow", f"{len(parents)} parent runs")]
    by_trial: dict[int, list[Any]] = {}
    for run in runs:
        if run.data.tags.get("raysearch.role") == "trial":
            by_trial.setdefault(int(run.data.tags["raysearch.trial"]), []).append(run)
    for trial in view.trials.values():
        mine = by_trial.pop(trial.number, [])
        if len(mine) != (trial.duplicate_of is None):
            found.append(Finding(trial.number, "mlflow", f"{len(mine)} runs"))
        elif mine:
            parent = parents[0].info.run_id if parents else None
            found += _check_run(client, view, trial, mine[0], parent)
    for number in sorted(by_trial):
        found.append(Finding(number, "mlflow", "a run of a trial that the events do not know"))
    return found


def _check_run(
    client: Any, view: SearchView, trial: TrialView, run: Any, parent: str | None
) -> list[Finding]:
    found: list[Finding] = []

    def finding(what: str) -> None:
        found.append(Finding(trial.number, "mlflow", what))

    tags = run.data.tags
    if tags.get("mlflow.parentRunId") != parent:
        finding("is not a child of the search's run")
    if trial.ended is not None:
        if tags.get("raysearch.state") != trial.state:
            finding(f"state {tags.get('raysearch.state')}, events say {trial.state}")
        if run.info.status != status_of(trial):
            finding(f"status {run.info.status}, events say {trial.state}")
    for name, value in trial.params.items():
        if run.data.params.get(key(name), str(value)) != str(value):
            finding(f"parameter {name} {run.data.params[key(name)]}, events say {value}")
        elif key(name) not in run.data.params:
            finding(f"parameter {name} is missing")
    best = view.best()
    files = set(trial.artifacts)
    if view.state in ("finished", "stopped") and best is trial and trial.best_checkpoint:
        files.add(f"checkpoint/{Path(trial.best_checkpoint).name}")
    for what in _missing_files(client, run, files):
        finding(what)
    for what in _wrong_points(client, run, _expected_metrics(view, trial)):
        finding(what)
    return found


def _check_parent(client: Any, view: SearchView, run: Any) -> list[Finding]:
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
    wrong += _wrong_points(client, run, _expected_curves(view))
    return [Finding(None, "mlflow", what) for what in wrong]


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
    for name in sorted(set(expected) | set(run.data.metrics)):
        history = client.get_metric_history(run.info.run_id, name)
        points = [(point.step, point.value) for point in history]
        wanted = expected.get(name, {})
        steps = [step for step, _ in points]
        for step in sorted({step for step in steps if steps.count(step) > 1}):
            wrong.append(f"metric {name} has {steps.count(step)} points at step {step}")
        for step, value in sorted(wanted.items()):
            if step not in steps:
                wrong.append(f"metric {name} lacks step {step}")
            elif (step, value) not in points:
                got = dict(points)[step]
                wrong.append(f"metric {name} at step {step} is {got}, events say {value}")
        for step in sorted(set(steps) - set(wanted)):
            wrong.append(f"metric {name} has step {step}, the events do not")
    return wrong


def _expected_curves(view: SearchView) -> dict[str, dict[int, float]]:
    """Of the search's own run: the value of each completed trial, and the best until then."""
    sign = 1 if view.spec["metrics"][0]["direction"] == "maximize" else -1
    curves: dict[str, dict[int, float]] = {}
    best: float | None = None
    done = [trial for trial in view.trials.values() if trial.is_feasible and trial.values]
    for trial in sorted(done, key=lambda trial: trial.told or 0):
        value = (trial.values or [math.nan])[0]
        best = value if best is None else max(best, value, key=lambda one: sign * one)
        curves.setdefault("search/trial_value", {})[trial.number] = value
        curves.setdefault("search/best", {})[trial.number] = best
    return curves


def _expected_metrics(view: SearchView, trial: TrialView) -> Mapping[str, dict[int, float]]:
    expected: dict[str, dict[int, float]] = {}

    def expect(name: str, step: int, value: float) -> None:
        if math.isfinite(value):
            expected.setdefault(key(name), {})[step] = value

    last = 0
    for step, _, _, metrics in trial.reports:
        last = step
        for name, value in metrics.items():
            expect(name, step, value)
    if trial.ended is not None and trial.values:
        for metric, value in zip(view.spec["metrics"], trial.values, strict=True):
            expect(summary_name(metric["name"]), last, value)
    for name, value in (trial.tested.get("metrics") or {}).items():
        expect(name, last, value)
    return expected
