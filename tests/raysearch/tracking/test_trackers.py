"""Several trackers of one search: what each has, and that none holds up another."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from raysearch.errors import BadSetting, UnknownName
from raysearch.events.log import Event, Store
from raysearch.results.view import SearchView
from raysearch.tracking.consumer import Feed, Followers
from raysearch.tracking.registry import places, read_track, tracked
from raysearch.tracking.tracker import Place, StartOver, Tracker
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact

HERE = "tests.raysearch.tracking.test_trackers"
RELEASE = threading.Event()
"""Lets trackers that hang go on, when a test is over."""


class Lines(Tracker):
    """Writes a line an event, with the number of the event."""

    def __init__(self, place: Place) -> None:
        self._file = place.folder / f"{type(self).__name__}.txt"

    def begin(self, view: SearchView, cursor: int) -> int:
        """As many lines as there are."""
        return len(self.lines())

    def apply(self, events: Sequence[Event], view: SearchView) -> None:
        """Appends them."""
        with self._file.open("a") as file:
            for event in events:
                file.write(f"{event.seq} {event.kind}\n")

    def lines(self) -> list[str]:
        """What is there."""
        return self._file.read_text().splitlines() if self._file.exists() else []


class Hangs(Lines):
    """Never answers."""

    def apply(self, events: Sequence[Event], view: SearchView) -> None:
        """Waits."""
        RELEASE.wait(60)


class Raises(Lines):
    """Cannot be reached."""

    def apply(self, events: Sequence[Event], view: SearchView) -> None:
        """Says so, with a password."""
        raise ConnectionError("no answer from http://me:secret@there")


def no_tracker(place: Place) -> Place:
    """What makes no tracker."""
    return place


@pytest.fixture
def place(tmp_path: Path) -> tuple[Store, Place]:
    """A search of six trials and its place."""
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    streams.search(store, "one", folder)
    return store, Place("one", folder, store.url, "none")


def test_one_that_hangs_or_raises_holds_up_no_other(place: tuple[Store, Place]) -> None:
    store, where = place
    names = f"{HERE}:Hangs,{HERE}:Raises,{HERE}:Lines"
    followers = Followers(store, names, where)
    followers.start()
    lines, deadline = Lines(where), time.monotonic() + 30
    while len(lines.lines()) < store.log("one").last and time.monotonic() < deadline:
        time.sleep(0.01)
    followers.close(0.2)
    assert len(lines.lines()) == store.log("one").last
    RELEASE.set()
    assert followers.problems == {
        f"{HERE}:Hangs": "it does not answer",
        f"{HERE}:Raises": "ConnectionError: no answer from http://me:***@there",
    }
    assert store.cursor("one", f"tracker:{HERE}:Raises") == 0
    assert store.cursor("one", f"tracker:{HERE}:Lines") == store.log("one").last


def test_each_goes_on_at_its_own_cursor_and_writes_nothing_twice(
    place: tuple[Store, Place],
) -> None:
    store, where = place
    first, late = Lines(where), store.log("one")
    assert Feed(store, "one", first, "lines").catch_up() == late.last
    late.append(fact("noted", notes="more"), commit=True)
    assert Feed(store, "one", Lines(where), "lines").catch_up() == 1
    store.set_cursor("one", "lines", 3)  # killed before the cursor was written
    assert Feed(store, "one", Lines(where), "lines").catch_up() == 0
    numbers = [int(line.split()[0]) for line in first.lines()]
    assert numbers == list(range(1, late.last + 1))
    assert store.cursor("one", "lines") == late.last


class Forgets(Lines):
    """Loses what it has once."""

    lost = False

    def apply(self, events: Sequence[Event], view: SearchView) -> None:
        """Has lost it when the second group comes."""
        if events[0].seq > 1 and not self.lost:
            self.lost = True
            self._file.unlink()
            raise StartOver
        super().apply(events, view)


def test_one_that_lost_what_it_had_is_given_all_again(place: tuple[Store, Place]) -> None:
    store, where = place
    log = store.log("one")
    for number in range(300):
        log.append(fact("noted", notes=str(number)))
    log.flush()
    tracker = Forgets(where)
    Feed(store, "one", tracker, "forgets").catch_up()
    assert tracker.lost
    assert [int(line.split()[0]) for line in tracker.lines()] == list(range(1, log.last + 1))


def test_names_are_read_in_order_and_mlflow_has_an_address(tmp_path: Path) -> None:
    assert read_track("tensorboard, mlflow") == ("tensorboard", "mlflow")
    assert read_track("none") == ()
    assert read_track(f"{HERE}:Lines") == (f"{HERE}:Lines",)
    assert tracked(streams.spec()) == "mlflow"
    assert tracked(streams.spec(request={"track": "tensorboard"})) == "tensorboard"
    assert places("mlflow,tensorboard", Place("a", tmp_path, "", "none")) == ["tensorboard"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mlflo", "--track must be none, mlflow, tensorboard or a module:attribute, got 'mlflo'; "
         "did you mean 'mlflow'?"),
        ("mlflow,mlflow", "--track must name each tracker once, got 'mlflow,mlflow'"),
        ("mlflow,none", "--track must be none alone, or names of trackers, got 'mlflow,none'"),
        ("", "--track must be none, mlflow, tensorboard or a module:attribute, got ''"),
        (f"{HERE}:Line", f"'{HERE}' has no 'Line'; did you mean 'Lines'?"),
        ("nowhere.there:Lines", "no module is named 'nowhere.there', needed for --track"),
        (f"{HERE}:HERE", "must name what makes a tracker of a place, as a class does, got a str"),
    ],
)  # fmt: skip
def test_a_name_that_nobody_has_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises((BadSetting, UnknownName)) as error:
        read_track(text)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_what_is_no_tracker_is_said_and_the_search_goes_on(place: tuple[Store, Place]) -> None:
    followers = Followers(place[0], f"{HERE}:no_tracker", place[1])
    followers.start()
    followers.close(30)
    said = followers.problems[f"{HERE}:no_tracker"]
    assert "must make a raysearch.tracking.tracker.Tracker, got a Place" in said
