"""Settings by which trials are grouped: their values, and where a trial stands."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from raysearch.errors import BadSetting, UnknownName
from raysearch.results.view import SearchView, TrialView
from raysearch.sweeps.nearest import on_offer

MOST = 12
"""Values that a factor may have."""


@dataclass(frozen=True)
class Factor:
    """A setting by which trials are grouped: its dotted path, and its values in order."""

    path: str
    values: tuple[Any, ...]

    def place(self, trial: TrialView) -> int | None:
        """Where the value of a trial stands; None if it has no such setting."""
        value = value_of(trial, self.path)
        return None if value is _NONE else [_key(one) for one in self.values].index(_key(value))


_NONE = object()


def read_factors(text: str) -> tuple[str, ...]:
    """One path or two, as `loss.objects,objects.kind`. Raises BadSetting for anything else."""
    paths = tuple(part.strip() for part in text.split(","))
    if not all(paths) or len(paths) > 2 or len(set(paths)) < len(paths):
        raise BadSetting(f"--by must be one setting, or two different ones as a,b, got {text!r}")
    return paths


def factors_of(view: SearchView, paths: Sequence[str]) -> list[Factor]:
    """The factors of these paths, with all values that trials have.

    Raises:
        UnknownName: no trial has such a setting. BadSetting: it has too many values to be one.
    """
    return [_factor(view, path) for path in paths]


def _factor(view: SearchView, path: str) -> Factor:
    trials = list(view.trials.values())
    found = {_key(value): value for value in (value_of(one, path) for one in trials)}
    found.pop(_key(_NONE), None)
    if not found:
        known = {name for trial in trials for name in (*trial.params, *paths_of(trial.config))}
        raise UnknownName(
            f"no trial of {view.search!r} has a setting {path!r}{on_offer(path, known)}"
        )
    if len(found) > MOST:
        raise BadSetting(
            f"--by must be settings of at most {MOST} different values, and {path} has {len(found)}"
        )
    return Factor(path, tuple(sorted(found.values(), key=_order)))


def value_of(trial: TrialView, path: str) -> Any:
    """The value of a trial at a path of its configuration, or of a parameter such as a preset."""
    if path in trial.params:
        return trial.params[path]
    at: Any = trial.config
    for name in path.split("."):
        if not isinstance(at, Mapping) or name not in at:
            return _NONE
        at = cast("Mapping[str, Any]", at)[name]
    return _NONE if isinstance(at, Mapping) else at


def paths_of(config: Mapping[str, Any], above: str = "") -> Iterable[str]:
    """The dotted paths of the leaves of a configuration."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from paths_of(cast("Mapping[str, Any]", value), f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _key(value: Any) -> Hashable:
    """True is not 1 here, and a list is what it says."""
    return type(value), repr(value)


def _order(value: Any) -> tuple[int, int | float, str]:
    """Numbers by size, then everything else by its letters."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, value, "") if is_number else (1, 0, str(value))
