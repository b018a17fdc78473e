"""Events of a search as MLflow has them: a parent run a search, a child run a trial."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from raysearch.events.log import Event
from raysearch.events.schema import (
    ArtifactWritten,
    Asked,
    CheckpointsRemoved,
    Described,
    DriverEnded,
    Extended,
    Finished,
    Noted,
    Renamed,
    Reported,
    Requested,
    Resumed,
    Started,
    Stopped,
    Tagged,
    Tested,
    Told,
    Used,
)
from raysearch.results.flat import flat
from raysearch.results.ranking import winner
from raysearch.results.saved_checkpoints import damage_of
from raysearch.results.view import SearchView, TrialView
from raysearch.sweeps.sweep import bare
from raysearch.tracking.mlflow.address import client_of
from raysearch.tracking.mlflow.artifacts import is_within, replace, upload_as
from raysearch.tracking.mlflow.names import artifact_path, key
from raysearch.tracking.mlflow.outbox import Outbox, plain
from raysearch.tracking.mlflow.refusals import RunIsGone, is_of_content, said_of
from raysearch.tracking.mlflow.runs import (
    Runs,
    experiment_ids,
    reported_name,
    run_name,
    runs_of,
    status_of,
    summary_name,
    system_name,
    system_step,
)
from raysearch.tracking.mlflow.tags import (
    OWNED,
    duplicates,
    search_tags,
    trial_tags,
    winner_metrics,
)
from raysearch.tracking.mlflow.views import TAG, shared_view, view_key

ANSWERED = (Finished, Stopped)
"""Ends after which the winner is uploaded."""
_SAID = (Noted, Tagged, Extended)
_PAUSES = (0.0, 0.2, 1.0)
"""Seconds before each try to upload a file."""
WRITTEN = "raysearch.written"
"""A tag of a search's run: the number of the last event that it certainly has, also where MLflow's
database was copied without that of the events, or put back to an older state."""


@dataclass
class Writer:
    """Writes events of one search to MLflow; writing one again changes nothing.

    `view` is the search as of the events that it was given last. `aside` has what
    MLflow would not take, in order: each thing once, and the rest goes on.
    """

    search: str
    uri: str
    folder: Path
    view: SearchView
    _client: Any = None
    _runs: Runs | None = None
    _outboxes: dict[str, Outbox] = field(default_factory=dict[str, Outbox])
    aside: dict[str, None] = field(default_factory=dict[str, None])
    _whose: dict[str, str] = field(default_factory=dict[str, str])
    _viewed: str = ""
    _view_due: int = 1

    def begin(self, view: SearchView, cursor: int) -> int:
        """How far MLflow certainly is: at most the cursor, 0 if it lacks a run.

        That is less than the cursor where a database was copied without MLflow's, or beside an
        older one.
        """
        return self._there(view, cursor)

    def apply(self, events: Sequence[Event], view: SearchView) -> None:
        """Writes events, after which the search is as `view`.

        Raises:
            RunIsGone: a run was deleted; what is missing is found and written anew. Whatever MLflow
            raises when it cannot be reached.
        """
        if view is not self.view:
            self.view, self._runs, self._viewed, self._view_due = view, None, "", 1
        try:
            self._write_group(events)
        except RunIsGone:
            self._runs, self._viewed, self._view_due = None, "", 1
            raise
        except Exception:
            if self._runs is not None:
                self._runs.doubt()
            raise

    @property
    def client(self) -> Any:
        """MLflow's client, made when it is needed first."""
        if self._client is None:
            self._client = client_of(self.uri)
        return self._client

    def _there(self, view: SearchView, cursor: int) -> int:
        if not cursor:
            return 0
        found = runs_of(self.client, view.identity, experiment_ids(self.client, view))
        by_role: dict[str, dict[str, Any]] = {"search": {}, "trial": {}}
        for run in found:
            tags = run.data.tags
            by_role[tags["raysearch.role"]][tags.get("raysearch.trial", "")] = tags
        wanted = {str(one.number) for one in view.trials.values() if one.duplicate_of is None}
        if not by_role["search"] or wanted - set(by_role["trial"]):
            return 0
        written = by_role["search"][""].get(WRITTEN, "")
        return min(cursor, int(written)) if written.isdecimal() else cursor

    def _write_group(self, events: Sequence[Event]) -> None:
        self._outboxes = {}
        if self._runs is None:
            self._runs = Runs(self.client, self.uri, self.folder, self.view)
            self._describe_search(self._runs)
        for event in events:
            self._write(event, self._runs)
        parent = self._outboxes.pop(self._runs.parent, None)
        for outbox in self._outboxes.values():
            self._send(outbox)
        if parent is not None:  # last: it says that the others were written
            parent.tags[WRITTEN] = str(events[-1].seq)
            self._send(parent)
        self._refresh_view(self._runs, ends=isinstance(events[-1].body, DriverEnded))

    def _send(self, outbox: Outbox) -> None:
        try:
            outbox.send(self._client)
        except RunIsGone:
            raise
        except Exception as error:
            is_of_content(self._client, outbox.run, error)  # raises if the run was deleted
            raise
        whose = self._whose.get(outbox.run, "the search")
        self.aside |= {f"{whose}: {what}": None for what in outbox.aside}

    def _outbox(self, run: str) -> Outbox:
        return self._outboxes.setdefault(run, Outbox(run))

    def _describe_search(self, runs: Runs) -> None:
        """As it began: MLflow refuses to change a parameter."""
        spec, outbox = self.view.begun, self._outbox(runs.parent)
        shown = ("sampler", "pruner", "trials", "seed", "concurrent", "threads", "fidelity")
        outbox.params = {name: str(getattr(spec, name)) for name in (*shown, "space")}
        fixed = spec.fixed.items()
        outbox.params |= {f"fixed.{path}": str(value) for path, value in fixed}

    # Events

    def _write(self, event: Event, runs: Runs) -> None:
        fact = event.body
        if event.trial is not None and not isinstance(fact, Requested):
            self._write_trial(event.trial, event, runs)
        elif isinstance(fact, Resumed):
            outbox = self._outbox(runs.parent)
            outbox.status = "RUNNING"
            outbox.tags |= {"raysearch.state": "running", "raysearch.reason": ""}
        elif isinstance(fact, _SAID):
            outbox = self._outbox(runs.parent)
            outbox.tags |= search_tags(self.view)
            outbox.only = OWNED
        elif isinstance(fact, Renamed):
            self._rename(fact.former, runs)
        elif isinstance(fact, ArtifactWritten):
            self._upload_folder(runs.parent, fact.path, fact.name)
        elif isinstance(fact, DriverEnded):
            self._end(event, fact, runs)

    def _write_trial(self, number: int, event: Event, runs: Runs) -> None:
        trial = self.view.trials.get(number)
        if trial is None:
            return
        if trial.duplicate_of is not None:
            if isinstance(event.body, Asked):
                self._link(self.view.trials[trial.duplicate_of], event, runs)
            return
        run = runs.of(trial, event.time)
        self._whose[run] = f"trial {number}"
        outbox = self._outbox(run)
        match event.body:
            case Asked():
                self._ask(outbox, trial)
                if trial.retry_of is not None:
                    self._link(self.view.trials[trial.retry_of], event, runs)
            case Started(attempt=attempt):
                self._start(outbox, trial.number, attempt, runs)
            case Described(facts=facts):
                self._describe(outbox, facts)
            case Reported() as fact:
                for name, value in {**fact.metrics, **(fact.costs or {})}.items():
                    shown = reported_name(name, self.view.spec)
                    outbox.metric(shown, value, event.time, fact.step)
            case Used(usage=usage):
                for name, value in usage.items():
                    outbox.metric(system_name(name), value, event.time, system_step(trial, event))
            case ArtifactWritten(name=name, path=path):
                self._upload(run, path, name)
            case CheckpointsRemoved():
                self._link(trial, event, runs)
            case Told() as fact if event.seq == trial.told:
                self._tell(outbox, trial, fact, event, runs)
            case Tested() as fact:
                step = trial.reports[-1][0] if trial.reports else 0
                for name, value in (fact.metrics or {}).items():
                    outbox.metric(reported_name(name, self.view.spec), value, event.time, step)
                outbox.tags["raysearch.test"] = fact.role or ""
            case _:
                pass

    def _link(self, trial: TrialView, event: Event, runs: Runs) -> None:
        """Says how a trial hangs together with others."""
        same = duplicates(self.view).get(trial.number, ())
        self._outbox(runs.of(trial, event.time)).tags |= trial_tags(trial, same)

    def _ask(self, outbox: Outbox, trial: TrialView) -> None:
        outbox.params |= {name: str(value) for name, value in flat(trial.config).items()}
        outbox.params |= {name: str(value) for name, value in trial.params.items()}
        outbox.params["seed"] = str(trial.seed)
        for name, distribution in trial.distributions.items():
            value = trial.params.get(bare(name))
            if distribution.get("log") and isinstance(value, int | float) and value > 0:
                outbox.params[f"log10.{bare(name)}"] = f"{math.log10(value):.6g}"

    def _start(self, outbox: Outbox, number: int, attempt: int, runs: Runs) -> None:
        outbox.tags |= {"raysearch.state": "running", "raysearch.attempt": str(attempt)}
        if number not in runs.opened:  # it was closed when the search was interrupted
            runs.opened.add(number)
            outbox.status = "RUNNING"

    def _describe(self, outbox: Outbox, facts: Mapping[str, Any]) -> None:
        for name, fact in facts.items():
            text = fact if isinstance(fact, str) else json.dumps(fact)
            outbox.tags[key(f"raysearch.fact.{name}")] = text
        if "data.fingerprint" in facts:
            name, digest = str(facts.get("data.name", "data")), str(facts["data.fingerprint"])
            outbox.dataset(name, digest, facts.get("data.split_sizes") or {})

    def _tell(self, outbox: Outbox, trial: TrialView, fact: Told, event: Event, runs: Runs) -> None:
        step = trial.reports[-1][0] if trial.reports else 0
        for metric, value in zip(self.view.spec.metrics, fact.values or [], strict=False):
            outbox.metric(summary_name(metric.name), value, event.time, step)
        outbox.tags["raysearch.state"] = trial.state
        outbox.tags["raysearch.reason"] = fact.reason or fact.state
        outbox.status, outbox.ended = status_of(trial), event.time
        if trial.state != "complete":
            outbox.name = run_name(trial)
        if trial.is_feasible and trial.values:
            self._search_curve(trial, trial.values[0], event, runs)

    def _search_curve(self, trial: TrialView, value: float, event: Event, runs: Runs) -> None:
        """The trial's value and the best so far, on the parent, by the number of the trial."""
        sign = 1 if self.view.spec.metric.is_maximized else -1
        so_far = [
            other.values[0]
            for other in self.view.trials.values()
            if other.is_feasible and other.values and other.told and other.told <= event.seq
        ]
        best = max(so_far, key=lambda one: sign * one)
        parent = self._outbox(runs.parent)
        parent.metric("search/trial_value", value, event.time, trial.number)
        parent.metric("search/best", best, event.time, trial.number)

    def _end(self, event: Event, fact: DriverEnded, runs: Runs) -> None:
        for trial in self.view.trials.values():
            if trial.state == "waiting" and trial.duplicate_of is None:
                outbox = self._outbox(runs.of(trial, event.time))
                outbox.tags["raysearch.state"] = "waiting"
                outbox.status, outbox.ended = "KILLED", event.time
                runs.opened.discard(trial.number)
        best, parent = self.view.best(), self._outbox(runs.parent)
        parent.tags["raysearch.state"] = fact.kind
        parent.tags["raysearch.reason"] = fact.reason or fact.kind
        if best is not None:
            parent.tags["raysearch.best_trial"] = str(best.number)
            parent.tags["raysearch.best_run_id"] = runs.of(best, event.time)
            parent.tags["raysearch.answer"] = str(winner(self.view))
        if best is not None and isinstance(fact, ANSWERED):
            self._keep_winner(runs.of(best, event.time), best)
            for name, value in winner_metrics(self.view).items():
                parent.metric(name, value, event.time, event.seq)
        parent.status = "FINISHED" if isinstance(fact, Finished) else "KILLED"
        parent.ended = event.time

    def _keep_winner(self, run: str, best: TrialView) -> None:
        upload = partial(self._client.log_dict, run, best.config, "config.json")
        self._keep(run, "config.json", upload)
        path = best.best_checkpoint
        what = damage_of(path, best.checkpoints, self.folder) if path else ""
        if what:
            self._outbox(run).tags["raysearch.missing_artifact"] = what
        elif path:
            name = f"checkpoint/{Path(path).name}"
            is_folder = (self.folder / path).is_dir()
            (self._upload_folder if is_folder else self._upload)(run, path, name)

    def _upload_folder(self, run: str, path: str, name: str) -> None:
        source, name = self.folder / path, artifact_path(name)
        if is_within(path) and source.exists():
            self._keep(run, path, partial(replace, self._client, self.uri, run, source, name))

    def _upload(self, run: str, path: str, name: str) -> None:
        """Uploads a file of the search's folder under a name, which may have folders in it."""
        file = self.folder / path
        if not is_within(path):
            self._outbox(run).aside.append(f"artifact {name!r}: {path} is not in the folder")
        elif not file.exists():
            self._outbox(run).aside.append(f"artifact {name!r}: {path} is not there")
        else:
            self._keep(run, path, partial(upload_as, self._client, run, file, artifact_path(name)))

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
        self._outbox(run).tags["raysearch.missing_artifact"] = plain(f"{name}: {problem}")

    def _rename(self, former: str, runs: Runs) -> None:
        """All runs get the new name, and so does the saved view; that of the former one goes."""
        name, identity = self.search, self.view.identity
        self._outbox(runs.parent).tags |= {"mlflow.runName": name, "raysearch.search": name}
        for run in runs_of(self._client, identity, [runs.experiment]):
            self._client.set_tag(run.info.run_id, "raysearch.search", name)
        saved = TAG + view_key(former, identity)
        if saved in self._client.get_experiment(runs.experiment).tags:
            self._client.delete_experiment_tag(runs.experiment, saved)
        self._viewed = ""
        self._refresh_view(runs, ends=True)

    def _refresh_view(self, runs: Runs, *, ends: bool) -> None:
        """The saved view follows the parameters that vary so far.

        It is looked at whenever twice as many trials have ended, and at the end.
        """
        done = self.view.done()
        if not self.view.trials or not (ends or done >= self._view_due):
            return
        metric, varying = self.view.spec.metric, self.view.varying()
        axes = [name for name in self._axes() if name.removeprefix("log10.") in varying]
        value = shared_view(
            self.search,
            self.view.identity,
            summary_name(metric.name),
            key(metric.name),
            [key(name) for name in varying],
            [key(name) for name in axes],
            maximize=metric.is_maximized,
            time=self.view.created or 0,
        )
        if value != self._viewed:
            tag = TAG + view_key(self.search, self.view.identity)
            try:
                self._client.set_experiment_tag(runs.experiment, tag, value)
            except Exception as error:  # a space with hundreds of names does not fit into a tag
                if not is_of_content(self._client, runs.parent, error):
                    raise
                self.aside[f"the search: its saved view: {said_of(error)}"] = None
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
