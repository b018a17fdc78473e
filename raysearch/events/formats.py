"""Versions of what is written of a search, and how an older one becomes this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting, WrittenLater
from raysearch.sqlite_files import sqlite_address
from raysearch.sweeps.search_spec import FORMAT, SearchSpec
from raysearch.texts import shown
from raysearch.version import newer

Body = Mapping[str, Any]
Migration = Callable[[Body], dict[str, Any]]


def _from_1(body: Body) -> dict[str, Any]:
    """Format 1 had no number, and more was written as time went on; 2 always has all fields.

    Where one was not written it had no effect. Groups of workers, limits of a trial's time, of disk
    and of failures, repeats of the best, evaluations of finished trials, known results, requests,
    users and priorities, kept code, warnings and the count of points came one after another. The
    tracking address was written down also where it was the default of the folder of runs; now it is
    null there, so that a folder of runs can be moved.
    """
    later: dict[str, Any] = {
        "workers": 1,
        "points": None,
        "distinct": None,
        "outside": {},
        "warnings": [],
        "trial_time": None,
        "disk": None,
        "max_failures": None,
        "finalists": 0,
        "incomplete": "last",
        "evaluates": None,
        "known": None,
        "request": None,
        "user": "",
        "priority": 0,
        "code": None,
    }
    found = {**later, **body, "format": 2}
    runs = Path(str(body.get("folder") or "")).parent
    file = runs / "mlflow.db"
    if body.get("tracking_uri") in (f"sqlite:///{file}", sqlite_address(file)):
        found["tracking_uri"] = None
    return found


MIGRATIONS: Mapping[int, Migration] = {1: _from_1}
"""What makes the body of a `created` of each format one of the next."""


def format_of(body: Body) -> int:
    """The format of the body of a `created`. Raises ValueError if it is none."""
    found = body.get("format", 1)
    if type(found) is not int or found < 1:
        raise BadSetting(f"format must be a whole number from 1, got {shown(found)}")
    return found


def migrated(
    body: Body, migrations: Mapping[int, Migration] = MIGRATIONS, to: int = FORMAT
) -> Body:
    """The body of a `created` of any earlier format in this one; the body given stays as it is."""
    for number in range(format_of(body), to):
        body = migrations[number](body)
    return body


def spec_of(search: str, body: Body) -> SearchSpec:
    """The specification in a `created` of any format up to this one.

    Raises:
        WrittenLater: a newer raysearch wrote it; names both versions.
        ValueError: names what is missing, or not as it must be.
    """
    if format_of(body) > FORMAT:
        packages = body.get("packages")
        theirs = packages.get("raysearch") if isinstance(packages, Mapping) else None
        raise WrittenLater(
            f"search {search!r} was begun by {newer(theirs, format_of(body), FORMAT)}; install "
            f"that one or a later one to look at it"
        )
    return SearchSpec.from_body(migrated(body))
