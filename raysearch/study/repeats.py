"""The best few of a search, and its default configuration, again with seeds of their own."""

from __future__ import annotations

from collections.abc import Sequence

from raysearch.results.ranking import dominators
from raysearch.study.samplers.suggestions import Suggestion, with_seed
from raysearch.study.trials import Entry, Trials
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Direction


class Repeats:
    """What is run again once all other trials are told.

    Each finalist is run with `seeds` further seeds: those that follow its own. The run that made it
    a finalist is none of them: chosen as the best of many it looks better than it is, and a mean
    with it would too. Which trials are finalists is a function of what was told.

    Args:
        space: where the points are.
        trials: what was told.
        seeds: how many runs each finalist gets; below 2: none.
        finalists: how many of the best trials; the default configuration comes on top.
        directions: with several, those of the Pareto front are the best.
    """

    def __init__(
        self,
        space: Space,
        trials: Trials,
        seeds: int,
        finalists: int,
        directions: Sequence[Direction],
    ) -> None:
        self._space, self._trials = space, trials
        self._seeds = range(1, seeds + 1) if seeds > 1 else range(0)
        self._finalists = finalists
        self._known = 0
        self._finalists_now: list[Entry] = []
        self._signs = [1.0 if direction == "minimize" else -1.0 for direction in directions]

    def next(self) -> Suggestion | None:
        """The next run, the first seed of all before the second of any; None if all were asked."""
        if not self._seeds:
            return None
        finalists = self._chosen()
        for offset in self._seeds:
            for entry in finalists:
                if (entry.digest, entry.seed + offset) not in self._trials.firsts:
                    point = self._space.point(self._trials.optuna(entry.number).params)
                    point = with_seed(point, entry.seed + offset)
                    return Suggestion(point, "repeat", links={"repeat_of": entry.number})
        return None

    def _chosen(self) -> list[Entry]:
        """The finalists; they stay the same until another trial that is no repeat is told."""
        known = sum(entry.repeat_of is None for entry in self._trials.entries)
        if known != self._known:
            self._known, self._finalists_now = known, self._choose()
        return self._finalists_now

    def _choose(self) -> list[Entry]:
        found: dict[str, tuple[list[float], Entry]] = {}
        for entry in self._trials.entries:
            values = self._values(entry)
            if values is not None and (
                entry.digest not in found or values < found[entry.digest][0]
            ):
                found[entry.digest] = (values, entry)
        costs = list(found.values())
        ranks = zip(dominators([cost for cost, _ in costs]), costs, strict=True)
        order = sorted(ranks, key=lambda each: (each[0], each[1][0]))
        chosen = [entry for _, (_, entry) in order[: self._finalists]]
        chosen += [each for _, each in costs if each.is_default and each not in chosen]
        return sorted(chosen, key=lambda entry: entry.number)

    def _values(self, entry: Entry) -> list[float] | None:
        """Its objectives as costs, if it completed here and was none of the repeats."""
        told = entry.told
        if told is None or told.state != "complete" or entry.duplicate_of is not None:
            return None
        if entry.repeat_of is not None or entry.is_known:
            return None
        return [sign * value for sign, value in zip(self._signs, told.values or (), strict=True)]
