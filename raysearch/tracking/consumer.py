"""MLflow as a reader of the events: on a thread of its own, with a durable cursor."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from raysearch.errors import RaysearchError
from raysearch.events.log import Store
from raysearch.passwords import hidden
from raysearch.results.view import SearchView
from raysearch.tracking.mlflow.address import (
    NOWHERE,
    check_tracking,
    client_of,
    server_environment,
)
from raysearch.tracking.mlflow.admission import first_line, refusal, unreachable
from raysearch.tracking.mlflow.artifacts import delete_all
from raysearch.tracking.mlflow.runs import (
    PRIMARY,
    experiment_name,
    experiments,
    runs_of,
    summary_name,
)
from raysearch.tracking.mlflow.views import TAG, view_key
from raysearch.tracking.mlflow.views import links as view_links
from raysearch.tracking.mlflow.writer import Writer

__all__ = ["Tracker", "check_tracking", "delete", "links", "server_environment", "sync"]

_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_LOOK_EVERY = 5.0
"""Seconds; events are also committed without a word to listeners."""


class Tracker(threading.Thread):
    """The thread that keeps MLflow up to date while a search runs; trials never wait for it."""

    def __init__(self, store: Store, search: str, uri: str, folder: Path) -> None:
        super().__init__(name="tracking", daemon=True)
        self._writer = Writer(store, search, uri, folder, SearchView(search))
        self._news, self._closing = threading.Event(), threading.Event()
        self.problem: str | None = None

    @property
    def aside(self) -> list[str]:
        """What MLflow would not take, a sentence each."""
        return list(self._writer.aside)

    def wake(self) -> None:
        """Says that there are new events."""
        self._news.set()

    def close(self, timeout: float) -> None:
        """Waits until everything is written, at most `timeout` seconds."""
        self._closing.set()
        self._news.set()
        self.join(timeout)

    def run(self) -> None:
        """Writes what is new; waits longer and longer while MLflow cannot be reached."""
        failures, is_primed = 0, False
        while self._writer.uri != NOWHERE:
            closing = self._closing.is_set()
            self._news.clear()
            try:
                if not is_primed:
                    self._writer.prime()
                    is_primed = True
                self._writer.catch_up()
                failures, self.problem = 0, None
            except Exception as error:  # whatever the server, the network or the database says
                said = f"{type(error).__name__}: {first_line(error)}"[:300]
                self.problem = refusal(self._writer.uri, error) or said
                failures += 1
            if closing and (self.problem is None or failures > 2):
                return
            pause = 0.25 if not failures else _PAUSES[min(failures, len(_PAUSES)) - 1]
            self._closing.wait(pause) if not closing else None
            if not failures:
                self._news.wait(_LOOK_EVERY)


def sync(store: Store, search: str, uri: str, folder: Path, aside: list[str] | None = None) -> int:
    """Writes the backlog of a search; returns the number of events.

    The backlog is all of it where MLflow has not what was written before. What MLflow would not
    take is added to `aside`, a sentence each.

    Raises:
        ConnectionError: the address cannot be reached. SearchIsRunning: its driver is at it.
    """
    with store.lock(search, folder):
        writer = Writer(store, search, uri, folder, SearchView(search))
        try:
            writer.prime()
            return writer.catch_up()
        except Exception as error:
            if isinstance(error, RaysearchError) and uri != NOWHERE:
                raise  # the store, not MLflow
            raise unreachable(uri, error) from None
        finally:
            if aside is not None:
                aside += writer.aside


def delete(view: SearchView, uri: str) -> None:
    """Deletes the runs of a search with their files and its saved view.

    An experiment that has no other run is deleted too, under another name: its own is free then.
    MLflow keeps what it deleted, except the files, until `mlflow gc`. Deleting again what was
    deleted in part completes it.

    Raises:
        ConnectionError: the address cannot be reached.
    """
    if uri == NOWHERE:
        return
    try:
        _delete(client_of(uri), uri, view)
    except Exception as error:
        raise unreachable(uri, error) from None


def _delete(client: Any, uri: str, view: SearchView) -> None:
    found = experiments(client)
    tag, names = TAG + view_key(view.search, view.identity), {one.experiment_id for one in found}
    runs = runs_of(client, view.identity, sorted(names))
    for run in sorted(runs, key=lambda run: run.data.tags.get("raysearch.role") == "search"):
        delete_all(client, uri, run.info.run_id)
        client.delete_run(run.info.run_id)  # the search's own comes last: it leads to the others
    used = {run.info.experiment_id for run in runs}
    for experiment in found:
        number = experiment.experiment_id
        if tag in experiment.tags:
            client.delete_experiment_tag(number, tag)
        is_ours = PRIMARY in experiment.tags and experiment.name == experiment_name(view.spec)
        if number in used or is_ours:
            if not client.search_runs([number], max_results=1):
                client.rename_experiment(number, f"{experiment.name} (deleted, {number})")
                client.delete_experiment(number)


def links(store: Store, search: str, uri: str, address: str) -> dict[str, str]:
    """The addresses of a search's page on a server at `address`; empty if it is not in MLflow."""
    view = SearchView.read(store, search)
    spec = view.spec
    experiment = client_of(uri).get_experiment_by_name(experiment_name(spec))
    if experiment is None:
        return {}
    metric = spec.metric
    return view_links(
        hidden(address),
        str(experiment.experiment_id),
        search,
        view.identity,
        summary_name(metric.name),
        maximize=metric.is_maximized,
    )
