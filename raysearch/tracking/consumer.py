"""Trackers as readers of the events: each on a thread of its own, with a durable cursor."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from raysearch.errors import RaysearchError, Unreachable
from raysearch.events.log import Event, Store
from raysearch.events.schema import DriverEnded
from raysearch.results.view import SearchView
from raysearch.tracking.mlflow.address import check_tracking, server_environment
from raysearch.tracking.mlflow.admission import unreachable
from raysearch.tracking.registry import (
    DEFAULT,
    cursor_name,
    made,
    places,
    title,
    tracked,
)
from raysearch.tracking.tracker import Place, StartOver, Tracker

__all__ = [
    "Feed",
    "Follower",
    "Followers",
    "check_tracking",
    "delete",
    "links",
    "server_environment",
    "sync",
]

_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_LOOK_EVERY = 5.0
"""Seconds; events are also committed without a word to listeners."""
_GROUP = 200
"""Events that are given at once, which a tracker may write by few requests."""
_TRIES = 3
"""So many times in a row a tracker may start over."""


class Feed:
    """Gives one tracker the events of a search, from its cursor in the store on."""

    def __init__(self, store: Store, search: str, tracker: Tracker, cursor: str) -> None:
        self._store, self._search, self._cursor = store, search, cursor
        self.tracker, self._view, self._is_primed = tracker, SearchView(search), False

    def prime(self) -> None:
        """Lets the tracker know what it has written before, and puts its cursor right."""
        recorded = self._store.cursor(self._search, self._cursor)
        view = self._until(recorded)
        there = self.tracker.begin(view, recorded)
        if there != recorded:
            self._store.set_cursor(self._search, self._cursor, there)
            view = self._until(there)
        self._view, self._is_primed = view, True

    def catch_up(self) -> int:
        """Gives all events after the cursor, in groups; returns how many.

        Raises:
            Whatever the tracker raises; the cursor stays behind the last group that was written.
        """
        if not self._is_primed:
            self.prime()
        written = tries = 0
        cursor = self._store.cursor(self._search, self._cursor)
        while events := self._group(cursor):
            for event in events:
                self._view.apply(event)
            try:
                self.tracker.apply(events, self._view)
                cursor, written = events[-1].seq, written + len(events)
            except StartOver:
                tries += 1
                if tries > _TRIES:
                    raise
                cursor, self._view = 0, SearchView(self._search)
            self._store.set_cursor(self._search, self._cursor, cursor)
        return written

    def _until(self, last: int) -> SearchView:
        view = SearchView(self._search)
        for event in self._store.events(self._search) if last else ():
            if event.seq > last:
                break
            view.apply(event)
        return view

    def _group(self, cursor: int) -> list[Event]:
        """The next events; an end is the last of its group: what it says is as of that moment."""
        events: list[Event] = []
        for event in islice(self._store.events(self._search, cursor, page=_GROUP), _GROUP):
            events.append(event)
            if isinstance(event.body, DriverEnded):
                break
        return events


class Follower(threading.Thread):
    """The thread that keeps one tracker up to date while a search runs; trials never wait for it.

    `problem` says why it could not be written to the end; None if it was.
    """

    def __init__(self, store: Store, name: str, place: Place) -> None:
        super().__init__(name=f"tracking {name}", daemon=True)
        self.tracker_name, self._store, self._place = name, store, place
        self._news, self._closing = threading.Event(), threading.Event()
        self._feed: Feed | None = None
        self.problem: str | None = None

    @property
    def aside(self) -> list[str]:
        """What the tracker would not take, a sentence each."""
        return [] if self._feed is None else list(self._feed.tracker.aside)

    def wake(self) -> None:
        """Says that there are new events."""
        self._news.set()

    def finish(self) -> None:
        """Asks it to write what is there and to end."""
        self._closing.set()
        self._news.set()

    def close(self, timeout: float) -> None:
        """Waits until everything is written, at most `timeout` seconds."""
        self.finish()
        self.join(timeout)
        if self.is_alive():
            self.problem = self.problem or "it does not answer"

    def run(self) -> None:
        """Gives what is new; waits longer and longer while the tracker cannot be reached."""
        failures = 0
        while True:
            closing = self._closing.is_set()
            self._news.clear()
            try:
                self._feed = self._feed or self._begun()
                self._feed.catch_up()
                if closing:
                    self._feed.tracker.end()
                failures, self.problem = 0, None
            except Exception as error:  # whatever a tracker, a server or the network says
                self.problem = self._said(error)
                failures += 1
            if closing and (self.problem is None or failures > 2):
                return
            pause = 0.25 if not failures else _PAUSES[min(failures, len(_PAUSES)) - 1]
            self._closing.wait(pause) if not closing else None
            if not failures:
                self._news.wait(_LOOK_EVERY)

    def _begun(self) -> Feed:
        tracker = made(self.tracker_name, self._place)
        cursor = cursor_name(self.tracker_name, self._place)
        return Feed(self._store, self._place.search, tracker, cursor)

    def _said(self, error: Exception) -> str:
        if self._feed is None:
            return _Unmade().problem(error)
        return self._feed.tracker.problem(error)


class _Unmade(Tracker):
    """Stands for a tracker that could not be made."""

    def apply(self, events: Sequence[Event], view: SearchView) -> None:
        """Never called."""


class Followers:
    """The threads of all trackers of a search: what one cannot reach holds up no other one."""

    def __init__(self, store: Store, text: str, place: Place) -> None:
        self._all = [Follower(store, name, place) for name in places(text, place)]

    def start(self) -> None:
        """Starts them."""
        for each in self._all:
            each.start()

    def wake(self) -> None:
        """Says that there are new events."""
        for each in self._all:
            each.wake()

    def close(self, timeout: float) -> None:
        """Waits until everything is written, at most `timeout` seconds for all together."""
        deadline = time.monotonic() + timeout
        for each in self._all:
            each.finish()
        for each in self._all:
            each.close(max(deadline - time.monotonic(), 0.0))

    @property
    def problems(self) -> dict[str, str]:
        """Why some could not be written to the end, by what they are called."""
        return {title(one.tracker_name): one.problem for one in self._all if one.problem}

    @property
    def aside(self) -> dict[str, list[str]]:
        """What they would not take, by what they are called."""
        return {title(one.tracker_name): one.aside for one in self._all if one.aside}


def sync(
    store: Store,
    search: str,
    uri: str,
    folder: Path,
    aside: dict[str, list[str]] | None = None,
    track: str | None = None,
) -> int:
    """Writes the backlog of a search to its trackers, or to those in `track`; returns the number of
    events, of that tracker which lacked most.

    The backlog is all of it where a tracker has not what was written before. What one would not
    take is added to `aside`, by what it is called. One that cannot be reached holds up no other.

    Raises:
        ConnectionError: a tracker cannot be reached. SearchIsRunning: its driver is at it.
    """
    problems, most = list[ConnectionError](), 0
    with store.lock(search, folder):
        place, text = Place(search, folder, store.url, uri), track or _track_of(store, search)
        for name in places(text, place):
            tracker: Tracker | None = None
            try:
                tracker = made(name, place)
                feed = Feed(store, search, tracker, cursor_name(name, place))
                most = max(most, feed.catch_up())
                tracker.end()
            except Exception as error:
                if isinstance(error, RaysearchError):
                    raise  # the store, or a name, not what is written to
                problems.append(_unreachable(name, uri, tracker or _Unmade(), error))
            finally:
                if aside is not None and tracker is not None and tracker.aside:
                    aside[title(name)] = list(tracker.aside)
    if problems:
        raise problems[0]
    return most


def _unreachable(name: str, uri: str, tracker: Tracker, error: Exception) -> ConnectionError:
    if name == "mlflow":
        return unreachable(uri, error)
    return Unreachable(f"tracker {name!r} cannot be written: {tracker.problem(error)}")


def _track_of(store: Store, search: str) -> str:
    for event in store.events(search, page=1):
        view = SearchView(search)
        view.apply(event)
        return tracked(view.spec)
    return DEFAULT


def delete(view: SearchView, uri: str, folder: Path | None = None) -> None:
    """Deletes what the trackers of a search have of it; what was deleted in part is completed.

    `folder` is where it lies now, if not where it began.

    Raises:
        ConnectionError: one cannot be reached.
    """
    place = Place(view.search, folder or Path(view.begun.folder), "", uri)
    for name in places(tracked(view.begun), place):
        tracker = made(name, place)
        try:
            tracker.delete(view)
        except Exception as error:
            if isinstance(error, RaysearchError):
                raise
            raise _unreachable(name, uri, tracker, error) from None


def links(
    store: Store, search: str, uri: str, address: str, folder: Path | None = None
) -> dict[str, str]:
    """Where the page of a search is, by title; `address` is that of a server of MLflow.

    `folder` is where the search lies now, if not where it began.
    """
    view = SearchView.read(store, search)
    place = Place(search, folder or Path(view.begun.folder), store.url, uri)
    found: dict[str, str] = {}
    for name in places(tracked(view.begun), place):
        found |= made(name, place).links(view, address)
    return found
