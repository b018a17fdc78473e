"""The protocol of a tracker: a reader of the events of a search that writes them elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from raysearch.events.log import Event, Store
from raysearch.passwords import hidden
from raysearch.results.finding import Finding
from raysearch.results.view import SearchView

_LONGEST, _NAMED = 300, 3
"""Characters of what is said of an error, and how many things of those that were set aside."""


class StartOver(Exception):
    """What a tracker had written is gone: it is to be given all events again."""


@dataclass(frozen=True)
class Place:
    """What a tracker is made with: the search, its folder, and the addresses that it was given.

    `store` is the database of the events, `uri` the tracking address (`--tracking-uri`), which has
    a meaning for MLflow alone; both may have a password.
    """

    search: str
    folder: Path
    store: str = field(repr=False)
    uri: str = field(repr=False)


@runtime_checkable
class Tracker(Protocol):
    """Writes the events of one search elsewhere; each one has a thread and a cursor of its own.

    Any of its methods may raise whatever it likes, and may wait: the search and the other trackers
    go on meanwhile, and the events are given again later. Whoever derives from this class has to
    write `apply` only.
    """

    def begin(self, view: SearchView, cursor: int) -> int:
        """Called first, with the search as of event `cursor`, the last one recorded as written.

        Returns the number of the last event that is certainly written, by which the cursor is put
        right: less where it was lost, more where it was written and not yet recorded.
        """
        return cursor

    def apply(self, events: Sequence[Event], view: SearchView) -> None:
        """Writes the next events, in order; `view` is the search with all of them.

        When it returns they are recorded as written. Where it raises, or the process is killed
        before that, they are given again, perhaps with later ones: what is there is not written
        twice.

        Raises:
            StartOver: what was written before is gone, so that all events are to be given again.
        """
        ...

    def end(self) -> None:
        """Called when nothing more will be written by this process."""

    def delete(self, view: SearchView) -> None:
        """Deletes all that was written of a search; deleting again what was deleted in part
        completes it.
        """

    def links(self, view: SearchView, address: str) -> dict[str, str]:
        """Where the search can be looked at, by title; `address` is that of a server of MLflow."""
        return {}

    def check(self, store: Store, view: SearchView, cursor: int) -> list[Finding]:
        """What is there otherwise than the events in `store` say, where that can be read back.

        `cursor` is the last event recorded as written, `view` the search as of the last of all.
        """
        return []

    def problem(self, error: Exception) -> str:
        """The sentence for an error of this tracker, without a password."""
        return f"{type(error).__name__}: {first_line(error)}"[:_LONGEST]

    @property
    def aside(self) -> Sequence[str]:
        """What cannot be written, ever, and was left out: a sentence each."""
        return ()


def aside_sentences(aside: Mapping[str, Sequence[str]]) -> str:
    """The sentence for what trackers set aside, by what they are called; empty if nothing was."""
    return "; ".join(_aside_sentence(name, things) for name, things in aside.items())


def _aside_sentence(name: str, aside: Sequence[str]) -> str:
    things = "one thing" if len(aside) == 1 else f"{len(aside)} things"
    more = f"; and {len(aside) - _NAMED} more" if len(aside) > _NAMED else ""
    return (
        f"{name} would not take {things}, which the events have: {'; '.join(aside[:_NAMED])}{more}"
    )


def first_line(error: Exception) -> str:
    """The first line of what an error says, without passwords."""
    return hidden(next(iter(str(error).splitlines()), type(error).__name__))
