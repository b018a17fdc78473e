"""The log of a trial as it grows."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from raysearch import verbs
from raysearch.errors import UnknownName
from raysearch.events.log import Store
from raysearch.results import opening
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.streams import lost_output
from raysearch.terminal import say, say_piece
from raysearch.trial.bounded_log import HEAD

_EVERY = 0.5
_LAST = 2.0
"""Seconds in which what a trial wrote at its end is still looked for."""
_FILES = ("log.txt", "traceback.txt")


def follow_logs(name: str, trial: int, settings: Settings) -> None:
    """Prints the logs of all attempts at a trial, and what comes, until the trial ends.

    Raises:
        LookupError: no such search, or it has ended without such a trial.
    """
    store, view = opening.view_of(name, settings)
    folder = settings.folder(name) / f"{trial:04d}"
    seen: dict[Path, int] = {}
    try:
        for ends_at in _until_it_ends(store, view, trial, settings):
            for path in sorted(folder.glob("*-*/*"), key=lambda path: path.parent.name):
                if path.name in _FILES:
                    seen[path] = _print_new(path, seen.get(path))
            if lost_output() is not None:
                return  # nobody reads on, such as `head`
            if ends_at is None or time.monotonic() < ends_at:
                time.sleep(_EVERY)
    except KeyboardInterrupt:
        say(err=True)


def _until_it_ends(
    store: Store, view: SearchView, trial: int, settings: Settings
) -> Iterator[float | None]:
    """Again and again, and once more when all is over; the time of the last one, once known."""
    ends_at: float | None = None
    while ends_at is None or time.monotonic() < ends_at:
        yield ends_at
        for event in store.events(view.search, view.last):
            view.apply(event)
        if ends_at is None and _has_ended(view, trial, lambda: verbs.state_of(view, settings)):
            if trial not in view.trials:
                raise UnknownName(
                    f"search {view.search!r} has no trial {trial}; it has {len(view.trials)}"
                )
            ends_at = time.monotonic() + _LAST
    yield ends_at


def _has_ended(view: SearchView, trial: int, state: Callable[[], str]) -> bool:
    known = view.trials.get(trial)
    if known is not None and known.ended is not None:
        return True
    return state() not in ("running", "killed")


def _print_new(path: Path, before: int | None) -> int:
    """Prints what a file has got; returns how much of it was."""
    if path.name == "traceback.txt" and "Traceback" in _text(path.with_name("log.txt")):
        return 0
    if before is None and path.name == "log.txt":
        say(f"== {path.parent.name}: {path.parent}")
    if before is not None and path.name == "log.txt" and path.stat().st_size < before:
        before = HEAD  # its middle was cut out; what is missing is said there
    with path.open("rb") as file:
        file.seek(before or 0)
        new = file.read()
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    say_piece(decoder.decode(new))
    half, _ = decoder.getstate()  # of a letter whose other bytes are still to come
    return (before or 0) + len(new) - len(half)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
