"""A search inside this process, without Ray: what its driver does, for benchmarks of the driver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.bowl import loss
from raysearch.driver.attempts import Limits
from raysearch.driver.conductor import Conductor
from raysearch.driver.plan import Machine, Request, plan
from raysearch.events.log import EventLog, Store
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.study.study import Study
from raysearch.sweeps.space import Space


@dataclass
class Inside:
    """A search over `benchmarks.bowl` and its conductor. Trials are whoever calls `hear`."""

    folder: Path
    space: Space
    store: Store
    log: EventLog
    view: SearchView
    study: Study
    conductor: Conductor

    @classmethod
    def begin(cls, folder: Path, *, trials: int, concurrent: int, pruner: str = "none") -> Inside:
        """A new search with random points."""
        settings = Settings.locate(folder)
        request = Request("benchmarks.bowl_sweep:bowl", trials=trials, pruner=pruner)
        planned = plan(request, settings, Machine(concurrent, 0, 1 << 34))
        spec = replace(planned.spec, search="inside", folder=str(folder / "inside"))
        store = Store(settings.store)
        log = store.create("inside", spec)
        view = SearchView.read(store, "inside")
        return cls._of(folder, planned.space, store, log, view, Study(planned.space, spec, log))

    def copy(self, folder: Path, sampler: str, trials: int) -> Inside:
        """The same search in another folder, where it goes on with another sampler and budget."""
        self.log.flush()
        store = Store(Settings.locate(folder).store)
        store.write(list(self.store.events("inside")))
        events = list(store.events("inside"))
        view = SearchView.of("inside", events)
        view.spec = replace(view.spec, sampler=sampler, trials=trials)
        log = store.log("inside")
        study = Study.rebuild(self.space, view.spec, log, events)
        return self._of(folder, self.space, store, log, view, study)

    @classmethod
    def _of(
        cls,
        folder: Path,
        space: Space,
        store: Store,
        log: EventLog,
        view: SearchView,
        study: Study,
    ) -> Inside:
        log.listeners.append(view.apply)
        conductor = Conductor(
            study=study,
            log=log,
            spec=view.spec,
            folder=folder / "inside",
            limits=Limits(view.spec.concurrent),
            tests=lambda: [],
        )
        return cls(folder, space, store, log, view, study, conductor)

    def start(self) -> dict[str, Any] | None:
        """The next attempt, or None if no suggestion is ready or there is no room."""
        return self.conductor.next_attempt()

    def run(self, reports: int) -> bool:
        """A whole trial, of so many reports at most; False if there is none to start."""
        self.study.prepare(1)
        attempt = self.start()
        if attempt is None:
            return False
        config = self.study.trials[attempt["trial"]].params
        for epoch in range(1, reports + 1):
            if self.hear(attempt, report(config, epoch)) is not None:
                return True
        self.hear(attempt, end())
        return True

    def hear(self, attempt: dict[str, Any], message: dict[str, Any]) -> list[str] | None:
        """News of an attempt; None: it goes on."""
        return self.conductor.hear(attempt["trial"], attempt["attempt"], [message])


def report(params: dict[str, Any], epoch: int) -> dict[str, Any]:
    """The message of a trial after an epoch."""
    metrics = {"loss": loss(params, epoch), "progress/epochs": float(epoch)}
    return {"kind": "report", "step": epoch, "metrics": metrics, "checkpoint": None}


def end() -> dict[str, Any]:
    """The message of a trial that is through."""
    return {"kind": "end", "outcome": "complete", "message": "", "traceback": ""}
