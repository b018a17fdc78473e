"""The winners of a search, which are evaluated on the test split."""

from __future__ import annotations

from raysearch.results.test_scores import default_runs, winners
from raysearch.results.view import SearchView


def roles_to_test(view: SearchView) -> dict[int, str]:
    """The trials to be evaluated on the test split, with their roles: winners and the default.

    Each run that counts of a winner, and of the default configuration, so that the test score has a
    mean and an interval too; with several objectives each of the Pareto front is a winner, at most
    `tested.MOST_WINNERS`. A run without a checkpoint cannot be evaluated.
    """
    won = [run for runs in winners(view).values() for run in runs]
    default = {run.number: run for run in default_runs(view)}
    roles = {run.number: "winner" for run in won if run.best_checkpoint}
    for number, run in default.items():
        if run.best_checkpoint:
            roles[number] = "winner and default" if number in roles else "default"
    return roles
