"""The store of some settings and the view of one search in it: errors for what is not there."""

from __future__ import annotations

from raysearch.errors import UnknownName
from raysearch.events.log import Store
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.sqlite_files import sqlite_file
from raysearch.sweeps.nearest import on_offer


def store_of(settings: Settings) -> Store:
    """The store, if there is one: looking creates none."""
    path = sqlite_file(settings.store)
    if path is not None and not path.exists():
        raise UnknownName(
            f"there is no search yet: no store at {path}; begin with raysearch search"
        )
    return Store(settings.store, is_new=False)


def view_of(name: str, settings: Settings) -> tuple[Store, SearchView]:
    """The store and what is known of a search. Raises LookupError if there is no such search."""
    store = store_of(settings)
    if not store.exists(name):
        raise UnknownName(f"no search is named {name!r}{on_offer(name, store.searches())}")
    return store, SearchView.read(store, name)
