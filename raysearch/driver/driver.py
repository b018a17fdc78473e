"""The driver of a search while it runs: Ray and its Tune, the threads, the conductor."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from raysearch.driver.attempts import Limits
from raysearch.driver.clocks import Clock
from raysearch.driver.conductor import Conductor, Halted
from raysearch.driver.last_report import leave_report
from raysearch.driver.live_trial import LiveTrial
from raysearch.driver.own_ray import OwnRay, RayLost
from raysearch.driver.quota import finish_removals, keep_quota
from raysearch.driver.reported_checkpoints import best_of
from raysearch.driver.slots import BrokerClient, Slots
from raysearch.driver.tune_loop import tune
from raysearch.errors import RaysearchError
from raysearch.events.log import EventLog, Lock, Store
from raysearch.events.schema import DriverEnded, Finished, Interrupted, Noticed, Paused, Stopped
from raysearch.notifications import Notifier
from raysearch.provenance.resumed_code import changed_meanwhile
from raysearch.results.view import SearchView
from raysearch.results.winners import roles_to_test
from raysearch.settings import Settings
from raysearch.study.failures import Failures
from raysearch.study.study import Study
from raysearch.terminal import say
from raysearch.tracking.registry import tracked
from raysearch.tracking.tracker import Place, aside_sentences
from raysearch.trial.checkpoints import Retention
from raysearch.trial.child import kill_orphans
from raysearch.trial.job import label_of

OUT_OF_TIME = "its time was up"
"""The reason of a search that ended before its number of trials: a resume has something to do."""

_AFTER_SIGTERM = 20.0
"""Seconds for trials to save; the driver itself then ends within some more."""
_WATCH_EVERY = 1.0
_COMES_OUT, _LEAVES = 20.0, 100.0
"""Seconds in which the loop of Tune comes back after our Ray has ended, if it does; and in which
Ray's library then lets go of it."""
INTERRUPTED = 130
"""The exit status of an interrupted search."""

_ENDS: Mapping[str, type[DriverEnded]] = {
    each.kind: each for each in (Finished, Interrupted, Stopped, Paused)
}


@dataclass(frozen=True)
class Outcome:
    """How a driver ended: the state of the search, why, and what is known of it.

    `untracked` says by tracker why it could not be written to the end, `aside` what one would not
    take; empty if all were, and took everything. `lost` if a Ray of our own has ended under it: the
    search can go on with another one. `report` is the page that was written at the end, if any, and
    `unreported` why it could not be.
    """

    name: str
    state: str
    reason: str
    view: SearchView
    untracked: Mapping[str, str] = field(default_factory=dict[str, str])
    aside: str = ""
    lost: bool = False
    report: str = ""
    unreported: str = ""


@dataclass(frozen=True)
class Clocks:
    """When the command began (monotonic), its time box, and how long the search was driven before;
    all in seconds.
    """

    begun: float
    time_box: float | None = None
    spent: float = 0.0


class Driver:
    """What lives while a search is driven: the threads and the conductor, on a Ray that is there.

    `own` is that Ray if it is our own, to be watched. `at_once` is how many trials may run at once
    if that is not what the search began with.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        lock: Lock,
        log: EventLog,
        view: SearchView,
        study: Study,
        clocks: Clocks,
        paths: list[str] | None = None,
        own: OwnRay | None = None,
        at_once: int | None = None,
    ) -> None:
        self._own, self._paths = own, paths or [str(Path.cwd())]
        self._settings, self._store, self._lock = settings, store, lock
        self._log, self._view, self._study = log, view, study
        self._spec = spec = view.spec
        self._folder = settings.folder(spec.search)
        self._shared = None if settings.address is None else self._folder
        self._report = "", ""
        where = settings.notify
        self._notifier = None if where is None else Notifier(where, view, self._folder)
        self._ended, self._out, self._left = (threading.Event() for _ in range(3))
        limits = Limits(
            at_once or spec.concurrent,
            spec.threads,
            spec.memory,
            spec.patience,
            spec.time,
            spec.trial_time,
            clocks.time_box,
            spec.disk,
            spec.workers,
            spec.cpus,
            spec.gpus,
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
            failures=self._failures(),
            housekeeping=self._keep_house,
            watch=(lambda: "") if own is None else own.loss,
            paths=self._paths,
        )

    def _failures(self) -> Failures:
        """How trials ended since the search was stopped last, for failures or otherwise."""
        stops = self._store.events(self._spec.search, kinds=[Stopped])
        since = max((event.seq for event in stops), default=0)
        ended = [trial for trial in self._view.trials.values() if (trial.told or 0) > since]
        ended = [trial for trial in ended if trial.duplicate_of is None and trial.origin != "known"]
        ended.sort(key=lambda trial: trial.told or 0)
        return Failures(
            self._spec.max_failures,
            (
                str(trial.failures[-1].get("digest")) if trial.state == "failed" else None
                for trial in ended
            ),
        )

    def run(self, unfinished_trials: list[LiveTrial]) -> Outcome:
        """Drives the search until it ends, is stopped, is interrupted, or loses its own Ray."""
        conductor = self._conductor
        with ExitStack() as stack:
            stack.enter_context(_signals(conductor))
            stack.callback(self._log.flush)
            trackers = self._trackers()
            stack.callback(trackers.close, 60.0)
            self._log.listeners.append(lambda event: trackers.wake())
            stack.callback(self._leave_report)  # when Ray is gone, and trackers still written
            if self._notifier is not None:
                self._notifier.start()
                stack.callback(self._notifier.close)
                stack.push(self._notifier.raised)
                self._log.listeners.append(self._notifier.hear)
            finish_removals(self._view, self._folder)
            stack.callback(finish_removals, self._view, self._folder)  # when no trial lives
            conductor.resume(unfinished_trials)
            stack.enter_context(self._thread(self._prepare))
            stack.enter_context(self._thread(self._listen))
            stack.callback(_leave_ray, self._folder)
            if self._own is not None:
                stack.enter_context(self._thread(self._watch_ray))
            if self._settings.address is not None:
                asking = BrokerClient(
                    self._slots, self._spec, self._folder, conductor.claim, time.time()
                )
                stack.enter_context(self._thread(partial(asking.run, self._ended)))
            lost = self._tune()
            halt = self._end(lost)
        name, aside = self._spec.search, aside_sentences(trackers.aside)
        problems, report = trackers.problems, self._report
        return Outcome(
            name, halt.state, halt.reason, self._view, problems, aside, bool(lost), *report
        )

    def _leave_report(self) -> None:
        self._report = leave_report(self._view, self._folder, self._log)

    def _tune(self) -> str:
        """Runs the loop of Tune to its end; returns how our Ray was lost, or nothing."""
        try:
            tune(self._conductor, self._spec, self._own, self._shared)
        except RayLost as error:
            self._out.set()
            # While its frames are there: what Tune lets go of would ask a Ray that never answers.
            _leave_ray(self._folder)
            if self._conductor.pausing:
                self._conductor.halt = Halted("paused", self._conductor.why_pause)
            return "" if self._conductor.over else str(error)
        finally:
            self._out.set()
            self._left.set()
            gc.collect()
        return ""

    def _end(self, lost: str) -> Halted:
        """Writes how it ends."""
        reason = OUT_OF_TIME if self._conductor.out_of_time() else ""
        halt = self._conductor.halt or Halted("finished", reason)
        if lost:
            halt = Halted("interrupted", lost)
        with suppress(RaysearchError, OSError):  # then the next resume says what is damaged
            change = changed_meanwhile(self._view.spec, self._settings, self._paths)
            if change:
                self._log.append(Noticed(change))
        best = self._view.best()
        number = best.number if best is not None else None
        self._log.append(_ENDS[halt.state](halt.reason, number), commit=True)
        return halt

    def _trackers(self) -> Any:
        from raysearch.tracking.consumer import Followers

        uri = self._settings.tracking_uri
        place = Place(self._spec.search, self._folder, self._store.url, uri)
        trackers = Followers(self._store, tracked(self._spec), place)
        trackers.start()
        return trackers

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
            self._study.prepare(self._spec.concurrent + 1)
            self._conductor.wake.wait()

    def _watch_ray(self) -> None:
        """Ends this process if our Ray has ended and the loop of Tune waits for its answer."""
        while self._own is not None and not self._ended.wait(_WATCH_EVERY):
            self._own.look()
            lost = self._own.loss()
            if not lost or (self._out.wait(_COMES_OUT) and self._left.wait(_LEAVES)):
                continue
            self._end(lost)
            self._log.flush()
            if self._notifier is not None:
                self._notifier.close()
            name = self._spec.search
            text = (
                f"interrupted: {lost}; everything is saved, and `raysearch resume {name}` goes on"
            )
            say(text, err=True)
            kill_orphans(label_of(self._folder), living=True)
            self._own.remove()
            os._exit(INTERRUPTED)

    def _listen(self) -> None:
        """Sees what others ask of this search."""
        search = self._spec.search
        with suppress(RaysearchError):  # the store is gone: the driver says so where it writes
            seen = max((number for number, _, _ in self._store.requests(search)), default=0)
            while not self._ended.wait(0.3):
                for number, _, body in self._store.requests(search, seen):
                    seen = number
                    self._conductor.requests.append((number, body))

    def _keep_house(self) -> Halted | None:
        """Keeps the disk quota; sees whether this driver still has the right to be one."""
        limit = self._spec.disk
        try:
            self._lock.check()
            if limit is not None:
                keep_quota(self._view, self._folder, self._log, limit)
        except RaysearchError as error:
            return Halted("stopped", str(error))
        if self._slots.problem and not self._conductor.claim()[1]:
            return Halted("stopped", self._slots.problem)
        return None

    def _tests(self) -> list[tuple[LiveTrial, str]]:
        """The winners and the default configuration, where they have not been tested yet."""
        if self._spec.evaluates is not None:
            return []
        roles = roles_to_test(self._view)
        return [
            (self._tested_trial(number), role)
            for number, role in roles.items()
            if not self._view.trials[number].tested
        ]

    def _tested_trial(self, number: int) -> LiveTrial:
        trial = self._view.trials[number]
        retention = Retention("maximize", [best_of(trial)])
        return LiveTrial(number, dict(trial.config), trial.seed, trial.origin, retention)


@contextmanager
def _signals(conductor: Conductor) -> Generator[None]:
    """Ctrl-C ends the search in order, a second one at once; SIGTERM lets trials save first, and so
    does SIGHUP, unless it is ignored.
    """

    def interrupt(number: int, frame: Any) -> None:
        if number != signal.SIGINT:
            # A scheduler wants its machine back, and often kills after half a minute; or the
            # terminal was closed.
            box = "its time box" if conductor.limits.time_box is not None else "this driver"
            conductor.pause(f"{signal.Signals(number).name} ended {box}", within=_AFTER_SIGTERM)
        else:
            conductor.halt = conductor.halt or Halted("interrupted", signal.Signals(number).name)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        numbers.append(signal.SIGHUP)
    saved = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


def _leave_ray(folder: Path) -> None:
    """Leaves Ray, and ends what it has left of the trials on this machine."""
    import ray

    ray.shutdown()
    kill_orphans(label_of(folder), living=True)
