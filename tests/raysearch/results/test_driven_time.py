"""How long a search was driven: what is said of it between two drivers is no driving."""

from __future__ import annotations

from typing import Any

import pytest

from raysearch.events.log import Event
from raysearch.results.driven_time import Driven
from tests.raysearch.events.facts import some


def driven(*events: tuple[str, int, dict[str, Any]]) -> Driven:
    """After events of these kinds at these seconds; those of trials are of trial 0."""
    found = Driven()
    for index, (kind, second, body) in enumerate(events):
        trial = 0 if kind in ("asked", "report", "told", "decision", "retried") else None
        found.take(Event(index + 1, "one", trial, 1000 * second, some(kind, **body)))
    return found


WHOLE = [("created", 0, {}), ("asked", 1, {}), ("told", 9, {}), ("finished", 10, {})]


def test_from_the_first_to_the_last_event() -> None:
    assert driven(*WHOLE).seconds() == 10.0


@pytest.mark.parametrize("kind", ["noted", "tagged", "extended", "retried", "recoded", "artifact"])
def test_what_is_said_hours_later_adds_nothing(kind: str) -> None:
    assert driven(*WHOLE, (kind, 9000, {})).seconds() == 10.0


def test_the_next_driver_begins_a_span_of_its_own() -> None:
    later = [("extended", 9000, {}), ("resumed", 9001, {"left": 10_000}), ("finished", 9006, {})]
    assert driven(*WHOLE, *later).seconds() == 15.0


def test_what_the_next_driver_completes_for_a_killed_one_is_not_its_time() -> None:
    killed = [("created", 0, {}), ("report", 4, {})]
    later = [("decision", 9000, {}), ("told", 9000, {}), ("resumed", 9001, {"left": 4000})]
    assert driven(*killed, *later, ("finished", 9003, {})).seconds() == 6.0


def test_of_a_time_in_between_only_what_was_driven_counts() -> None:
    later = [("resumed", 100, {"left": 10_000}), ("finished", 120, {})]
    assert driven(*WHOLE, *later).seconds(5000, 110_000) == 5.0 + 10.0
