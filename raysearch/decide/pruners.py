"""Names → pruners: none, median, hyperband. They are Optuna's, without hidden state."""

from __future__ import annotations

from typing import Any

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from raysearch.decide.arguments import Whole, read
from raysearch.declare.sweep import Sweep

PRUNERS = {
    "none": {},
    "median": {"warmup": Whole(0, 0), "startup": Whole(0, 5), "interval": Whole(1, 1)},
    "hyperband": {"max": Whole(1, None, ("auto",)), "min": Whole(1, 1), "factor": Whole(2, 3)},
}
"""Names and arguments, the numbers in units of the sweep's fidelity (but `startup`: trials).

median: stops a trial whose best value so far is worse than the median of the completed trials at
the same fidelity; from fidelity `warmup`, once `startup` trials are complete, every `interval`.
hyperband: asynchronous successive halving in several brackets, by 1/`factor` at each rung from
`min`; `max` is the full length of a trial, or `auto`: that of the first completed one.
"""


def check_pruner(pruner: str, sweep: Sweep) -> None:
    """Refuses pruners that do not exist or cannot serve a sweep.

    Raises:
        ValueError: one sentence that names what is allowed.
    """
    name, arguments = _read(pruner)
    if name != "none" and len(sweep.metrics) > 1:
        raise ValueError(
            f"pruner must be none where a sweep has several metrics, got {name!r} for "
            f"{', '.join(metric.name for metric in sweep.metrics)}: no trial is worse in all"
        )
    if name == "hyperband" and arguments["max"] != "auto" and arguments["max"] < arguments["min"]:
        raise ValueError(
            f"max of pruner 'hyperband' must be at least min ({arguments['min']}), got "
            f"{arguments['max']}"
        )


def make_pruner(pruner: str) -> Pruner:
    """A fresh pruner by its name and arguments, as in `median:warmup=2,startup=5`."""
    name, arguments = _read(pruner)
    if name == "median":
        rule = MedianPruner(arguments["startup"], arguments["warmup"], arguments["interval"])
        return Pruner(rule)
    if name == "hyperband":
        return Hyperband(arguments["max"], arguments["min"], arguments["factor"])
    return Pruner(NopPruner())


def _read(pruner: str) -> tuple[str, dict[str, Any]]:
    return read("pruner", pruner, PRUNERS)


class Pruner:
    """One of Optuna's pruners, which hears of each trial that completes."""

    def __init__(self, rule: BasePruner) -> None:
        self._rule = rule

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether a trial should end at its last report."""
        return self._rule.prune(study, trial)

    def completed(self, trial: FrozenTrial) -> None:
        """A trial was told complete."""


class Hyperband(Pruner):
    """Hyperband; with `max` auto it prunes nothing until a trial completes, whose length it takes.

    Optuna's own auto reads the length off whatever has completed when it is first asked after
    some completed trial, which a study rebuilt at another moment would do differently.
    """

    def __init__(self, most: int | str, least: int, factor: int) -> None:
        self._least, self._factor = least, factor
        super().__init__(NopPruner())
        self._known = most != "auto"
        if isinstance(most, int):
            self._rule = HyperbandPruner(least, most, factor)

    def completed(self, trial: FrozenTrial) -> None:
        """Takes the length of the first trial that completes with a report."""
        if self._known or trial.last_step is None:
            return
        self._known = True
        self._rule = HyperbandPruner(self._least, max(trial.last_step, self._least), self._factor)
