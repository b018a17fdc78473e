"""A search without processes: attempts are started, and told what their hosts would say."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from raysearch.driver.attempts import Limits
from raysearch.driver.clocks import Clock
from raysearch.driver.conductor import Conductor
from raysearch.driver.live_trial import unfinished
from raysearch.events.log import Store
from raysearch.results.view import SearchView
from raysearch.study.study import Study
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Sweep
from raysearch.trial.job import Job
from tests.raysearch.specs import make_spec

TWO = Limits(2)


class Stage:
    """The conductor of one search over a study and an event table of its own."""

    def __init__(self, folder: Path, sweep: Sweep, limits: Limits = TWO, **spec: Any) -> None:
        self.folder, self.space = folder, Space(sweep)
        self.store = Store(f"sqlite:///{folder / 'events.db'}")
        metrics = [
            {"name": m.name, "direction": m.direction, "reduce": m.reduce} for m in sweep.metrics
        ]
        stated: dict[str, Any] = {
            "search": "one",
            "experiment": "tests.raysearch.searches.chain:run",
            "metrics": metrics,
            "fidelity": sweep.fidelity,
            "sampler": sweep.sampler,
            "pruner": sweep.pruner,
            "trials": sweep.trials,
            **spec,
        }
        self.spec = make_spec(**stated)
        self.log = self.store.create("one", self.spec)
        self.limits = limits
        self.conductor = self.conduct(Study(self.space, self.spec, self.log))

    def conduct(self, study: Study, clock: Clock | None = None) -> Conductor:
        return Conductor(
            study,
            self.log,
            self.spec,
            self.folder,
            self.limits,
            tests=lambda: [],
            clock=clock or Clock(self.limits),
        )

    def resume(self, clock: Clock | None = None) -> None:
        """Another driver, which knows the events alone."""
        self.log.flush()
        events = list(self.store.events("one"))
        self.log = self.store.log("one")
        study = Study.rebuild(self.space, self.spec, self.log, events)
        self.conductor = self.conduct(study, clock)
        self.conductor.resume(unfinished(self.store.events("one"), self.spec))

    def run(self, job: Job, *scores: float) -> str:
        """A whole attempt: reports at step 2, 4 …; the state of its trial then."""
        for index, score in enumerate(scores, start=1):
            self.report(job, 2 * index, score)
        self.end(job, "complete")
        return self.state(job)

    def next(self) -> dict[str, Any] | None:
        self.conductor.study.prepare(self.limits.concurrent)
        return self.conductor.next_attempt()

    def start(self) -> Job:
        attempt = self.next()
        assert attempt is not None
        return Job.read(attempt["job"])

    def say(self, job: Job, **message: Any) -> list[str] | None:
        return self.conductor.hear(job.trial, job.attempt, [message])

    def report(self, job: Job, step: int, score: float, saves: bool = True) -> list[str] | None:
        path = Path(job.folder) / "checkpoints" / f"{step}.pt"
        if saves:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        metrics = {"val/score": score, "progress/epochs": float(step)}
        checkpoint = str(path) if saves else None
        return self.say(job, kind="report", step=step, metrics=metrics, checkpoint=checkpoint)

    def end(self, job: Job, outcome: str, traceback: str = "") -> list[str] | None:
        return self.say(job, kind="end", outcome=outcome, message=outcome, traceback=traceback)

    def cut_behind(self, seq: int) -> None:
        """As a kill before event `seq` + 1 was committed."""
        connection = sqlite3.connect(self.folder / "events.db")
        connection.execute("DELETE FROM events WHERE seq > ?", (seq,))
        connection.commit()
        connection.close()

    def view(self) -> SearchView:
        self.log.flush()
        return SearchView.read(self.store, "one")

    def state(self, job: Job) -> str:
        return self.view().trials[job.trial].state
