"""A plain function as an experiment: `raysearch.report` speaks to the session of its trial."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from raysearch import reporting
from raysearch.errors import UnknownName
from raysearch.programs.reports import Reports
from raysearch.sweeps.program_config import split
from raysearch.trial.own_process import note
from raysearch.trial.session import resolve


class BoundSession:
    """What `raysearch.report` and its like speak to: the session, with forgiving reports."""

    def __init__(self, session: Any, config: Mapping[str, Any]) -> None:
        self.config, self._session = dict(config), session
        self._reports = Reports(session, note)

    def report(self, step: int, metrics: Mapping[str, float], checkpoint: str | None) -> None:
        """A report, which waits for its decision."""
        path = None if checkpoint is None else Path(checkpoint)
        self._reports.take(step, metrics, path, "raysearch")

    def last(self, metrics: Mapping[str, float]) -> None:
        """What a function returns: a report at the step of its last one, or the first."""
        self._reports.last(metrics)

    def close(self) -> None:
        """Says what is left to be said. Raises KnownFailure: it lacks a metric of its sweep."""
        self._reports.close()

    def should_stop(self) -> bool:
        """Whether the search wants it to save and end."""
        return bool(self._session.should_stop())

    def checkpoint(self) -> Path | None:
        """What to go on from."""
        return self._session.restored()

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Facts of this trial."""
        self._session.describe(facts)

    def artifact(self, name: str, path: str) -> None:
        """A file of this trial."""
        self._session.artifact(name, Path(path))


def run(config: dict[str, Any], session: Any) -> None:
    """Runs a function with its values and its seed.

    Raises:
        UnknownName: it is not where it was when it was declared.
        KnownFailure: it returned without a metric of its sweep.
    """
    values, seed, facts = split(config)
    call(resolved(facts), {**values, "seed": seed}, session)


class Kept:
    """A function that no module has, kept with its search, as an experiment."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, config: dict[str, Any], session: Any) -> None:
        """Runs it as `run` would."""
        values, seed, _ = split(config)
        call(self.function, {**values, "seed": seed}, session)


def _by_value(config: Any) -> Kept | None:
    """What a search keeps of the function of a configuration, if no module has it."""
    module, _, name = str(config.facts["function"]).partition(":")
    if module != "__main__":
        return None
    found = getattr(sys.modules[module], name, None)
    if found is None:
        raise UnknownName(f"function {name!r} must be there still when its search begins")
    return Kept(getattr(found, "function", found))


run.by_value = _by_value  # pyright: ignore[reportFunctionMemberAccess]


def call(function: Any, values: dict[str, Any], session: Any) -> None:
    """Calls a function with values while `raysearch.report` speaks to a session."""
    bound = BoundSession(session, values)
    reporting.bind(bound)
    try:
        returned = function(dict(values))
        if metrics := _as_metrics(returned, list(getattr(session, "objectives", ()))):
            bound.last(metrics)
    finally:
        reporting.bind(None)
    bound.close()


def resolved(facts: Mapping[str, Any]) -> Any:
    """The function that a program names, itself and not what declares it a trainable."""
    name = str(facts["function"])
    if name.startswith("__main__:"):
        raise UnknownName(
            f"function {name!r} must be in a module that a trial can import, not in the program "
            f"that began the search: put it into a file and import it from there"
        )
    found = resolve(name)
    return getattr(found, "function", found)


def _as_metrics(returned: Any, names: list[str]) -> dict[str, float]:
    """Numbers that a function returned: by their names, or the one metric of its sweep."""
    if isinstance(returned, Mapping):
        pairs = cast("Mapping[Any, Any]", returned).items()
        return {str(name): float(one) for name, one in pairs if _is_number(one)}
    if _is_number(returned) and len(names) == 1:
        return {names[0]: float(returned)}
    return {}


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, (str, bytes, bool)) and not math.isnan(float(value) * 0 + 0)
    except (TypeError, ValueError):
        return False
