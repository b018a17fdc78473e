"""Time to a configuration of the top 1 %: samplers and pruners on a table of real learning curves.

    python -m benchmarks.science [--runs 50] [--processes 2] [--methods random tpe …]

Simulated workers train the configurations of `benchmarks.curves`: an epoch takes one unit of time,
a report is the accuracy that the table has there. Everything else is the service's own: a `Study`
over a `Space`, asked for each trial, told of each report in the order of simulated time, heeded
when it ends a trial. What is reached is a trial that runs through all 81 epochs and whose final
validation accuracy (first seed) is among the top 1 %, or 0.5 %, of the table.

A proposal is mapped to the nearest configuration that was not used in this run: coordinates in 0…1
along each range (logarithmic where that is), choices spread evenly, Euclidean distance. The study
keeps the proposal and hears the values of that neighbour, which blurs what a model can learn. All
methods are mapped alike, so random, hyperband and successive halving meet the same points in the
same order. A run ends when the table is used up, or at the horizon. The default configuration
lies outside the space, so that no run begins with the same trial.

The rule `best of n after i` needs no service: n random points are trained for i epochs, then the
best of them to the end, best first. Its i and n were chosen beforehand.

Printed are the median and the quartiles, over the runs, of the epochs that each worker had spent;
`-` where fewer runs than that reached it; how many did; and how many times faster the median is
than random. Expected, from published figures and a first table of this kind: successive halving
about 3 times faster than random with 8 workers, and more than 5 times with one.
"""

from __future__ import annotations

import argparse
import heapq
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import replace

import numpy as np

from benchmarks.curves import KNOBS, Curves, target
from raysearch.events.schema import Fact
from raysearch.study.study import Study
from raysearch.sweeps.search_spec import UNKNOWN, MetricSpec
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric, Trial, sweep
from trainables.core.training import ExperimentConfig

HORIZONS = {8: 1296, 1: 5184}
"""Epochs of each worker after which a run is given up, by the number of workers."""
SHARES = (0.01, 0.005)
METHODS: Mapping[str, tuple[str, str]] = {
    "random": ("random", "none"),
    "tpe": ("tpe", "none"),
    "hyperband": ("random", "hyperband:min=1,max=81,factor=3"),
    "successive-halving": ("random", "successive-halving:min=1,factor=3"),
    "tpe + successive-halving": ("tpe", "successive-halving:min=1,factor=3"),
}
"""Sampler and pruner of each method."""
RULES = {f"best of {n} after {i}": (n, i) for n in (81, 243) for i in (1, 3)}
"""The rules without a service."""


class Network(ExperimentConfig):
    """The knobs of the table; a default that is none of its points."""

    experiment: ClassVar[str] = "benchmarks.science:never_run"
    name: ClassVar[str] = "benchmarks.science"
    lr: float = 0.0
    momentum: float = 0.0
    weight_decay: float = 0.0
    init_scale: float = 1.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    input_noise: float = 0.0
    width: int = 32
    batch_size: int = 64
    activation: str = "relu"
    schedule: str = "constant"


@sweep(metrics=[Metric("val/accuracy", "maximize")])
def networks(trial: Trial) -> Network:
    """The ranges of the knobs."""
    values: dict[str, Any] = {}
    for knob in KNOBS:
        if knob.choices:
            values[knob.name] = trial.suggest_categorical(knob.name, knob.choices)
        else:
            values[knob.name] = trial.suggest_float(knob.name, knob.low, knob.high, log=knob.log)
    return Network(**values)


class Silent:
    """A log that keeps nothing: a simulation is not resumed."""

    def append(self, fact: Fact, trial: int | None = None, *, commit: bool = False) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""


class Table:
    """The curves of one run: hands out the nearest configuration that it has not handed out."""

    def __init__(self, places: np.ndarray, curves: np.ndarray) -> None:
        self._places, self._curves = places, curves
        self._is_used = np.zeros(len(places), dtype=bool)

    @property
    def is_used_up(self) -> bool:
        """Whether each configuration was handed out."""
        return bool(self._is_used.all())

    def take(self, params: Mapping[str, Any]) -> np.ndarray:
        """The curve [epochs] of the nearest configuration to these parameters, for good."""
        place = np.array([knob.place(params[knob.name]) for knob in KNOBS])
        distance = ((self._places - place) ** 2).sum(1)
        row = int(np.where(self._is_used, np.inf, distance).argmin())
        self._is_used[row] = True
        return self._curves[row]


@dataclass
class Running:
    """A trial on a worker."""

    number: int
    curve: np.ndarray
    epoch: int = 0


def simulate(study: Study, table: Table, workers: int, horizon: int) -> Iterator[tuple[int, float]]:
    """The trials that ran to their end, as they do: simulated time, final accuracy.

    At equal times the worker with the smaller number comes first; one that ends a trial begins the
    next at once.
    """
    queue = [(0, worker) for worker in range(workers)]
    running: dict[int, Running] = {}
    while queue:
        now, worker = heapq.heappop(queue)
        trial = running.get(worker)
        if trial is not None:
            trial.epoch += 1
            value = float(trial.curve[trial.epoch - 1])
            ends = study.report(trial.number, trial.epoch, [value], trial.epoch)
            is_through = trial.epoch == len(trial.curve)
            if ends or is_through:
                study.tell(trial.number, "pruned" if ends else "complete", [value])
                del running[worker]
            if is_through and not ends:
                yield now, value
        if worker not in running:
            proposal = None if table.is_used_up else study.ask()
            if proposal is None:
                continue
            running[worker] = Running(proposal.number, table.take(proposal.params))
        if now < horizon:
            heapq.heappush(queue, (now + 1, worker))


def best_of(
    study: Study, table: Table, workers: int, horizon: int, screened: int, epochs: int
) -> Iterator[tuple[int, float]]:
    """The rule: `screened` points for so many epochs, then the best to the end, best first."""
    asked = (study.ask() for _ in range(screened))
    curves = [table.take(proposal.params) for proposal in asked if proposal is not None]
    free = [0] * workers
    for _ in curves:
        heapq.heapreplace(free, free[0] + epochs)
    free = [max(free)] * workers  # the ranking needs them all
    for curve in sorted(curves, key=lambda curve: -curve[epochs - 1]):
        now = free[0] + len(curve) - epochs
        if now > horizon:
            return
        heapq.heapreplace(free, now)
        yield now, float(curve[-1])


@cache
def _loaded() -> tuple[np.ndarray, np.ndarray, tuple[float, ...], Space]:
    curves = Curves.load()
    goals = tuple(target(curves, share) for share in SHARES)
    return curves.places, curves.accuracy[:, 0], goals, Space(networks)


def times(task: tuple[str, int, int]) -> list[int | None]:
    """When a run of a method reaches each goal; None: not within the horizon."""
    method, workers, run = task
    places, curves, goals, space = _loaded()
    sampler, pruner = METHODS.get(method, METHODS["random"])
    spec = replace(
        UNKNOWN,
        search=f"science-{run}",  # the brackets of hyperband depend on it
        metrics=(MetricSpec("val/accuracy", "maximize"),),
        sampler=sampler,
        pruner=pruner,
        seed=run,
    )
    study, table, horizon = Study(space, spec, Silent()), Table(places, curves), HORIZONS[workers]
    if method in RULES:
        through = best_of(study, table, workers, horizon, *RULES[method])
    else:
        through = simulate(study, table, workers, horizon)
    reached: list[int | None] = [None] * len(goals)
    for now, value in through:
        for index, goal in enumerate(goals):
            if reached[index] is None and value >= goal:
                reached[index] = now
        if None not in reached:
            break
    return reached


def summary(found: list[int | None], random: float) -> str:
    """Median, quartiles, how many reached it, and how many times faster than random."""
    never = float("inf")
    middle, low, high = quantiles(found)
    shown = ["-" if value == never else f"{value:.0f}" for value in (middle, low, high)]
    count = sum(value is not None for value in found)
    ratio = f"x{random / middle:.1f}" if never not in (random, middle) else ""
    return f"{shown[0]:>5} [{shown[1]:>4}, {shown[2]:>4}] {count:3} of {len(found):<3} {ratio:>5}"


def quantiles(found: list[int | None]) -> tuple[float, float, float]:
    """Median and quartiles, runs that did not reach it being later than all others."""
    numbers = [float("inf") if value is None else float(value) for value in found]
    low, middle, high = np.quantile(numbers, (0.25, 0.5, 0.75), method="higher")
    return float(middle), float(low), float(high)


def main() -> None:
    """Runs all methods with each number of workers and prints a table of each."""
    every = [*METHODS, *RULES]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--workers", type=int, nargs="+", choices=list(HORIZONS), default=[8, 1])
    parser.add_argument("--methods", nargs="+", choices=every, default=every)
    arguments = parser.parse_args()
    goals = _loaded()[2]
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for workers in arguments.workers:
            begin = time.perf_counter()
            print(f"{workers} workers, {arguments.runs} runs, epochs of each worker until a trial")
            titles = [f"top {100 * s:g} % ({g:.4f})" for s, g in zip(SHARES, goals, strict=True)]
            print(f"{'':26}" + "".join(f"{title:34}" for title in titles))
            random = [float("inf")] * len(goals)
            for method in arguments.methods:
                tasks = [(method, workers, run) for run in range(arguments.runs)]
                by_run = pool.map(times, tasks, chunksize=1)
                by_goal = [list(column) for column in zip(*by_run, strict=True)]
                if method == "random":
                    random = [quantiles(found)[0] for found in by_goal]
                columns = [summary(f, r) for f, r in zip(by_goal, random, strict=True)]
                print(f"{method:26}" + "".join(f"{c:34}" for c in columns), flush=True)
            print(f"in {time.perf_counter() - begin:.0f} s, at most {HORIZONS[workers]} epochs\n")


if __name__ == "__main__":
    main()
