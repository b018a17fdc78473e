"""Settings by path, and how a sweep chooses among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raysearch.sweeps.sweep import Trial, bare

Settings = Mapping[str, object]
"""Values by dotted path."""


def merged(*settings: Settings) -> dict[str, object]:
    """All of these settings, the later before the earlier."""
    found: dict[str, object] = {}
    for each in settings:
        found |= each
    return found


def one_of(trial: Trial, name: str, *values: Any) -> dict[str, Any]:
    """One of these values at the path of a parameter."""
    return {bare(name): trial.suggest_categorical(name, list(values))}


def labelled(trial: Trial, name: str, table: Mapping[str, Settings]) -> Settings:
    """The settings behind one label of a table, which is `choice.<name>`."""
    return table[trial.suggest_categorical(f"choice.{name}", list(table))]


def choices(**tables: Mapping[str, Settings]) -> dict[str, list[str]]:
    """The paths that the choices with these tables set."""
    return {
        f"choice.{name}": list(dict.fromkeys(path for each in table.values() for path in each))
        for name, table in tables.items()
    }


def only(table: Mapping[str, Settings], *labels: str) -> dict[str, Settings]:
    """A table with these labels alone, in this order."""
    return {label: table[label] for label in labels}
