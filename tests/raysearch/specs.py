"""Specifications for tests, in the words of the event `created`."""

from __future__ import annotations

from typing import Any

from raysearch.sweeps.search_spec import UNKNOWN, SearchSpec


def make_spec(**body: Any) -> SearchSpec:
    """A specification of which only what is given matters."""
    return SearchSpec.from_body({**UNKNOWN.to_body(), **body})
