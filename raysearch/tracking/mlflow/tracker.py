"""MLflow as a tracker of a search: what its events become, audited, linked and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raysearch.events.log import Event, Store
from raysearch.passwords import hidden
from raysearch.results.finding import Finding
from raysearch.results.view import SearchView
from raysearch.tracking.mlflow.address import client_of
from raysearch.tracking.mlflow.admission import refusal, unreachable
from raysearch.tracking.mlflow.artifacts import delete_all
from raysearch.tracking.mlflow.checks import check_mlflow
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
from raysearch.tracking.tracker import Place, Tracker


class Mlflow(Tracker):
    """A parent run a search and a child run a trial, at the tracking address."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.writer = Writer(place.search, place.uri, place.folder, SearchView(place.search))

    def begin(self, view: SearchView, cursor: int) -> int:
        """How far MLflow certainly is."""
        return self.writer.begin(view, cursor)

    def apply(self, events: Sequence[Event], view: SearchView) -> None:
        """Writes events; what is there already is found by the identity of the search."""
        self.writer.apply(events, view)

    def delete(self, view: SearchView) -> None:
        """Deletes the runs of a search with their files and its saved view.

        An experiment that has no other run is deleted too, under another name: its own is free
        then. MLflow keeps what it deleted, except the files, until `mlflow gc`.

        Raises:
            ConnectionError: the address cannot be reached.
        """
        uri = self._place.uri
        try:
            _delete_runs(client_of(uri), uri, view)
        except Exception as error:
            raise unreachable(uri, error) from None

    def links(self, view: SearchView, address: str) -> dict[str, str]:
        """The addresses of its page on a server at `address`; empty if it is not in MLflow."""
        spec = view.spec
        experiment = client_of(self._place.uri).get_experiment_by_name(experiment_name(spec))
        if experiment is None:
            return {}
        metric = spec.metric
        return view_links(
            hidden(address),
            str(experiment.experiment_id),
            view.search,
            view.identity,
            summary_name(metric.name),
            maximize=metric.is_maximized,
        )

    def check(self, store: Store, view: SearchView, cursor: int) -> list[Finding]:
        """What MLflow has otherwise. Raises ConnectionError if it cannot be reached."""
        return check_mlflow(store, view, cursor, self._place.folder, self._place.uri)

    def problem(self, error: Exception) -> str:
        """Who may come in, where it is that."""
        return refusal(self._place.uri, error) or super().problem(error)

    @property
    def aside(self) -> Sequence[str]:
        """What MLflow would not take, a sentence each."""
        return list(self.writer.aside)


def _delete_runs(client: Any, uri: str, view: SearchView) -> None:
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
