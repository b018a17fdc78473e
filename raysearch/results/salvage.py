"""The readable part of a search whose events are damaged: enough to delete it."""

from __future__ import annotations

from contextlib import suppress

from raysearch.events.log import Store
from raysearch.results.view import SearchView, TrialView


def salvaged(store: Store, search: str) -> SearchView:
    """The view after those events that can be read; of some trials only the number is known.

    Where its first event cannot be read it is not `is_begun`.
    """
    view = SearchView(search)
    numbers = set[int]()
    for event in store.readable(search):
        if event.trial is not None:
            numbers.add(event.trial)
        with suppress(LookupError, TypeError, ValueError, AttributeError):
            view.apply(event)
    for number in sorted(numbers - set(view.trials)):
        view.trials[number] = TrialView(number, {}, {}, {}, "", 0, "unreadable")
    return view
