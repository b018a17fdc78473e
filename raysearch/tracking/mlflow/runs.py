"""Experiment and runs of a search in MLflow: found by the identity of the search, or created."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raysearch.costs import COSTS
from raysearch.events.log import Event
from raysearch.files import make_folder
from raysearch.results.view import SearchView, TrialView
from raysearch.sqlite_files import sqlite_file
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.tracking.mlflow.database import ARTIFACTS, BESIDE
from raysearch.tracking.mlflow.names import key
from raysearch.tracking.mlflow.outbox import fitting, plain
from raysearch.tracking.mlflow.tags import search_tags, trial_tags

_STATUS = {
    "complete": "FINISHED",
    "pruned": "FINISHED",
    "failed": "FAILED",
    "infeasible": "FAILED",
    "known": "FINISHED",
}


PRIMARY = "mlflow.experiment.primaryMetric.name"
"""A tag of experiments that are ours: by which metric their runs are sorted."""
_LONGEST, _LONGEST_NOTE = 500, 5000
"""Characters of the name of an experiment, and of its note."""


def status_of(trial: TrialView) -> str:
    """The status of the run of a trial that has ended; what its user stopped is killed."""
    return "KILLED" if trial.was_stopped else _STATUS[trial.state]


def run_name(trial: TrialView) -> str:
    """`t007`, `t000-default`; one that ended without completing says so: `t012-pruned`.

    MLflow shows one that was pruned as it shows what completed.
    """
    words = [trial.origin] if trial.origin in ("default", "repeat", "retry", "known") else []
    if trial.was_stopped:
        words.append("stopped")
    elif trial.state in ("pruned", "failed", "infeasible"):
        words.append(trial.state)
    return "-".join([f"t{trial.number:03d}", *words])


def experiment_name(spec: SearchSpec) -> str:
    """`family/sweep`: MLflow's page shows the part before the stroke as a folder."""
    family = (spec.family or "raysearch").partition(".")[0]
    return plain(f"{family}/{spec.sweep_name.removeprefix(f'{family}.')}")[:_LONGEST]


def summary_name(metric: str) -> str:
    """The metric by which trials are sorted: the reduced objective, not its latest value."""
    return key(f"objective/{metric.replace('/', '_')}")


def reported_name(metric: str, spec: SearchSpec) -> str:
    """The name of a metric that a trial reports: not one of those by which trials are sorted."""
    taken = {summary_name(one.name) for one in spec.metrics}
    return f"{metric} reported" if key(metric) in taken else metric


def system_name(cost: str) -> str:
    """The name of what was measured of a trial: on MLflow's page of system metrics."""
    return f"system/{cost.removeprefix(COSTS)}"


def system_step(trial: TrialView, event: Event) -> int:
    """The step of a measurement: seconds since the trial began."""
    return (event.time - (trial.started or event.time)) // 1000


def experiments(client: Any) -> list[Any]:
    """All experiments."""
    return list(_pages(lambda token: client.search_experiments(page_token=token)))


def experiment_ids(client: Any, view: SearchView) -> list[str]:
    """The experiment of a search, if it is there."""
    found = client.get_experiment_by_name(experiment_name(view.spec))
    return [] if found is None else [str(found.experiment_id)]


def runs_of(client: Any, identity: str, within: list[str]) -> list[Any]:
    """All runs of the search with this identity, in these experiments."""
    where = f"tags.`raysearch.search_id` = '{identity}'"
    if not within:
        return []
    return list(
        _pages(lambda token: client.search_runs(within, where, max_results=1000, page_token=token))
    )


def _pages(read: Any) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = read(token)
        yield from page
        token = page.token
        if not token:
            return


class Runs:
    """The runs of one search: `parent`, and one for each trial, created when first asked for.

    `view` is followed by the writer: runs are created with what it says at that moment. `opened`
    are the trials whose run is known not to be closed.
    """

    def __init__(self, client: Any, uri: str, folder: Path, view: SearchView) -> None:
        self._client, self._uri, self._folder, self._view = client, uri, folder, view
        self._is_new = False
        self._found: dict[int, str] = {}
        self.opened = set[int]()
        self.experiment = self._find_experiment(experiment_name(view.spec))
        self.parent = self._find_run("search", None) or self._create_parent()

    def doubt(self) -> None:
        """A call failed: a run may have been created although nobody answered."""
        self._is_new = False

    def of(self, trial: TrialView, moment: int) -> str:
        """The run of a trial; `moment` is its beginning if it is new."""
        if trial.number not in self._found:
            found = None if self._is_new else self._find_run("trial", trial.number)
            self._found[trial.number] = found or self._create_trial(trial, moment)
        return self._found[trial.number]

    def _find_experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        metric = self._view.spec.metric
        tags = {
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.note.content": plain(self._view.spec.question)[:_LONGEST_NOTE],
            PRIMARY: summary_name(metric.name),
            "mlflow.experiment.primaryMetric.greaterIsBetter": str(metric.is_maximized).lower(),
        }
        location = None
        if not self._uri.startswith("http"):
            place = self._folder.parent / ARTIFACTS
            make_folder(place)
            location, file = place.as_uri(), sqlite_file(self._uri)
            if file is not None and file.parent == place.parent:
                tags[BESIDE] = "beside the database"
        return str(self._client.create_experiment(name, location, tags))

    def _find_run(self, role: str, trial: int | None) -> str | None:
        identity = self._view.identity
        where = f"tags.`raysearch.search_id` = '{identity}' AND tags.`raysearch.role` = '{role}'"
        if trial is not None:
            where += f" AND tags.`raysearch.trial` = '{trial}'"
        found = self._client.search_runs([self.experiment], where, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _create_parent(self) -> str:
        spec = self._view.spec
        tags = {
            **self._common_tags("search"),
            **search_tags(self._view),
            "mlflow.runName": self._view.search,
            "mlflow.source.name": spec.command,
            "raysearch.state": "running",
            "raysearch.packages": json.dumps(dict(spec.packages)),
        }
        if spec.git.branch:
            tags["mlflow.source.git.branch"] = spec.git.branch
        run = self._create(tags, self._view.created, self._view.search)
        self._is_new = True
        return run

    def _create_trial(self, trial: TrialView, moment: int) -> str:
        tags = {
            **self._common_tags("trial"),
            **trial_tags(trial),
            "mlflow.parentRunId": self.parent,
            "mlflow.source.name": self._view.spec.experiment,
            "raysearch.trial": str(trial.number),
            "raysearch.state": "waiting",
            "raysearch.config_id": trial.digest,
            "raysearch.seed": str(trial.seed),
            "raysearch.origin": trial.origin,
        }
        self.opened.add(trial.number)
        return self._create(tags, moment, run_name(trial))

    def _create(self, tags: dict[str, str], moment: int | None, name: str) -> str:
        run = self._client.create_run(self.experiment, moment, fitting(tags), plain(name))
        return str(run.info.run_id)

    def _common_tags(self, role: str) -> dict[str, str]:
        git = self._view.spec.git
        tags = {
            "raysearch.search": self._view.search,
            "raysearch.search_id": self._view.identity,
            "raysearch.role": role,
            "mlflow.source.type": "LOCAL",
            "mlflow.user": os.environ.get("USER", "raysearch"),
        }
        if git.commit:
            tags["mlflow.source.git.commit"] = git.commit
            tags["mlflow.source.git.dirty"] = str(bool(git.dirty)).lower()
        return tags
