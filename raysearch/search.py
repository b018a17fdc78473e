"""One search from start to end: composes the rooms."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raysearch.attempt import Limits
from raysearch.conduct import Conductor, Halted
from raysearch.course import Course, unfinished
from raysearch.decide.study import Study
from raysearch.declare.catalog import find_sweep
from raysearch.declare.nearest import on_offer
from raysearch.declare.space import Space
from raysearch.plan import Machine, Request, check_name, plan
from raysearch.record.events import EventLog, Lock, Store
from raysearch.record.results import SearchView
from raysearch.run.checkpoints import Keeper, Kept
from raysearch.settings import Settings

OUT_OF_TIME = "its time was up"
"""The reason of a search that ended before its number of trials: a resume has something to do."""

Listener = Callable[[SearchView], None]
"""Called in the driver's loop after each event; must be quick."""

_RAY = {
    "RAY_AIR_NEW_OUTPUT": "0",  # its own table, even with verbose=0
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_DEDUP_LOGS": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # hosts watch their trials; Ray would kill a host
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


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


def start(request: Request, settings: Settings, listener: Listener | None = None) -> Outcome:
    """Runs a new search to its end.

    Raises:
        LookupError, ValueError: bad input, in one sentence; nothing was written, no trial started.
    """
    machine = Machine.here()
    planned = plan(request, settings, machine)
    check_tracking(settings)
    store = Store(settings.store)
    name = request.name or free_name(planned.sweep.name.rpartition(".")[2], store, settings)
    check_name(name)
    folder = settings.folder(name)
    spec = {**planned.spec, "search": name, "folder": str(folder)}
    if store.exists(name):
        raise ValueError(
            f"--name {name!r} is in use; go on with that search by `raysearch resume {name}`, or "
            f"choose another name"
        )
    with Lock(folder):
        log = store.create(name, spec)
        view = _follow(store, log, listener)
        study = Study(planned.space, spec, log)
        driver = _Driver(settings, store, log, view, planned.space, study, spec)
        return driver.run([])


def resume(
    name: str,
    settings: Settings,
    listener: Listener | None = None,
    *,
    accept_changes: bool = False,
) -> Outcome:
    """Goes on with a search that was interrupted, stopped or killed; runs nothing twice.

    Raises:
        LookupError: no such search. ValueError: it is being driven (the holder is named), or its
            space or defaults changed since it began and `accept_changes` is not set.
    """
    store = Store(settings.store)
    require(name, store)
    with Lock(settings.folder(name)):
        view = SearchView.read(store, name)
        spec = dict(view.spec)
        if view.state == "finished" and view.reason != OUT_OF_TIME:
            return Outcome(name, view.state, "there was nothing left to do", view)
        settings = settings.tracking_of(spec)
        space = Space(find_sweep(spec["sweep"], settings.sweeps), spec["fixed"])
        if not accept_changes:
            refuse_changes(name, spec, space)
        log = store.log(name)
        study = Study.rebuild(space, spec, log, list(store.events(name)))
        courses = unfinished(store.events(name), spec)  # with the decisions that it completed
        log.append("resumed", commit=True, command=" ".join(["raysearch", *sys.argv[1:]]))
        view = _follow(store, log, listener)
        driver = _Driver(settings, store, log, view, space, study, spec)
        return driver.run(courses)


def require(name: str, store: Store) -> None:
    """Raises LookupError, with the nearest name, if there is no such search."""
    if not store.exists(name):
        raise LookupError(f"no search is named {name!r}{on_offer(name, store.searches())}")


def refuse_changes(name: str, spec: dict[str, Any], space: Space) -> None:
    """Raises ValueError if the sweep or the defaults are not what the search began with."""
    defaults = type(next(iter(space.preview(1))).config)().digest()
    for what, then, now in (
        ("defaults", spec["defaults"], defaults),  # first: they change the space's print too
        ("space", spec["space"], space.fingerprint()),
    ):
        if then != now:
            raise ValueError(
                f"the {what} of {spec['sweep']} changed since search {name!r} began ({then} then, "
                f"{now} now); undo the change, begin a new search, or go on all the same with "
                f"`raysearch resume {name} --accept-changes`"
            )


def check_tracking(settings: Settings) -> None:
    """Refuses a tracking address that can never be written."""
    from raysearch.record.tracking import check_tracking as check

    check(settings.tracking_uri)


def free_name(stem: str, store: Store, settings: Settings) -> str:
    """The first of `stem-1`, `stem-2` … that is neither a search nor a folder."""
    names = set(store.searches())
    number = 1
    while f"{stem}-{number}" in names or settings.folder(f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"


def _follow(store: Store, log: EventLog, listener: Listener | None) -> SearchView:
    view = SearchView.read(store, log.search)

    def on_event(event: Any) -> None:
        view.apply(event)
        if listener is not None:
            listener(view)

    log.listeners.append(on_event)
    if listener is not None:
        listener(view)
    return view


class _Driver:
    """What lives while a search is driven: Ray, the threads, the conductor."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        log: EventLog,
        view: SearchView,
        space: Space,
        study: Study,
        spec: dict[str, Any],
    ) -> None:
        self._settings, self._store, self._log, self._view = settings, store, log, view
        self._space, self._study, self._spec = space, study, spec
        self._folder = settings.folder(spec["search"])
        self._ended = threading.Event()
        self._conductor = Conductor(
            study=study,
            log=log,
            spec=spec,
            folder=self._folder,
            limits=Limits(
                spec["concurrent"], spec["threads"], spec["memory"], spec["patience"], spec["time"]
            ),
            tests=self._tests,
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
            conductor.resume(courses)
            stack.enter_context(self._thread(self._prepare))
            stack.enter_context(self._thread(self._listen))
            stack.enter_context(_ray(self._settings, self._spec["search"]))
            _tune(conductor, self._spec)
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
            self._study.prepare(self._spec["concurrent"])
            self._conductor.wake.wait()

    def _listen(self) -> None:
        """Sees what others ask of this search."""
        search = self._spec["search"]
        seen = max((number for number, _, _ in self._store.requests(search)), default=0)
        while not self._ended.wait(0.3):
            for number, _, body in self._store.requests(search, seen):
                seen = number
                self._conductor.requests.append((number, body))

    def _tests(self) -> list[tuple[Course, str]]:
        """The winner and the default configuration, where they have not been tested yet."""
        best, default = self._view.best(), self._view.trials.get(0)
        roles: dict[int, str] = {}
        if best is not None and best.best_checkpoint:
            roles[best.number] = "winner"
        if default is not None and default.origin == "default" and default.best_checkpoint:
            roles[0] = "winner and default" if 0 in roles else "default"
        return [
            (self._tested_course(number), role)
            for number, role in roles.items()
            if not self._view.trials[number].tested
        ]

    def _tested_course(self, number: int) -> Course:
        trial = self._view.trials[number]
        kept = Kept(0, str(trial.best_checkpoint), 0.0)
        keeper = Keeper("maximize", [kept])
        return Course(number, dict(trial.config), trial.seed, trial.origin, keeper)


@contextmanager
def _signals(conductor: Conductor) -> Generator[None]:
    """Ctrl-C and SIGTERM end the search in order; a second one ends it at once."""

    def interrupt(number: int, frame: Any) -> None:
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
def _ray(settings: Settings, search: str) -> Generator[None]:
    """A Ray of our own, or the cluster at the address; at the end nothing of ours is left."""
    os.environ.update({name: value for name, value in _RAY.items() if name not in os.environ})
    import logging

    import ray

    from raysearch.run.child import kill_orphans

    local: dict[str, Any] = {"num_cpus": len(os.sched_getaffinity(0)), "include_dashboard": False}
    ray.init(
        address=settings.address,
        log_to_driver=False,
        logging_level=logging.ERROR,
        **({} if settings.address else local),
    )
    try:
        yield
    finally:
        ray.shutdown()
        kill_orphans(search, living=True)


def _tune(conductor: Conductor, spec: dict[str, Any]) -> None:
    """Ray Tune's loop around the conductor."""
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(spec["concurrent"])
    from ray import tune

    from raysearch.decide.bridge import Decisions, Halt, Suggestions
    from raysearch.run.host import Host

    resources = {"cpu": max(spec["cpus"], 0.01), **({"gpu": spec["gpus"]} if spec["gpus"] else {})}
    scratch = tempfile.mkdtemp(prefix="raysearch-tune-")
    try:
        tune.Tuner(
            tune.with_resources(Host, resources),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                reuse_actors=True,
                search_alg=Suggestions(conductor),
                trial_dirname_creator=lambda trial: str(trial.trial_id),
                trial_name_creator=lambda trial: str(trial.trial_id),
                scheduler=Decisions(conductor),
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
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
