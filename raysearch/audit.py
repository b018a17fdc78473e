"""One function that compares all that is known of a search: events, study, MLflow, folders."""

from __future__ import annotations

from typing import Any, cast

from raysearch.errors import WrongState
from raysearch.events.log import Store
from raysearch.events.schema import Fact
from raysearch.provenance.search_path import paths_of, searched
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.study.study import Study
from raysearch.sweeps.catalog import find_sweep
from raysearch.sweeps.space import Space
from raysearch.tracking.findings import Finding, audit


def audit_search(store: Store, name: str, settings: Settings) -> list[Finding]:
    """What disagrees, trial by trial; empty when all is well.

    The Optuna study is rebuilt from the events, as a resume would; a rebuilt study writes nothing.
    Of events that cannot be read the first is named, and nothing else is compared.
    """
    try:
        view = SearchView.read(store, name)
    except WrongState as error:
        return [Finding(None, "events", str(error))]
    settings = settings.tracking_of(view.spec)
    with searched(paths_of(view.spec.code, settings.folder(name))):
        space = Space(find_sweep(view.spec.sweep, settings.sweeps), view.spec.fixed)
    study = Study.rebuild(space, view.spec, _Unwritten(), store.events(name))
    trials = cast("list[Any]", study.trials)
    return audit(store, name, settings.folder(name), settings.tracking_uri, trials)


class _Unwritten:
    """A log that writes nothing: whoever compares may not complete what a driver began."""

    def append(self, fact: Fact, trial: int | None = None, *, commit: bool = False) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""
