"""What it costs, and saves, that TPE looks at 500 finished trials at most.

    python -m benchmarks.bounded [--seeds 10] [--trials 1000] [--problems NAME …]

Quality: four problems in closed form (logarithmic rates, branches, choices with ripples, a curved
valley), each searched by both for each seed. The first 500 trials are common, since bounded and
unbounded are then the same; so the differences are paired. Printed are log10 of the regret of the
best trial, and the median regret of the second half of the trials after the 500th; each as bounded,
unbounded, and their mean difference with a 95 % interval (below 0: bounded is better).

Cost: CPU milliseconds a suggestion at 300, 1,000 and 3,000 finished trials, in a space of 4 floats,
2 integers and 2 choices.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar

from raysearch.events.log import Event
from raysearch.events.schema import Fact
from raysearch.study.samplers.from_optuna import Tpe
from raysearch.study.study import Study
from raysearch.sweeps.search_spec import UNKNOWN, MetricSpec, SearchSpec
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric, Sweep, Trial, sweep
from trainables.core.training import ExperimentConfig

COMMON = Tpe.bound.total if Tpe.bound else 0


class Numbers(ExperimentConfig):
    """Settings of no experiment; `loss` of a problem reads them."""

    experiment: ClassVar[str] = "benchmarks.bounded:none"
    name: ClassVar[str] = "benchmarks.numbers"
    kind: str = "a"
    other: str = "p"
    lr: float = 0.5
    decay: float = 0.5
    x: float = 0.9
    y: float = 0.9
    depth: int = 1
    width: int = 1


def stated(function: Callable[[Trial], Numbers]) -> Sweep:
    """The sweep of a function."""
    return sweep(metrics=[Metric("loss", "minimize")])(function)


def rates(trial: Trial) -> Numbers:
    """Two logarithmic rates, an integer and a float."""
    return Numbers(
        lr=trial.suggest_float("lr", 1e-5, 1.0, log=True),
        decay=trial.suggest_float("decay", 1e-6, 1e-1, log=True),
        depth=trial.suggest_int("depth", 1, 12),
        x=trial.suggest_float("x", 0.0, 0.8),
    )


def rates_loss(c: dict[str, Any]) -> float:
    lr, decay = math.log10(c["lr"]) + 2.3, math.log10(c["decay"]) + 4
    return (
        lr**2
        + 0.3 * decay**2
        + 0.2 * lr * decay
        + 0.05 * (c["depth"] - 5) ** 2
        + (c["x"] - 0.2) ** 2
    )


def branches(trial: Trial) -> Numbers:
    """Three branches, each with a rate of its own, one with a second parameter."""
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    depth = trial.suggest_int("depth", 1, 8)
    lr = trial.suggest_float(f"lr[{kind}]", 1e-4, 1.0, log=True)
    if kind != "b":
        return Numbers(kind=kind, depth=depth, lr=lr)
    return Numbers(kind=kind, depth=depth, lr=lr, x=trial.suggest_float("x", 0.0, 1.0))


def branches_loss(c: dict[str, Any]) -> float:
    best, height = {"a": (-1.0, 0.1), "b": (-2.5, 0.0), "c": (-3.0, 0.5)}[c["kind"]]
    slope = 1.0 + 3.0 * (c["x"] - 0.35) ** 2 if c["kind"] == "b" else 1.0
    lr = math.log10(c["lr"]) - best
    return height + slope - 1.0 + lr**2 + 0.03 * abs(c["depth"] - 6)


def ripples(trial: Trial) -> Numbers:
    """Two choices that matter together, and a surface with local minima."""
    return Numbers(
        kind=trial.suggest_categorical("kind", ["a", "b", "c", "d"]),
        other=trial.suggest_categorical("other", ["p", "q", "r"]),
        x=trial.suggest_float("x", 0.0, 1.0),
        y=trial.suggest_float("y", 0.0, 1.0),
    )


def ripples_loss(c: dict[str, Any]) -> float:
    penalty = {"ap": 0.0, "bq": 0.05, "cr": 0.1}.get(c["kind"] + c["other"], 0.4)
    total = 0.0
    for value, best in ((c["x"], 0.63), (c["y"], 0.27)):
        total += 4 * (value - best) ** 2 + 0.2 * (1 - math.cos(14 * math.pi * (value - best)))
    return penalty + total


def valley(trial: Trial) -> Numbers:
    """A curved valley in four dimensions."""
    return Numbers(
        lr=trial.suggest_float("lr", -2.0, 2.0),
        decay=trial.suggest_float("decay", -2.0, 2.0),
        x=trial.suggest_float("x", -2.0, 2.0),
        y=trial.suggest_float("y", -2.0, 2.0),
    )


def valley_loss(c: dict[str, Any]) -> float:
    v = [c["lr"], c["decay"], c["x"], c["y"]]
    pairs = zip(v, v[1:], strict=False)
    return sum(10 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in pairs)


def eight(trial: Trial) -> Numbers:
    """The space in which costs are measured."""
    return Numbers(
        lr=trial.suggest_float("lr", 1e-5, 1.0, log=True),
        decay=trial.suggest_float("decay", 1e-6, 1e-1, log=True),
        x=trial.suggest_float("x", 0.0, 1.0),
        y=trial.suggest_float("y", 0.0, 1.0),
        depth=trial.suggest_int("depth", 1, 12),
        width=trial.suggest_int("width", 1, 64),
        kind=trial.suggest_categorical("kind", ["a", "b", "c"]),
        other=trial.suggest_categorical("other", ["p", "q"]),
    )


PROBLEMS: dict[str, tuple[Sweep, Callable[[dict[str, Any]], float]]] = {
    "rates": (stated(rates), rates_loss),
    "branches": (stated(branches), branches_loss),
    "ripples": (stated(ripples), ripples_loss),
    "valley": (stated(valley), valley_loss),
}


class Listed:
    """A log in a list."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, fact: Fact, trial: int | None = None, *, commit: bool = False) -> None:
        """Keeps an event."""
        self.events.append(Event(len(self.events), "bounded", trial, 0, fact))

    def flush(self) -> None:
        """Nothing waits."""


def spec(sampler: str, seed: int) -> SearchSpec:
    """What a study reads."""
    metrics = (MetricSpec("loss", "minimize"),)
    stated = {"search": "bounded", "sampler": sampler, "pruner": "none"}
    return replace(UNKNOWN, metrics=metrics, seed=seed, **stated)


def go_on(study: Study, loss: Callable[[dict[str, Any]], float], trials: int) -> list[float]:
    """Runs so many further trials; their losses."""
    found: list[float] = []
    while len(found) < trials:
        proposal = study.ask()
        assert proposal is not None
        found.append(loss(proposal.config))
        study.tell(proposal.number, "complete", found[-1:])
    return found


def rebuilt(declared: Sweep, sampler: str, seed: int, events: Iterable[Event], bound: Any) -> Study:
    """A study with these events, with another bound."""
    study = Study.rebuild(Space(declared), spec(sampler, seed), Listed(), events)
    study._sampler.bound = bound
    return study


def compare(name: str, seed: int, trials: int) -> list[tuple[float, float]]:
    """Of bounded and unbounded: log10 regret of the best, and of the median of the latest."""
    declared, loss = PROBLEMS[name]
    log = Listed()
    common = go_on(Study(Space(declared), spec("tpe", seed), log), loss, COMMON)
    results: list[tuple[float, float]] = []
    for bound in (Tpe.bound, None):
        study = rebuilt(declared, "tpe", seed, log.events, bound)
        later = go_on(study, loss, trials - COMMON)
        latest = later[len(later) // 2 :]
        pair = (min(common + later), statistics.median(latest))
        results.append((math.log10(pair[0] + 1e-9), math.log10(pair[1] + 1e-9)))
    return results


def interval(values: list[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval by Student's t."""
    from scipy.stats import t

    quantile = float(t.ppf(0.975, len(values) - 1))
    return statistics.mean(values), quantile * statistics.stdev(values) / math.sqrt(len(values))


def quality(problems: Iterable[str], seeds: int, trials: int) -> None:
    """Prints the table of quality."""
    print(f"log10 regret after {trials} trials, {seeds} seeds: bounded, unbounded, difference")
    for name in problems:
        pairs = [compare(name, seed, trials) for seed in range(seeds)]
        for index, what in enumerate(("best", "median of the latest")):
            bounded = [pair[0][index] for pair in pairs]
            whole = [pair[1][index] for pair in pairs]
            mean, half = interval([a - b for a, b in zip(bounded, whole, strict=True)])
            print(
                f"{name:10} {what:22} {statistics.mean(bounded):7.2f} {statistics.mean(whole):7.2f}"
                f" {mean:+7.2f} ± {half:.2f}",
                flush=True,
            )


def cost(counts: Iterable[int], suggestions: int) -> None:
    """Prints the table of costs."""
    declared = stated(eight)
    print(f"CPU ms a suggestion, median of {suggestions}: finished trials, bounded, unbounded")
    for count in counts:
        log, rng = Listed(), random.Random(0)
        study = Study(Space(declared), spec("random", 0), log)
        go_on(study, lambda config, rng=rng: rates_loss(config) + rng.random(), count)
        row: list[float] = []
        for bound in (Tpe.bound, None):
            study = rebuilt(declared, "tpe", 0, log.events, bound)
            study.prepare(1)
            taken: list[float] = []
            for _ in range(suggestions):
                study.drop_prepared()
                begin = time.process_time()
                study.prepare(1)
                taken.append(1000 * (time.process_time() - begin))
            row.append(statistics.median(taken))
        print(f"{count:6d} {row[0]:8.1f} {row[1]:8.1f}", flush=True)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--suggestions", type=int, default=30, help="0: no table of costs")
    parser.add_argument("--problems", nargs="*", choices=list(PROBLEMS), default=list(PROBLEMS))
    arguments = parser.parse_args()
    if arguments.suggestions:
        cost((300, 1000, 3000), arguments.suggestions)
    quality(arguments.problems, arguments.seeds, arguments.trials)


if __name__ == "__main__":
    main()
