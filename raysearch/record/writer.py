"""Events of a search as MLflow has them: a parent run a search, a child run a trial."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from raysearch.declare.sweep import bare
from raysearch.record.address import client_of, consumer
from raysearch.record.artifacts import replace
from raysearch.record.events import Event, Store
from raysearch.record.outbox import Outbox, key
from raysearch.record.results import SearchView, TrialView
from raysearch.record.runs import Runs, status_of, summary_name
from raysearch.record.said import OWNED, duplicates, search_tags, trial_tags, winner_metrics
from raysearch.record.saved import damage_of
from raysearch.record.views import TAG, shared_view, view_key

_ENDS = ("finished", "stopped", "interrupted", "paused")
ANSWERED = ("finished", "stopped")
"""Ends after which the winner is uploaded."""
_SAID = ("noted", "tagged", "extended")
_GROUP = 200
"""Events that are written together: what goes to one run among them is one request."""
_PAUSES = (0.0, 0.2, 1.0)
"""Seconds before each try to upload a file."""


@dataclass
class Writer:
    """Writes events of one search to MLflow; writing one again changes nothing."""

    store: Store
    search: str
    uri: str
    folder: Path
    view: SearchView
    _client: Any = None
    _runs: Runs | None = None
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
        while events := self._group(cursor):
            for event in events:
                self.view.apply(event)
            try:
                self._write_group(events)
            except Exception:
                if self._runs is not None:
                    self._runs.doubt()
                raise
            cursor = events[-1].seq
            self.store.set_cursor(self.search, name, cursor)
            written += len(events)
        return written

    def _group(self, cursor: int) -> list[Event]:
        """The next events; an end is the last of its group: what it says is as of that moment."""
        events: list[Event] = []
        for event in islice(self.store.events(self.search, cursor), _GROUP):
            events.append(event)
            if event.kind in _ENDS:
                break
        return events

    def _write_group(self, events: list[Event]) -> None:
        self._outboxes = {}
        if self._runs is None:
            self._runs = Runs(self._client, self.uri, self.folder, self.view)
            self._describe_search(self._runs)
        for event in events:
            self._write(event, self._runs)
        for outbox in self._outboxes.values():
            outbox.send(self._client)
        self._refresh_view(self._runs, ends=events[-1].kind in _ENDS)

    def _outbox(self, run: str) -> Outbox:
        return self._outboxes.setdefault(run, Outbox(run))

    def _describe_search(self, runs: Runs) -> None:
        """As it began: MLflow refuses to change a parameter."""
        spec, outbox = self.view.begun, self._outbox(runs.parent)
        shown = ("sampler", "pruner", "trials", "seed", "concurrent", "threads", "fidelity")
        outbox.params = {name: str(spec.get(name)) for name in (*shown, "space")}
        fixed = spec.get("fixed", {}).items()
        outbox.params |= {f"fixed.{key(path)}": str(value) for path, value in fixed}

    # Events

    def _write(self, event: Event, runs: Runs) -> None:
        if event.trial is not None and event.kind != "requested":
            self._write_trial(event.trial, event, runs)
        elif event.kind == "resumed":
            outbox = self._outbox(runs.parent)
            outbox.status = "RUNNING"
            outbox.tags |= {"raysearch.state": "running", "raysearch.reason": ""}
        elif event.kind in _SAID:
            outbox = self._outbox(runs.parent)
            outbox.tags |= search_tags(self.view)
            outbox.only = OWNED
        elif event.kind == "artifact":
            self._upload_folder(runs.parent, event.body["path"], event.body["name"])
        elif event.kind in _ENDS:
            self._end(event, runs)

    def _write_trial(self, number: int, event: Event, runs: Runs) -> None:
        trial = self.view.trials.get(number)
        if trial is None:
            return
        if trial.duplicate_of is not None:
            if event.kind == "asked":
                self._link(self.view.trials[trial.duplicate_of], event, runs)
            return
        run, body = runs.of(trial, event.time), event.body
        outbox = self._outbox(run)
        if event.kind == "asked":
            self._ask(outbox, trial)
            if trial.retry_of is not None:
                self._link(self.view.trials[trial.retry_of], event, runs)
        elif event.kind == "started":
            self._start(outbox, trial.number, body["attempt"], runs)
        elif event.kind == "described":
            self._describe(outbox, body["facts"])
        elif event.kind == "report":
            for name, value in body["metrics"].items():
                outbox.metric(name, value, event.time, body["step"])
        elif event.kind == "artifact":
            self._upload_as(run, body["path"], Path(body["name"]))
        elif event.kind == "removed":
            self._link(trial, event, runs)
        elif event.kind == "told" and event.seq == trial.told:
            self._tell(outbox, trial, event, runs)
        elif event.kind == "tested":
            step = trial.reports[-1][0] if trial.reports else 0
            for name, value in body["metrics"].items():
                outbox.metric(name, value, event.time, step)
            outbox.tags["raysearch.test"] = body["role"]

    def _link(self, trial: TrialView, event: Event, runs: Runs) -> None:
        """Says how a trial hangs together with others."""
        same = duplicates(self.view).get(trial.number, ())
        self._outbox(runs.of(trial, event.time)).tags |= trial_tags(trial, same)

    def _ask(self, outbox: Outbox, trial: TrialView) -> None:
        outbox.params |= {key(name): str(value) for name, value in _flat(trial.config).items()}
        outbox.params |= {key(name): str(value) for name, value in trial.params.items()}
        outbox.params["seed"] = str(trial.seed)
        for name, distribution in trial.distributions.items():
            value = trial.params.get(bare(name))
            if distribution.get("log") and isinstance(value, int | float) and value > 0:
                outbox.params[key(f"log10.{bare(name)}")] = f"{math.log10(value):.6g}"

    def _start(self, outbox: Outbox, number: int, attempt: int, runs: Runs) -> None:
        outbox.tags |= {"raysearch.state": "running", "raysearch.attempt": str(attempt)}
        if number not in runs.opened:  # it was closed when the search was interrupted
            runs.opened.add(number)
            outbox.status = "RUNNING"

    def _describe(self, outbox: Outbox, facts: Mapping[str, Any]) -> None:
        for name, fact in facts.items():
            text = fact if isinstance(fact, str) else json.dumps(fact)
            outbox.tags[f"raysearch.fact.{key(name)}"] = text
        if "data.fingerprint" in facts:
            name, digest = str(facts.get("data.name", "data")), str(facts["data.fingerprint"])
            outbox.dataset(name, digest, facts.get("data.split_sizes") or {})

    def _tell(self, outbox: Outbox, trial: TrialView, event: Event, runs: Runs) -> None:
        body = event.body
        step = trial.reports[-1][0] if trial.reports else 0
        for metric, value in zip(self.view.spec["metrics"], body["values"] or [], strict=False):
            outbox.metric(summary_name(metric["name"]), value, event.time, step)
        outbox.tags["raysearch.state"] = trial.state
        outbox.tags["raysearch.reason"] = body["reason"] or body["state"]
        outbox.status, outbox.ended = status_of(trial), event.time
        if body["values"] and trial.state == "complete":
            self._search_curve(trial, body["values"][0], event, runs)

    def _search_curve(self, trial: TrialView, value: float, event: Event, runs: Runs) -> None:
        """The trial's value and the best so far, on the parent, by the number of the trial."""
        sign = 1 if self.view.spec["metrics"][0]["direction"] == "maximize" else -1
        so_far = [
            other.values[0]
            for other in self.view.trials.values()
            if other.is_feasible and other.values and other.told and other.told <= event.seq
        ]
        best = max(so_far, key=lambda one: sign * one)
        parent = self._outbox(runs.parent)
        parent.metric("search/trial_value", value, event.time, trial.number)
        parent.metric("search/best", best, event.time, trial.number)

    def _end(self, event: Event, runs: Runs) -> None:
        for trial in self.view.trials.values():
            if trial.state == "waiting" and trial.duplicate_of is None:
                outbox = self._outbox(runs.of(trial, event.time))
                outbox.tags["raysearch.state"] = "waiting"
                outbox.status, outbox.ended = "KILLED", event.time
                runs.opened.discard(trial.number)
        best, parent = self.view.best(), self._outbox(runs.parent)
        parent.tags["raysearch.state"] = event.kind
        parent.tags["raysearch.reason"] = event.body.get("reason") or event.kind
        if best is not None:
            parent.tags["raysearch.best_trial"] = str(best.number)
            parent.tags["raysearch.best_run_id"] = runs.of(best, event.time)
        if best is not None and event.kind in ANSWERED:
            self._keep_winner(runs.of(best, event.time), best)
            for name, value in winner_metrics(self.view).items():
                parent.metric(name, value, event.time, event.seq)
        parent.status = "FINISHED" if event.kind == "finished" else "KILLED"
        parent.ended = event.time

    def _keep_winner(self, run: str, best: TrialView) -> None:
        upload = partial(self._client.log_dict, run, best.config, "config.json")
        self._keep(run, "config.json", upload)
        path = best.best_checkpoint
        what = damage_of(path, best.checkpoints, self.folder) if path else ""
        if what:
            self._outbox(run).tags["raysearch.missing_artifact"] = what
        elif path:
            self._upload_checkpoint(run, path)

    def _upload_checkpoint(self, run: str, path: str) -> None:
        if (self.folder / path).is_dir():
            self._upload_folder(run, path, f"checkpoint/{Path(path).name}")
        else:
            self._upload(run, path, "checkpoint")

    def _upload_folder(self, run: str, path: str, name: str) -> None:
        source = self.folder / path
        if source.exists():
            self._keep(run, path, partial(replace, self._client, self.uri, run, source, name))

    def _upload(self, run: str, path: str, under: str) -> None:
        file, folder = self.folder / path, None if under in ("", ".") else under
        if file.exists():
            self._keep(run, path, partial(self._client.log_artifact, run, str(file), folder))

    def _upload_as(self, run: str, path: str, name: Path) -> None:
        """An artifact under the name that the trial gave it; MLflow would take that of the file."""
        file = self.folder / path
        if file.name == name.name or not file.is_file():
            self._upload(run, path, str(name.parent))
            return
        with tempfile.TemporaryDirectory() as place:
            named = Path(place) / name.name
            named.symlink_to(file.absolute())
            under = None if str(name.parent) == "." else str(name.parent)
            self._keep(run, path, partial(self._client.log_artifact, run, str(named), under))

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

    def _refresh_view(self, runs: Runs, *, ends: bool) -> None:
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
            self._client.set_experiment_tag(runs.experiment, tag, value)
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
