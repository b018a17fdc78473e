"""What lives while a search is driven: Ray and its Tune, the threads, the conductor."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from raysearch.decide.failures import KINDS
from raysearch.decide.study import Study
from raysearch.drive.attempt import Limits
from raysearch.drive.clock import Clock
from raysearch.drive.conduct import Conductor, Halted
from raysearch.drive.course import Course
from raysearch.drive.kept import best_of
from raysearch.drive.quota import finish_removals, keep_quota
from raysearch.drive.slots import Asking, Slots
from raysearch.drive.winners import roles_to_test
from raysearch.errors import RaysearchError
from raysearch.record.events import EventLog, Lock, Store
from raysearch.record.results import SearchView
from raysearch.run.checkpoints import Keeper
from raysearch.settings import Settings

_SCRATCH = ".raysearch-tune-"
OUT_OF_TIME = "its time was up"
"""The reason of a search that ended before its number of trials: a resume has something to do."""

_AFTER_SIGTERM = 20.0
"""Seconds for trials to save; the driver itself then ends within some more."""


@dataclass(frozen=True)
class Outcome:
    """How a driver ended: the state of the search, why, and what is known of it.

    `untracked` says why MLflow could not be written to the end; empty if it was.
    """

    name: str
    state: str
    reason: str
    view: SearchView
    untracked: str = ""


@dataclass(frozen=True)
class Clocks:
    """When the command began (monotonic), its time box, and how long the search was driven before;
    all in seconds.
    """

    begun: float
    time_box: float | None = None
    spent: float = 0.0


class Driver:
    """What lives while a search is driven: Ray, the threads, the conductor."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        lock: Lock,
        log: EventLog,
        view: SearchView,
        study: Study,
        clocks: Clocks,
    ) -> None:
        self._settings, self._store, self._lock = settings, store, lock
        self._log, self._view, self._study = log, view, study
        self._spec = spec = view.spec
        self._folder = settings.folder(spec["search"])
        self._ended = threading.Event()
        limits = Limits(
            spec["concurrent"],
            spec["threads"],
            spec["memory"],
            spec["patience"],
            spec["time"],
            spec.get("trial_time"),
            clocks.time_box,
            spec.get("disk"),
            spec.get("workers", 1),
            spec["cpus"],
            spec["gpus"],
        )
        self._slots = Slots(limits.concurrent)
        self._conductor = Conductor(
            study=study,
            log=log,
            spec=spec,
            folder=self._folder,
            limits=limits,
            tests=self._tests,
            clock=Clock(limits, clocks.spent, clocks.begun),
            slots=self._slots,
            housekeeping=self._keep_house,
            paths=[str(Path.cwd())],
        )

    def run(self, courses: list[Course]) -> Outcome:
        """Drives the search until it ends, is stopped, or is interrupted."""
        conductor = self._conductor
        with ExitStack() as stack:
            stack.enter_context(_signals(conductor))
            stack.callback(self._log.flush)
            tracker = self._tracker()
            stack.callback(tracker.close, 60.0)
            self._log.listeners.append(lambda event: tracker.wake())
            finish_removals(self._view, self._folder)
            stack.callback(finish_removals, self._view, self._folder)  # when no trial lives
            conductor.resume(courses)
            stack.enter_context(self._thread(self._prepare))
            stack.enter_context(self._thread(self._listen))
            stack.enter_context(_ray(self._settings, self._folder))
            stack.enter_context(_signals(conductor))  # again: Ray has put its own for SIGTERM
            if self._settings.address is not None:
                asking = Asking(self._slots, self._spec, self._folder, conductor.claim, time.time())
                stack.enter_context(self._thread(partial(asking.run, self._ended)))
            _tune(conductor, self._spec, None if self._settings.address is None else self._folder)
            reason = OUT_OF_TIME if conductor.out_of_time() else ""
            halt = conductor.halt or Halted("finished", reason)
            best = self._view.best()
            self._log.append(
                halt.state,
                commit=True,
                reason=halt.reason,
                best=best.number if best is not None else None,
            )
        untracked = tracker.problem or ""
        return Outcome(self._spec["search"], halt.state, halt.reason, self._view, untracked)

    def _tracker(self) -> Any:
        from raysearch.record.tracking import Tracker

        tracker = Tracker(
            self._store, self._spec["search"], self._settings.tracking_uri, self._folder
        )
        tracker.start()
        return tracker

    @contextmanager
    def _thread(self, target: Callable[[], None]) -> Generator[None]:
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._conductor.wake.set()
            thread.join(30)

    def _prepare(self) -> None:
        """Computes suggestions ahead of need, off the path of decisions."""
        while not self._ended.is_set():
            self._conductor.wake.clear()
            self._study.prepare(self._spec["concurrent"] + 1)
            self._conductor.wake.wait()

    def _listen(self) -> None:
        """Sees what others ask of this search."""
        search = self._spec["search"]
        with suppress(RaysearchError):  # the store is gone: the driver says so where it writes
            seen = max((number for number, _, _ in self._store.requests(search)), default=0)
            while not self._ended.wait(0.3):
                for number, _, body in self._store.requests(search, seen):
                    seen = number
                    self._conductor.requests.append((number, body))

    def _keep_house(self) -> Halted | None:
        """Keeps the disk quota; sees whether this driver still has the right to be one."""
        limit = self._spec.get("disk")
        try:
            self._lock.check()
            if limit is not None:
                keep_quota(self._view, self._folder, self._log, limit)
        except RaysearchError as error:
            return Halted("stopped", str(error))
        if self._slots.problem and not self._conductor.claim()[1]:
            return Halted("stopped", self._slots.problem)
        return None

    def _tests(self) -> list[tuple[Course, str]]:
        """The winners and the default configuration, where they have not been tested yet."""
        if "evaluates" in self._spec:
            return []
        roles = roles_to_test(self._view)
        return [
            (self._tested_course(number), role)
            for number, role in roles.items()
            if not self._view.trials[number].tested
        ]

    def _tested_course(self, number: int) -> Course:
        trial = self._view.trials[number]
        keeper = Keeper("maximize", [best_of(trial)])
        return Course(number, dict(trial.config), trial.seed, trial.origin, keeper)


@contextmanager
def _signals(conductor: Conductor) -> Generator[None]:
    """Ctrl-C ends the search in order, a second one at once; SIGTERM lets trials save first."""

    def interrupt(number: int, frame: Any) -> None:
        if number == signal.SIGTERM:
            # A scheduler wants its machine back, and often kills after half a minute.
            box = "its time box" if conductor.limits.time_box is not None else "this driver"
            conductor.pause(f"SIGTERM ended {box}", within=_AFTER_SIGTERM)
        else:
            conductor.halt = conductor.halt or Halted("interrupted", signal.Signals(number).name)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    saved = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


@contextmanager
def _ray(settings: Settings, folder: Path) -> Generator[None]:
    """A Ray of our own, or the cluster at the address; at the end nothing of ours is left."""
    from raysearch.drive.cluster import connect

    connect(settings.address)
    import ray

    from raysearch.run.child import kill_orphans
    from raysearch.run.job import label_of

    try:
        yield
    finally:
        ray.shutdown()
        kill_orphans(label_of(folder), living=True)


def host_resources(spec: Mapping[str, Any]) -> dict[str, float]:
    """What Ray reserves for the host of a trial.

    The workers of a group have their own; its host then holds a byte of memory, since Ray wants it
    to hold something, and no CPU, so that two workers fit where there are two CPUs.
    """
    if spec.get("workers", 1) > 1:
        return {"cpu": 0, "memory": 1}
    return {"cpu": max(spec["cpus"], 0.01), **({"gpu": spec["gpus"]} if spec["gpus"] else {})}


def _tune(conductor: Conductor, spec: dict[str, Any], shared: Path | None) -> None:
    """Ray Tune's loop around the conductor; on a cluster all nodes see the `shared` folder."""
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(spec["concurrent"])
    from ray import tune

    from raysearch.decide.bridge import Decisions, Halt, Suggestions
    from raysearch.run.host import Host
    from raysearch.run.process import outcome_of

    for old in shared.glob(f"{_SCRATCH}*") if shared is not None else ():
        shutil.rmtree(old, ignore_errors=True)  # of a driver that was killed
    scratch = tempfile.mkdtemp(prefix=_SCRATCH, dir=shared)
    decisions = Decisions(conductor)
    try:
        tune.Tuner(
            tune.with_resources(Host, host_resources(spec)),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                reuse_actors=True,
                search_alg=Suggestions(conductor, decisions.rest),
                trial_dirname_creator=lambda trial: str(trial.trial_id),
                trial_name_creator=lambda trial: str(trial.trial_id),
                scheduler=decisions,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=scratch,
                verbose=0,
                stop=Halt(conductor),
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
    except Exception as error:
        # Once all is decided, or on a full disk, Tune's own files are no reason to fail.
        full = outcome_of(error) == "full"
        if not full and not conductor.over:
            raise
        if full:
            conductor.halt = conductor.halt or Halted("stopped", f"{KINDS['full'].what}: {error}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
