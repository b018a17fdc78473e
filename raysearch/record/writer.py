"""Events of a search as MLflow has them: a parent run a search, a child run a trial."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.declare.sweep import bare
from raysearch.record.address import client_of, consumer
from raysearch.record.events import Event, Store
from raysearch.record.results import SearchView, TrialView
from raysearch.record.views import TAG, shared_view, view_key

_ALLOWED = re.compile(r"[^\w\-. /:]")
_BATCH = 1000
_STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "infeasible": "FAILED"}


def key(name: str) -> str:
    """A name as MLflow accepts it: other characters than letters, digits, `_-./: ` become `_`."""
    return _ALLOWED.sub("_", name)


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
    _metrics: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])

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
        while events := _some(self.store.events(self.search, cursor), 200):
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
        self._metrics = {}
        if not self._parent:
            self._open()
        for event in events:
            self._write(event)
        self._flush()
        if any(event.kind in ("told", "finished", "stopped", "interrupted") for event in events):
            self._refresh_view()

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
        where = f"tags.`raysearch.search` = '{self.search}' AND tags.`raysearch.role` = '{role}'"
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
        """Parameters of the search; written again they change nothing."""
        from mlflow.entities import Param

        spec = self.view.spec
        shown = (
            "sampler",
            "pruner",
            "trials",
            "seed",
            "concurrent",
            "threads",
            "fidelity",
            "space",
        )
        params = {name: spec.get(name) for name in shown}
        params |= {f"fixed.{key(path)}": value for path, value in spec.get("fixed", {}).items()}
        listed = [Param(name, str(value)) for name, value in params.items()]
        self._client.log_batch(self._parent, params=listed[:100])

    def _common_tags(self, role: str) -> dict[str, str]:
        git = self.view.spec.get("git") or {}
        tags = {
            "raysearch.search": self.search,
            "raysearch.role": role,
            "mlflow.source.type": "LOCAL",
            "mlflow.user": os.environ.get("USER", "raysearch"),
        }
        if git.get("commit"):
            tags["mlflow.source.git.commit"] = git["commit"]
            tags["mlflow.source.git.dirty"] = str(bool(git.get("dirty"))).lower()
        return tags

    def _run_of(self, trial: TrialView, time: int) -> str:
        if trial.number not in self._runs:
            found = None if self._is_new else self._find_run("trial", trial.number)
            self._runs[trial.number] = found or self._create_trial(trial, time)
        return self._runs[trial.number]

    def _create_trial(self, trial: TrialView, time: int) -> str:
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
        name = f"t{trial.number:03d}" + ("-default" if trial.origin == "default" else "")
        return str(self._client.create_run(self._experiment, time, tags, name).info.run_id)

    # Events

    def _write(self, event: Event) -> None:
        if event.trial is not None and event.kind != "requested":
            trial = self.view.trials.get(event.trial)
            if trial is not None and trial.duplicate_of is None:
                self._write_trial(trial, event)
        elif event.kind == "resumed":
            self._client.update_run(self._parent, "RUNNING")
            self._client.set_tag(self._parent, "raysearch.state", "running")
        elif event.kind in ("finished", "stopped", "interrupted"):
            self._end(event)

    def _write_trial(self, trial: TrialView, event: Event) -> None:
        run = self._run_of(trial, event.time)
        if event.kind == "asked":
            self._ask(run, trial)
        elif event.kind == "started":
            if event.body["attempt"] > 1:  # a new run is RUNNING by itself
                self._client.update_run(run, "RUNNING")
            tags = {"raysearch.state": "running", "raysearch.attempt": event.body["attempt"]}
            self._tag(run, tags)
        elif event.kind == "described":
            self._describe(run, event)
        elif event.kind == "report":
            self._queue(run, event.body["metrics"], event.time, event.body["step"])
        elif event.kind == "artifact":
            self._upload(run, event.body["path"], str(Path(event.body["name"]).parent))
        elif event.kind == "told":
            self._tell(run, trial, event)
        elif event.kind == "tested":
            step = trial.reports[-1][0] if trial.reports else 0
            self._queue(run, event.body["metrics"], event.time, step)
            self._client.set_tag(run, "raysearch.test", event.body["role"])

    def _ask(self, run: str, trial: TrialView) -> None:
        from mlflow.entities import Param

        params = {key(name): str(value) for name, value in _flat(trial.config).items()}
        params["seed"] = str(trial.seed)
        for name, distribution in trial.distributions.items():
            value = trial.params.get(bare(name))
            if distribution.get("log") and isinstance(value, int | float) and value > 0:
                params[key(f"log10.{bare(name)}")] = f"{math.log10(value):.6g}"
        listed = [Param(name, value[:6000]) for name, value in params.items()]
        for start in range(0, len(listed), 100):
            self._client.log_batch(run, params=listed[start : start + 100])

    def _describe(self, run: str, event: Event) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        facts = event.body["facts"]
        texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in facts.items()}
        self._tag(run, {f"raysearch.fact.{key(str(n))}": text for n, text in texts.items()})
        if "data.fingerprint" in facts:
            name = str(facts.get("data.name", "data"))
            profile = json.dumps(facts.get("data.split_sizes") or {})
            dataset = Dataset(
                name=name,
                digest=str(facts["data.fingerprint"])[:36],
                source_type="code",
                source=json.dumps({"name": name}),
                profile=profile,
            )
            inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
            self._client.log_inputs(run, inputs)

    def _tag(self, run: str, tags: Mapping[str, Any]) -> None:
        from mlflow.entities import RunTag

        listed = [RunTag(name, str(value)[:5000]) for name, value in tags.items()]
        self._client.log_batch(run, tags=listed)

    def _queue(self, run: str, metrics: dict[str, float], time: int, step: int) -> None:
        """Non-finite values are left out: MLflow would store infinity as the largest float."""
        from mlflow.entities import Metric

        for name, value in metrics.items():
            if math.isfinite(value):
                self._metrics.setdefault(run, []).append(Metric(key(name), value, time, step))

    def _flush(self) -> None:
        for run, metrics in self._metrics.items():
            for start in range(0, len(metrics), _BATCH):
                self._client.log_batch(run, metrics=metrics[start : start + _BATCH])
        self._metrics = {}

    def _tell(self, run: str, trial: TrialView, event: Event) -> None:
        body = event.body
        step = trial.reports[-1][0] if trial.reports else 0
        values = body["values"] or []
        named = zip((metric["name"] for metric in self.view.spec["metrics"]), values, strict=False)
        self._queue(run, {summary_name(name): v for name, v in named}, event.time, step)
        self._flush()
        reason = body["reason"] or body["state"]
        self._tag(run, {"raysearch.state": body["state"], "raysearch.reason": reason})
        self._client.set_terminated(run, _STATUS[body["state"]], event.time)
        if values and trial.state == "complete":
            self._search_curve(trial, values[0], event)

    def _search_curve(self, trial: TrialView, value: float, event: Event) -> None:
        """The trial's value and the best so far, on the parent, by the number of the trial."""
        sign = 1 if self.view.spec["metrics"][0]["direction"] == "maximize" else -1
        so_far = [
            other.values[0]
            for other in self.view.trials.values()
            if other.is_feasible and other.values and other.told and other.told <= event.seq
        ]
        best = max(so_far, key=lambda one: sign * one)
        curves = {"search/trial_value": value, "search/best": best}
        self._queue(self._parent, curves, event.time, trial.number)

    def _end(self, event: Event) -> None:
        for trial in self.view.trials.values():
            if trial.state == "waiting" and trial.duplicate_of is None and trial.attempts:
                run = self._run_of(trial, event.time)
                self._client.set_tag(run, "raysearch.state", "waiting")
                self._client.set_terminated(run, "KILLED", event.time)
        best = self.view.best()
        tags: dict[str, Any] = {"raysearch.state": event.kind}
        tags["raysearch.reason"] = event.body.get("reason") or event.kind
        if best is not None:
            run = self._run_of(best, event.time)
            tags |= {"raysearch.best_trial": best.number, "raysearch.best_run_id": run}
            self._client.log_dict(run, best.config, "config.json")
            if best.best_checkpoint and event.kind == "finished":
                self._upload(run, best.best_checkpoint, "checkpoint")
        self._tag(self._parent, tags)
        status = "FINISHED" if event.kind == "finished" else "KILLED"
        self._client.set_terminated(self._parent, status, event.time)

    def _upload(self, run: str, path: str, under: str) -> None:
        file = self.folder / path
        if file.exists():
            self._client.log_artifact(run, str(file), None if under in ("", ".") else under)

    def _refresh_view(self) -> None:
        """The saved view follows the parameters that vary so far."""
        metric = self.view.spec["metrics"][0]
        varying = self.view.varying()
        axes = [name for name in self._axes() if name.removeprefix("log10.") in varying]
        value = shared_view(
            self.search,
            summary_name(metric["name"]),
            key(metric["name"]),
            [key(name) for name in varying],
            [key(name) for name in axes],
            maximize=metric["direction"] == "maximize",
            time=self.view.created or 0,
        )
        self._client.set_experiment_tag(self._experiment, TAG + view_key(self.search), value)

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


def _some(events: Iterable[Event], count: int) -> list[Event]:
    found: list[Event] = []
    for event in events:
        found.append(event)
        if len(found) == count:
            break
    return found


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
