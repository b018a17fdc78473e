"""What early stopping saves and what it costs, on the sweep of `make search`.

    python -m benchmarks.pruning [--space ssl.digits_vit] [--seeds 3] [--trials N]

Each seed is searched with the sweep's pruner and without one; printed are, for each and as medians,
the share of trials pruned, the optimiser steps taken, the winner on validation, the default
configuration on validation, and the winner on the test split.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from statistics import median

from raysearch.driver.plan import Request
from raysearch.driver.search import start
from raysearch.results.view import SearchView
from raysearch.settings import Settings


@dataclass(frozen=True)
class Figures:
    """What one search is judged by; scores in percent."""

    pruned: float
    steps: int
    winner: float
    default: float
    test: float
    seconds: float

    @classmethod
    def of(cls, view: SearchView) -> Figures:
        """Read from a finished search."""
        best, default = view.best(), view.trials[0]
        assert best is not None and best.values and default.values and best.tested
        steps = sum(trial.reports[-1][0] for trial in view.trials.values() if trial.reports)
        return cls(
            pruned=100 * view.counts().get("pruned", 0) / len(view.trials),
            steps=steps,
            winner=100 * best.values[0],
            default=100 * default.values[0],
            test=100 * best.tested["metrics"]["test/accuracy"],
            seconds=view.seconds(),
        )


def run(space: str, seed: int, pruner: str | None, trials: int | None) -> Figures:
    """One search in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        request = Request(space, seed=seed, pruner=pruner, trials=trials)
        return Figures.of(start(request, Settings.locate(folder)).view)


def row(name: str, found: Figures) -> str:
    """A line of the table."""
    return (
        f"{name:22} {found.pruned:6.1f} {found.steps:8d} {found.winner:8.2f} {found.default:8.2f} "
        f"{found.test:8.2f} {found.seconds:7.0f}"
    )


def main() -> None:
    """Runs both kinds for each seed and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--space", default="ssl.digits_vit")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int)
    arguments = parser.parse_args()
    print(f"{'':22} pruned%    steps winner% default%    test% seconds")
    for kind, pruner in (("with pruner", None), ("without pruner", "none")):
        found: list[Figures] = []
        for seed in range(arguments.seeds):
            found.append(run(arguments.space, seed, pruner, arguments.trials))
            print(row(f"{kind}, seed {seed}", found[-1]), flush=True)
        columns = zip(*(vars(figures).values() for figures in found), strict=True)
        medians = [median(column) for column in columns]
        middle = Figures(medians[0], int(medians[1]), *medians[2:])
        print(row(f"{kind}, median", middle), flush=True)


if __name__ == "__main__":
    main()
