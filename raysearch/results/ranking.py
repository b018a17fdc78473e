"""The ranking of configurations over their seeds: who won, and who ties."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from raysearch.results.identical_repeats import identical_seeds
from raysearch.results.intervals import Difference, Interval, difference, interval
from raysearch.results.references import Blind, below
from raysearch.results.trial_view import TrialView
from raysearch.sweeps.search_spec import SearchSpec

_NAMED = 8
"""How many trials a sentence names before it only counts."""
_OWN_FAULTS = ("exception", "exit", "signal", "hang", "memory", "diverged")
"""Kinds of failures that are the run's own; a host that was lost or a full disk says nothing."""


class Ranked(Protocol):
    """A search as far as it is ranked: what it states, its trials, and the ranking it keeps."""

    @property
    def spec(self) -> SearchSpec:
        """Its objectives, and which of its runs count."""
        ...

    @property
    def trials(self) -> dict[int, TrialView]:
        """All of them, by number."""
        ...

    def ranking(self) -> list[Rank]:
        """`ranking` of it, computed anew only where a trial was told."""
        ...


@dataclass(frozen=True)
class Rank:
    """One configuration of a search, over its seeds.

    `trial` stands for it: the best of the runs that count, among those that still have a checkpoint
    if any has. `runs` count, in the order of their seeds; `intervals` has the mean of each
    objective. `is_repeated`: it was run again, so that no run counts that it was chosen for.
    `others` says how many of the seeds that did not complete ended how; `is_incomplete` if one of
    them diverged or failed by its own fault, so that the mean is that of the survivors.
    """

    trial: TrialView
    runs: tuple[TrialView, ...]
    intervals: tuple[Interval, ...]
    is_repeated: bool
    others: Mapping[str, int] = field(default_factory=dict[str, int])
    is_incomplete: bool = False
    complete: int = 1

    @property
    def mean(self) -> float:
        """The mean of the first objective."""
        return self.intervals[0].mean

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval of that mean; the mean itself with one seed."""
        return self.intervals[0].low

    @property
    def high(self) -> float:
        """The upper end of that interval."""
        return self.intervals[0].high

    @property
    def seeds(self) -> int:
        """How many runs count, each with a seed of its own."""
        return len(self.runs)

    @property
    def outcomes(self) -> str:
        """`1 complete, 2 diverged`: how its seeds ended."""
        found = {"complete": self.complete, **self.others}
        return ", ".join(f"{count} {what}" for what, count in found.items())

    @property
    def of_seeds(self) -> str:
        """`3 seeds`, or `3 seeds: 1 complete, 2 diverged`; of one that completed `1 seed`."""
        count = self.complete + sum(self.others.values())
        text = "1 seed" if count == 1 else f"{count} seeds"
        return f"{text}: {self.outcomes}" if self.others else text

    @cached_property
    def suspicion(self) -> str:
        """`seeds 0, 1 and 2 gave identical results at all 3 steps; …`; empty if they differ."""
        return identical_seeds(self.runs)

    def __str__(self) -> str:
        """`0.982 [0.975, 0.989], 3 seeds`, of the first objective."""
        if self.seeds < 2 and not self.others:
            return f"{self.intervals[0]}, 1 seed: no interval"
        doubt = f", suspicious: {self.suspicion}" if self.suspicion else ""
        return f"{self.intervals[0]}, {self.of_seeds}{doubt}"


@dataclass(frozen=True)
class Winner:
    """The best rank; `ties` are those that cannot be told from it.

    With several objectives the answer is the `front`, those that no other one dominates, by the
    first objective, of which `rank` is the first; nothing ties. `metrics` names the objectives.
    `blind` has an entry for each objective in which none of them beats what learns nothing.
    """

    rank: Rank
    ties: tuple[Rank, ...]
    front: tuple[Rank, ...]
    metrics: tuple[str, ...]
    blind: tuple[Blind, ...] = ()

    def __str__(self) -> str:
        """`trial 7 is best: 0.982 [0.975, 0.989], 3 seeds; tied with trials 3 and 9`."""
        best = f"trial {self.rank.trial.number}"
        if len(self.metrics) > 1:
            blind = "".join(f" (in {one.metric} {one.place}: {one})" for one in self.blind)
            where = f"the Pareto front of {' and '.join(self.metrics)}{blind}: {named(self.front)}"
            return f"{where}; best in {self.metrics[0]}: {best}, {self.rank}"
        tied = f"; tied with {named(self.ties)}" if self.ties else ""
        blind = f", but {self.blind[0].place} ({self.blind[0]})" if self.blind else ""
        return f"{best} is best{blind}: {self.rank}{tied}"


def named(found: Sequence[Rank]) -> str:
    """`trials 3, 7 and 9`, by the trials that stand for them."""
    numbers = [str(rank.trial.number) for rank in found]
    if len(numbers) == 1:
        return f"trial {numbers[0]}"
    if len(numbers) > _NAMED:
        return f"trials {', '.join(numbers[:_NAMED])} and {len(numbers) - _NAMED} more"
    return f"trials {', '.join(numbers[:-1])} and {numbers[-1]}"


def compared(first: Rank, second: Rank) -> Difference | None:
    """How the means of the first objective differ; None where one of them has a single seed."""
    return difference(
        {run.seed: run.values[0] for run in first.runs if run.values},
        {run.seed: run.values[0] for run in second.runs if run.values},
    )


def ranking(view: Ranked) -> list[Rank]:
    """All configurations with a run that counts, best first, by the mean of the first objective.

    Only completed runs count, each seed once: no duplicates, pruned, failed or infeasible ones. In
    a grid all runs of a cell count. In a search by a sampler the run that made a configuration a
    finalist does not count once it was run again: chosen as the best of many it looks better than
    it is. Where configurations were run again they come first; but not before all that are to be
    were, since until then the first to be repeated would win.

    One of which a seed diverged or failed by its own fault stands behind all whose seeds completed,
    in a grid and among finalists alike, unless the search states `incomplete` as `rank`: those that
    survive are no sample of what it does.
    """
    groups = _groups(view)
    if not groups:
        return []
    signs = _signs(view)
    is_grid = view.spec.is_grid
    found = [_rank(group, signs, is_grid) for group in groups if group.chosen or group.again]
    first, last = _repeats_decide(view, groups), _incomplete_last(view)
    return sorted(
        found,
        key=lambda each: (
            last and each.is_incomplete,
            first and not each.is_repeated,
            signs[0] * each.mean,
            each.trial.number,
        ),
    )


def winner(view: Ranked) -> Winner | None:
    """The best rank and what ties with it, or the Pareto front; None if none completed.

    A tie: both have several seeds, and the 95 % interval of the difference of their means includes
    0 (`intervals.difference`). Of a configuration with one seed nothing can be said. One that
    stands last for seeds that did not complete neither ties nor is on the front of others.
    """
    found = view.ranking()
    if not found:
        return None
    if _incomplete_last(view):
        found = [each for each in found if not each.is_incomplete] or found
    best, metrics = found[0], tuple(metric.name for metric in view.spec.metrics)
    if len(metrics) > 1:
        rivals = [each for each in found if each.is_repeated] if best.is_repeated else found
        members = tuple(front(rivals, _signs(view)))
        return Winner(best, (), members, metrics, _blind(view, members))
    rest = [(each, compared(best, each)) for each in found[1:]]
    ties = tuple(each for each, gap in rest if gap is not None and gap.is_tie)
    return Winner(best, ties, (best,), metrics, _blind(view, (best,)))


def _blind(view: Ranked, members: Sequence[Rank]) -> tuple[Blind, ...]:
    """The objectives in which the best of these is no better than what learns nothing."""
    found: list[Blind] = []
    for index, (metric, sign) in enumerate(zip(view.spec.metrics, _signs(view), strict=True)):
        best = min(
            members, key=lambda each, index=index, sign=sign: sign * each.intervals[index].mean
        )
        mean, name = best.intervals[index].mean, metric.name
        one = below(mean, best.runs, name, metric.direction)
        found += [one] if one is not None else []
    return tuple(found)


def has_repeats(view: Ranked) -> bool:
    """Whether any configuration was run again, and so tables show means and seeds."""
    return any(each.is_repeated for each in view.ranking())


def front(found: Sequence[Rank], signs: Sequence[float]) -> list[Rank]:
    """Those that no other one dominates: at least as good in each mean, and better in one.

    `signs` are 1 for an objective to minimise, −1 for one to maximise.
    """
    costs = [_costs([each.mean for each in one.intervals], signs) for one in found]
    return [one for one, count in zip(found, dominators(costs), strict=True) if not count]


@dataclass
class _Group:
    """The completed runs of one configuration by seed: when it was chosen, and again.

    `told_again` is whether any run of it after its first was told, however it ended. `others` are
    the runs that did not complete, in the same two kinds.
    """

    chosen: dict[int, TrialView] = field(default_factory=dict[int, TrialView])
    again: dict[int, TrialView] = field(default_factory=dict[int, TrialView])
    others_chosen: dict[int, TrialView] = field(default_factory=dict[int, TrialView])
    others_again: dict[int, TrialView] = field(default_factory=dict[int, TrialView])
    told: set[int] = field(default_factory=set[int])
    told_again: bool = False

    def others(self) -> list[TrialView]:
        """Of each seed that counts and did not complete the last run."""
        if self.again or self.others_again:
            done, found = self.again, self.others_again
        else:
            done, found = self.chosen, self.others_chosen
        return [run for seed, run in found.items() if seed not in done]


def _groups(view: Ranked) -> list[_Group]:
    groups: dict[str, _Group] = {}
    is_grid = view.spec.is_grid
    for trial in view.trials.values():
        if trial.duplicate_of is not None or trial.ended is None:
            continue
        group = groups.setdefault(trial.digest, _Group())
        group.told.add(trial.seed)
        is_repeat = _is_repeat(view, trial)
        group.told_again |= len(group.told) > 1 if is_grid else is_repeat
        if trial.is_feasible:
            runs = group.again if is_repeat else group.chosen
            runs.setdefault(trial.seed, trial)
        elif trial.state != "known":
            others = group.others_again if is_repeat else group.others_chosen
            others[trial.seed] = trial
    return list(groups.values())


def _is_repeat(view: Ranked, trial: TrialView) -> bool:
    """Whether it runs a finalist again; so does the retry of such a run."""
    while trial.repeat_of is None and trial.retry_of in view.trials:
        trial = view.trials[trial.retry_of]
    return trial.repeat_of is not None


def _end_of(run: TrialView) -> tuple[str, bool]:
    """How a run ended that did not complete, in a word, and whether that was its own fault."""
    kind = run.failures[-1]["kind"] if run.failures else ""
    is_own = run.state in ("failed", "infeasible") and (not kind or kind in _OWN_FAULTS)
    if run.state == "infeasible":
        return "out of memory" if kind == "memory" else "diverged", is_own
    return ("lost" if run.state == "failed" and not is_own else run.state), is_own


def _rank(group: _Group, signs: Sequence[float], is_grid: bool) -> Rank:
    runs = [run for _, run in sorted((group.again or group.chosen).items())]
    values = [run.values or [] for run in runs]
    kept = [run for run in runs if run.best_checkpoint] or runs
    best = min(kept, key=lambda run: (signs[0] * (run.values or [math.nan])[0], run.number))
    means = tuple(interval([value[index] for value in values]) for index in range(len(signs)))
    ends = [_end_of(run) for run in group.others()]
    return Rank(
        best,
        tuple(runs),
        means,
        is_repeated=bool(group.again) or len(runs) > 1 or (is_grid and group.told_again),
        others=dict(sorted(Counter(what for what, _ in ends).items())),
        is_incomplete=any(is_own for _, is_own in ends),
        complete=len(group.again) if group.again or group.others_again else len(runs),
    )


def _repeats_decide(view: Ranked, groups: Sequence[_Group]) -> bool:
    """Whether all that is to be run again was, at least once: then those come first."""
    found = [group for group in groups if group.chosen]
    if not any(group.told_again for group in found):
        return False
    if not view.spec.is_grid:
        signs = _signs(view)
        values = [next(iter(group.chosen.values())).values or [] for group in found]
        costs = [_costs(value, signs) for value in values]
        order = sorted(zip(dominators(costs), costs, range(len(found)), strict=True))
        best = order[: view.spec.finalists]
        found = [found[index] for *_, index in best]
    return bool(found) and all(group.told_again for group in found)


def _incomplete_last(view: Ranked) -> bool:
    return view.spec.incomplete != "rank"


def _signs(view: Ranked) -> list[float]:
    return [metric.sign for metric in view.spec.metrics]


def _costs(values: Sequence[float], signs: Sequence[float]) -> list[float]:
    return [sign * value for sign, value in zip(signs, values, strict=True)]


def dominators(costs: Sequence[Sequence[float]]) -> list[int]:
    """For each: how many others are at least as good in all objectives and better in one.

    Those with none are the Pareto front. Of a single objective all have none.
    """
    if not costs or len(costs[0]) == 1:
        return [0] * len(costs)
    import numpy as np

    table = np.asarray(costs)
    return [int(((table <= cost).all(axis=1) & (table < cost).any(axis=1)).sum()) for cost in table]
