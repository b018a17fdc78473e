"""Who won a search, and so is evaluated on the test split."""

from __future__ import annotations

from raysearch.record.results import SearchView


def roles_to_test(view: SearchView) -> dict[int, str]:
    """The trials to be evaluated on the test split, with their roles: winners and the default."""
    best, default = view.best(), view.trials.get(0)
    roles: dict[int, str] = {}
    if best is not None and best.best_checkpoint:
        roles[best.number] = "winner"
    if default is not None and default.origin == "default" and default.best_checkpoint:
        roles[0] = "winner and default" if 0 in roles else "default"
    return roles
