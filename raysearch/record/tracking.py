"""MLflow as a reader of the events: on a thread of its own, with a durable cursor."""

from __future__ import annotations

import threading
from pathlib import Path

from raysearch.record.address import check_tracking, client_of, consumer, server_environment
from raysearch.record.events import Lock, Store
from raysearch.record.results import SearchView
from raysearch.record.views import links as view_links
from raysearch.record.writer import Writer, experiment_name, summary_name

__all__ = ["Tracker", "check_tracking", "links", "prime", "server_environment", "sync"]

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
        while True:
            closing = self._closing.is_set()
            self._news.clear()
            try:
                if not is_primed:
                    prime(self._writer)
                    is_primed = True
                self._writer.catch_up()
                failures, self.problem = 0, None
            except Exception as error:  # whatever the server, the network or the database says
                self.problem = f"{type(error).__name__}: {_first_line(error)}"[:300]
                failures += 1
            if closing and (self.problem is None or failures > 2):
                return
            pause = 0.25 if not failures else _PAUSES[min(failures, len(_PAUSES)) - 1]
            self._closing.wait(pause) if not closing else None
            if not failures:
                self._news.wait(_LOOK_EVERY)


def prime(writer: Writer) -> None:
    """Lets the writer know what it has written before, without writing it again."""
    cursor = writer.store.cursor(writer.search, consumer(writer.uri))
    for event in writer.store.events(writer.search):
        if event.seq > cursor:
            break
        writer.view.apply(event)


def sync(store: Store, search: str, uri: str, folder: Path) -> int:
    """Writes the backlog of a search; returns the number of events.

    Raises:
        ConnectionError: the address cannot be reached. SearchIsRunning: its driver is at it.
    """
    with Lock(folder):
        writer = Writer(store, search, uri, folder, SearchView(search))
        prime(writer)
        try:
            return writer.catch_up()
        except Exception as error:
            text = f"--tracking-uri {uri!r} cannot be reached: {_first_line(error)}"
            raise ConnectionError(text) from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def links(store: Store, search: str, uri: str, address: str) -> dict[str, str]:
    """The addresses of a search's page on a server at `address`; empty if it is not in MLflow."""
    view = SearchView.read(store, search)
    spec = view.spec
    experiment = client_of(uri).get_experiment_by_name(experiment_name(spec))
    if experiment is None:
        return {}
    metric = spec["metrics"][0]
    return view_links(
        address,
        str(experiment.experiment_id),
        search,
        view.identity,
        summary_name(metric["name"]),
        maximize=metric["direction"] == "maximize",
    )
