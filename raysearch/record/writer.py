"""Events of a search as MLflow has them: a parent run a search, a child run a trial."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from raysearch.declare.sweep import bare
from raysearch.record.address import client_of, consumer
from raysearch.record.events import Event, Store
from raysearch.record.outbox import Outbox, key
from raysearch.record.results import SearchView, TrialView
from raysearch.record.views import TAG, shared_view, view_key

_STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "infeasible": "FAILED"}
_ENDS = ("finished", "stopped", "interrupted")
_GROUP = 200
"""Events that are written together: what goes to one run among them is one request."""
_PAUSES = (0.0, 0.2, 1.0)
"""Seconds before each try to upload a file."""


def status_of(trial: TrialView) -> str:
    """The status of the run of a trial that has ended; what its user stopped is killed."""
    return "KILLED" if trial.was_stopped else _STATUS[trial.state]


def experiment_name(spec: Mapping[str, Any]) -> str:
    """`family/sweep`: MLflow's page shows the part before the stroke as a folder."""
    family = str(spec.get("family") or "raysearch").partition(".")[0]
    return f"{family}/{str(spec['sweep_name']).removeprefix(f'{family}.')}"


def summary_name(metric: str) -> str:
    """The metric by which trials are sorted: the reduced objective, not its latest value."""
    return key(f"objective/{metric.replace('/', '_')}")


@dataclass
class Writer:
    """Writes events of one search to MLflow; writing one again changes nothing."""

    store: Store
    search: str
    uri: str
    folder: Path
    view: SearchView
    _client: Any = None
    _experiment: str = ""
    _parent: str = ""
    _is_new: bool = False
    _runs: dict[int, str] = field(default_factory=dict[int, str])
    _open_runs: set[int] = field(default_factory=set[int])
    _outboxes: dict[str, Outbox] = field(default_factory=dict[str, Outbox])
    _viewed: str = ""
    _view_due: int = 1

    def catch_up(self) -> int:
        """Writes all events after the cursor, in groups; returns how many.

        Raises:
            Whatever MLflow raises when it cannot be reached; the cursor stays behind the last group
            that was written whole.
        """
        if self._client is None:
            self._client = client_of(self.uri)
        name, written = consumer(self.uri), 0
        cursor = self.store.cursor(self.search, name)
        while events := list(islice(self.store.events(self.search, cursor), _GROUP)):
            for event in events:
                self.view.apply(event)
            try:
                self._write_group(events)
            except Exception:
                self._is_new = False  # a run may have been created although nobody answered
                raise
            cursor = events[-1].seq
            self.store.set_cursor(self.search, name, cursor)
            written += len(events)
        return written

    def _write_group(self, events: list[Event]) -> None:
        self._outboxes = {}
        if not self._parent:
            self._open()
        for event in events:
            self._write(event)
        for outbox in self._outboxes.values():
            outbox.send(self._client)
        self._refresh_view(ends=events[-1].kind in _ENDS)

    def _outbox(self, run: str) -> Outbox:
        return self._outboxes.setdefault(run, Outbox(run))

    # Runs

    def _open(self) -> None:
        spec = self.view.spec
        self._experiment = self._find_experiment(experiment_name(spec))
        self._parent = self._find_run("search", None) or self._create_parent()
        self._describe_search()

    def _find_experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        metric = self.view.spec["metrics"][0]
        tags = {
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.note.content": self.view.spec.get("question") or "",
            "mlflow.experiment.primaryMetric.name": summary_name(metric["name"]),
            "mlflow.experiment.primaryMetric.greaterIsBetter": str(
                metric["direction"] == "maximize"
            ).lower(),
        }
        location = None
        if not self.uri.startswith("http"):
            location = (self.folder.parent / "mlartifacts").as_uri()
        return str(self._client.create_experiment(name, location, tags))

    def _find_run(self, role: str, trial: int | None) -> str | None:
        identity = self.view.identity
        where = f"tags.`raysearch.search_id` = '{identity}' AND tags.`raysearch.role` = '{role}'"
        if trial is not None:
            where += f" AND tags.`raysearch.trial` = '{trial}'"
        found = self._client.search_runs([self._experiment], where, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _create_parent(self) -> str:
        spec, git = self.view.spec, self.view.spec.get("git") or {}
        tags = {
            **self._common_tags("search"),
            "mlflow.runName": self.search,
            "mlflow.source.name": spec.get("command", "raysearch"),
            "mlflow.note.content": spec.get("notes") or spec.get("question") or "",
            "raysearch.state": "running",
            "raysearch.packages": json.dumps(spec.get("packages") or {}),
            **{f"raysearch.tag.{name}": str(value) for name, value in spec.get("tags", {}).items()},
        }
        if spec.get("group"):
            tags["raysearch.group"] = spec["group"]
        if git.get("branch"):
            tags["mlflow.source.git.branch"] = git["branch"]
        run = self._client.create_run(self._experiment, self.view.created, tags, self.search)
        self._is_new = True
        return str(run.info.run_id)

    def _describe_search(self) -> None:
        spec, outbox = self.view.spec, self._outbox(self._parent)
        shown = ("sampler", "pruner", "trials", "seed", "concurrent", "threads", "fidelity")
        outbox.params = {name: str(spec.get(name)) for name in (*shown, "space")}
        fixed = spec.get("fixed", {}).items()
        outbox.params |= {f"fixed.{key(path)}": str(value) for path, value in fixed}

    def _common_tags(self, role: str) -> dict[str, str]:
        git = self.view.spec.get("git") or {}
        tags = {
            "raysearch.search": self.search,
            "raysearch.search_id": self.view.identity,
            "raysearch.role": role,
            "mlflow.source.type": "LOCAL",
            "mlflow.user": os.environ.get("USER", "raysearch"),
        }
        if git.get("commit"):
            tags["mlflow.source.git.commit"] = git["commit"]
            tags["mlflow.source.git.dirty"] = str(bool(git.get("dirty"))).lower()
        return tags

    def _run_of(self, trial: TrialView, moment: int) -> str:
        if trial.number not in self._runs:
            found = None if self._is_new else self._find_run("trial", trial.number)
            self._runs[trial.number] = found or self._create_trial(trial, moment)
        return self._runs[trial.number]

    def _create_trial(self, trial: TrialView, moment: int) -> str:
        tags = {
            **self._common_tags("trial"),
            "mlflow.parentRunId": self._parent,
            "mlflow.source.name": str(self.view.spec["experiment"]),
            "raysearch.trial": str(trial.number),
            "raysearch.state": "waiting",
            "raysearch.config_id": trial.digest,
            "raysearch.seed": str(trial.seed),
            "raysearch.origin": trial.origin,
        }
        self._open_runs.add(trial.number)
        name = f"t{trial.number:03d}" + ("-default" if trial.origin == "default" else "")
        return str(self._client.create_run(self._experiment, moment, tags, name).info.run_id)

    # Events

    def _write(self, event: Event) -> None:
        if event.trial is not None and event.kind != "requested":
            trial = self.view.trials.get(event.trial)
            if trial is not None and trial.duplicate_of is None:
                self._write_trial(trial, event)
        elif event.kind == "resumed":
            outbox = self._outbox(self._parent)
            outbox.status = "RUNNING"
            outbox.tags |= {"raysearch.state": "running", "raysearch.reason": ""}
        elif event.kind in _ENDS:
            self._end(event)

    def _write_trial(self, trial: TrialView, event: Event) -> None:
        run, body = self._run_of(trial, event.time), event.body
        outbox = self._outbox(run)
        if event.kind == "asked":
            self._ask(outbox, trial)
        elif event.kind == "started":
            self._start(outbox, trial.number, body["attempt"])
        elif event.kind == "described":
            self._describe(outbox, body["facts"])
        elif event.kind == "report":
            for name, value in body["metrics"].items():
                outbox.metric(name, value, event.time, body["step"])
        elif event.kind == "artifact":
            self._upload(run, body["path"], str(Path(body["name"]).parent))
        elif event.kind == "told":
            self._tell(outbox, trial, event)
        elif event.kind == "tested":
            step = trial.reports[-1][0] if trial.reports else 0
            for name, value in body["metrics"].items():
                outbox.metric(name, value, event.time, step)
            outbox.tags["raysearch.test"] = body["role"]

    def _ask(self, outbox: Outbox, trial: TrialView) -> None:
        outbox.params |= {key(name): str(value) for name, value in _flat(trial.config).items()}
        outbox.params |= {key(name): str(value) for name, value in trial.params.items()}
        outbox.params["seed"] = str(trial.seed)
        for name, distribution in trial.distributions.items():
            value = trial.params.get(bare(name))
            if distribution.get("log") and isinstance(value, int | float) and value > 0:
                outbox.params[key(f"log10.{bare(name)}")] = f"{math.log10(value):.6g}"

    def _start(self, outbox: Outbox, number: int, attempt: int) -> None:
        outbox.tags |= {"raysearch.state": "running", "raysearch.drive.attempt": str(attempt)}
        if number not in self._open_runs:  # it was closed when the search was interrupted
            self._open_runs.add(number)
            outbox.status = "RUNNING"

    def _describe(self, outbox: Outbox, facts: Mapping[str, Any]) -> None:
        for name, fact in facts.items():
            text = fact if isinstance(fact, str) else json.dumps(fact)
            outbox.tags[f"raysearch.fact.{key(name)}"] = text
        if "data.fingerprint" in facts:
            name, digest = str(facts.get("data.name", "data")), str(facts["data.fingerprint"])
            outbox.dataset(name, digest, facts.get("data.split_sizes") or {})

    def _tell(self, outbox: Outbox, trial: TrialView, event: Event) -> None:
        body = event.body
        step = trial.reports[-1][0] if trial.reports else 0
        for metric, value in zip(self.view.spec["metrics"], body["values"] or [], strict=False):
            outbox.metric(summary_name(metric["name"]), value, event.time, step)
        outbox.tags["raysearch.state"] = body["state"]
        outbox.tags["raysearch.reason"] = body["reason"] or body["state"]
        outbox.status, outbox.ended = status_of(trial), event.time
        if body["values"] and trial.state == "complete":
            self._search_curve(trial, body["values"][0], event)

    def _search_curve(self, trial: TrialView, value: float, event: Event) -> None:
        """The trial's value and the best so far, on the parent, by the number of the trial."""
        sign = 1 if self.view.spec["metrics"][0]["direction"] == "maximize" else -1
        so_far = [
            other.values[0]
            for other in self.view.trials.values()
            if other.is_feasible and other.values and other.told and other.told <= event.seq
        ]
        best = max(so_far, key=lambda one: sign * one)
        parent = self._outbox(self._parent)
        parent.metric("search/trial_value", value, event.time, trial.number)
        parent.metric("search/best", best, event.time, trial.number)

    def _end(self, event: Event) -> None:
        for trial in self.view.trials.values():
            if trial.state == "waiting" and trial.duplicate_of is None:
                outbox = self._outbox(self._run_of(trial, event.time))
                outbox.tags["raysearch.state"] = "waiting"
                outbox.status, outbox.ended = "KILLED", event.time
                self._open_runs.discard(trial.number)
        best, parent = self.view.best(), self._outbox(self._parent)
        parent.tags["raysearch.state"] = event.kind
        parent.tags["raysearch.reason"] = event.body.get("reason") or event.kind
        if best is not None:
            parent.tags["raysearch.best_trial"] = str(best.number)
            parent.tags["raysearch.best_run_id"] = self._run_of(best, event.time)
            if event.kind != "interrupted":
                self._keep_winner(self._run_of(best, event.time), best)
        parent.status = "FINISHED" if event.kind == "finished" else "KILLED"
        parent.ended = event.time

    def _keep_winner(self, run: str, best: TrialView) -> None:
        upload = partial(self._client.log_dict, run, best.config, "config.json")
        self._keep(run, "config.json", upload)
        if best.best_checkpoint:
            self._upload(run, best.best_checkpoint, "checkpoint")

    def _upload(self, run: str, path: str, under: str) -> None:
        file, folder = self.folder / path, None if under in ("", ".") else under
        if file.exists():
            self._keep(run, path, partial(self._client.log_artifact, run, str(file), folder))

    def _keep(self, run: str, name: str, upload: Callable[[], None]) -> None:
        """Uploads; what a server that answers refuses is left out, with a tag that says so."""
        problem: Exception | None = None
        for pause in _PAUSES:
            try:
                time.sleep(pause)
                upload()
                return
            except Exception as error:
                self._client.get_run(run)  # raises if nobody answers: then it is not the file
                problem = error
        self._outbox(run).tags["raysearch.missing_artifact"] = f"{name}: {problem}"

    def _refresh_view(self, *, ends: bool) -> None:
        """The saved view follows the parameters that vary so far.

        It is looked at whenever twice as many trials have ended, and at the end.
        """
        done = self.view.done()
        if not self.view.trials or not (ends or done >= self._view_due):
            return
        metric, varying = self.view.spec["metrics"][0], self.view.varying()
        axes = [name for name in self._axes() if name.removeprefix("log10.") in varying]
        value = shared_view(
            self.search,
            self.view.identity,
            summary_name(metric["name"]),
            key(metric["name"]),
            [key(name) for name in varying],
            [key(name) for name in axes],
            maximize=metric["direction"] == "maximize",
            time=self.view.created or 0,
        )
        if value != self._viewed:
            tag = TAG + view_key(self.search, self.view.identity)
            self._client.set_experiment_tag(self._experiment, tag, value)
        self._viewed, self._view_due = value, 2 * max(done, 1)

    def _axes(self) -> list[str]:
        """What parallel coordinates can show: MLflow drops a run that lacks one of the axes."""
        trials = [trial for trial in self.view.trials.values() if trial.duplicate_of is None]
        logs = {
            bare(name)
            for trial in trials
            for name, distribution in trial.distributions.items()
            if distribution.get("log")
        }
        everywhere = [name for name in trials[0].params if all(name in t.params for t in trials)]
        return [f"log10.{name}" if name in logs else name for name in everywhere]


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
