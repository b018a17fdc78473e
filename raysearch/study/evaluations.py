"""Finished trials of another search, each with every setting of an evaluating sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, takewhile
from typing import Any

from raysearch.errors import BadSetting, RaysearchError, foreign
from raysearch.study.samplers.suggestions import Known, Sampler, Suggestion, cell
from raysearch.sweeps.distributions import distribution_from_json
from raysearch.sweeps.search_spec import EvaluatedTrial
from raysearch.sweeps.space import Point, Space
from raysearch.sweeps.sweep import bare


class Evaluations(Sampler):
    """All pairs of a setting and a finished trial, each once: all trials with the first setting
    before any with the second.

    What a setting states is put into the trial's own configuration: what the sweep samples or its
    user fixes, what differs from the defaults of the configuration (in another variant of a part,
    from those of the variant), and of the paths that the class names in `evaluation_paths()` all of
    them. What it leaves at its default otherwise is as in the trial.

    Args:
        space: the settings; finite.
        evaluated: the trials.
    """

    def __init__(self, space: Space, evaluated: Sequence[EvaluatedTrial]) -> None:
        self._space, self._evaluated = space, evaluated
        self._walk = self._pairs()
        self._walked: list[Suggestion] = []
        self._next = 0
        self._asked = 0

    def check(self) -> None:
        """Refuses what cannot be, before any is evaluated.

        A configuration that has a method `first_difference(other)` says by it, as (path, there,
        here) or None, on which value the training of a checkpoint depended that is another now.

        Raises:
            ValueError: a trial has no such settings, or a setting that would change its training;
                names the trial, the path and what is allowed.
        """
        for setting in self._space.points():
            for trial in self._evaluated:
                try:
                    with foreign(f"the configuration of {self._space.sweep.name}"):
                        self._refuse_other(setting, trial)
                except RaysearchError as error:
                    raise BadSetting(
                        f"{self._space.sweep.name} cannot evaluate trial {trial.trial} of "
                        f"{trial.search}: {error}"
                    ) from None

    def configurations(self) -> Iterator[Any]:
        """Those that are evaluated, of all pairs."""
        for setting in self._space.points():
            for trial in self._evaluated:
                yield self._pair(setting, trial).config

    def _refuse_other(self, setting: Point, trial: EvaluatedTrial) -> None:
        trained: Any = type(setting.config).read(trial.config)
        paired = self._pair(setting, trial).config
        compare = getattr(trained, "first_difference", None)
        found = None if compare is None else compare(paired)
        if found is not None:
            path, there, here = found
            raise BadSetting(
                f"{path} must be {there!r}, as it was trained, got {here!r}; only settings of "
                f"evaluations may differ"
            )

    def suggest(self, known: Known) -> Suggestion | None:
        """The first pair that was not asked for."""
        if len(known.cells) < self._asked:
            self._next = 0  # prepared points were dropped
        self._asked = len(known.cells)
        while (pair := self._at(self._next)) is not None:
            if cell(pair.point.params, pair.point.seed) not in known.cells:
                return pair
            self._next += 1
        return None

    def again(self, params: Mapping[str, Any], seed: int) -> Suggestion:
        """The pair with these parameters, once more."""
        wanted = cell(params, seed)
        pairs = takewhile(lambda pair: pair is not None, map(self._at, count()))
        return next(
            pair for pair in pairs if pair and cell(pair.point.params, pair.point.seed) == wanted
        )

    def _at(self, index: int) -> Suggestion | None:
        if index == len(self._walked):
            pair = next(self._walk, None)
            if pair is None:
                return None
            self._walked.append(pair)
        return self._walked[index]

    def _pairs(self) -> Iterator[Suggestion]:
        for setting in self._space.points():
            for trial in self._evaluated:
                links = {"evaluates": trial.link()}
                yield Suggestion(self._pair(setting, trial), "evaluation", links=links)

    def _pair(self, setting: Point, trial: EvaluatedTrial) -> Point:
        known = {name: distribution_from_json(d) for name, d in trial.distributions.items()}
        config = type(setting.config).read(trial.config)
        return Point(
            {**trial.params, **setting.params},
            {**known, **setting.distributions},
            config.with_values(self._stated(setting)),
            {},
        )

    def _stated(self, setting: Point) -> dict[str, Any]:
        """The values that a setting states, by path."""
        sets = self._space.sweep.choices
        names = [*map(bare, setting.params), *self._space.fixed]
        asked = [path for name in names for path in sets.get(name, (name,))]
        own = _own_paths(setting.config)
        return {path: setting.config.value_at(path) for path in dict.fromkeys([*asked, *own])}


def _own_paths(config: Any) -> list[str]:
    """The paths that a configuration of a sweep states by itself, without having been asked."""
    kind = type(config)
    named: Callable[[], frozenset[str]] | None = getattr(config, "evaluation_paths", None)
    settings = frozenset[str]() if named is None else named()
    with foreign(f"the default of {kind.__name__}"):
        default = kind()
    mine, known = config.to_json(), default.to_json()
    stated = {
        path: value
        for path in sorted(kind.paths())
        if (value := _at(mine, path)) is not _NONE
        and (path in settings or value != _at(known, path))
    }
    others = _default_of_variants(default, stated, known)
    return [
        path
        for path, value in stated.items()
        if path in settings or _at(known, path) is not _NONE or value != _at(others, path)
    ]


def _default_of_variants(
    default: Any, stated: Mapping[str, Any], known: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The default with other variants of its parts where they are stated, each as it begins.

    Only the values are set that the default has a place for, a variant's name among them; where
    they make no configuration without the others, it is the default itself.
    """
    there = {path: value for path, value in stated.items() if _at(known, path) is not _NONE}
    try:
        return default.with_values(there).to_json()
    except (ValueError, LookupError):
        return known


_NONE = object()


def _at(plain: Any, path: str) -> Any:
    """The value at a dotted path of plain JSON, `_NONE` where there is none."""
    for part in path.split("."):
        if not isinstance(plain, Mapping) or part not in plain:
            return _NONE
        plain = plain[part]
    return plain
