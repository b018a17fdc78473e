"""The conductor of a search: hands out attempts, hears their news, and says when all is over."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.driver.attempts import Limits, attempt_job
from raysearch.driver.clocks import Clock
from raysearch.driver.live_trial import LiveTrial
from raysearch.driver.outcomes import AttemptEnd, Outcomes
from raysearch.driver.own_ray import RayLost
from raysearch.driver.slots import Slots
from raysearch.errors import RaysearchError
from raysearch.events.log import EventLog
from raysearch.events.reading import fact_of
from raysearch.events.schema import Noted, Requested, Started, Tagged
from raysearch.study.failures import Failures
from raysearch.study.study import Study
from raysearch.sweeps.search_spec import SearchSpec, to_plain
from raysearch.trial.checkpoints import Retention, remove
from raysearch.trial.messages import InvalidMessage, checked

BY_REQUEST = "by request"
"""Why a search is stopped that somebody asked to stop; otherwise it stops itself."""
_UNASKED = "SIGTERM told it to stop, which this search had not asked for"


@dataclass
class Halted:
    """Why everything ends now: `state` is the kind of event that says so."""

    state: str
    reason: str


@dataclass
class Conductor:
    """The only one who asks, decides and tells; it runs in Tune's loop, in one thread.

    `waiting` are trials to be started before new ones: after a resume, and those tried again.
    `tests` says, once all trials are told, which are evaluated on the test split, with their roles;
    `housekeeping` is called about once a second; `watch` says how a Ray of our own was lost, which
    raises `RayLost`. `wake` is set when a suggestion was used up or a result arrived: the thread
    that computes suggestions ahead waits for it. `slots` says how many may run at once: on a
    cluster, fewer than the limits allow.
    """

    study: Study
    log: EventLog
    spec: SearchSpec
    folder: Path
    limits: Limits
    tests: Callable[[], list[tuple[LiveTrial, str]]]
    clock: Clock | None = None
    slots: Slots | None = None
    housekeeping: Callable[[], Halted | None] = lambda: None
    watch: Callable[[], str] = lambda: ""
    waiting: deque[LiveTrial] = field(default_factory=deque[LiveTrial])
    paths: list[str] = field(default_factory=list[str])
    wake: threading.Event = field(default_factory=threading.Event)
    failures: Failures | None = None
    halt: Halted | None = None
    why_pause: str = ""
    requests: deque[tuple[int, dict[str, Any]]] = field(
        default_factory=deque[tuple[int, dict[str, Any]]]
    )

    def __post_init__(self) -> None:
        """Reads from the specification what each report needs."""
        failures = self.failures or Failures(self.spec.max_failures)
        self._outcomes = Outcomes(self.study, self.log, self.spec, self.folder, failures)
        self._clock = self.clock or Clock(self.limits)
        self._slots = self.slots or Slots(self.limits.concurrent)
        self._live: dict[int, LiveTrial] = {}
        self._give_up = math.inf
        self._exhausted = False
        self._tested = False
        self._flushed = self._clock.now()

    # What Tune asks

    @property
    def over(self) -> bool:
        """Whether nothing lives and nothing is left to start."""
        if self.halt is not None:
            return True
        return not self._live and not self.waiting and self._exhausted and self._tested

    @property
    def halted(self) -> bool:
        """Whether everything must end now."""
        return self.halt is not None

    @property
    def pausing(self) -> bool:
        """Whether all that lives is to save a checkpoint and end."""
        return bool(self.why_pause)

    def pause(self, reason: str, within: float | None = None) -> None:
        """Lets all that lives save a checkpoint and end, and then the driver.

        What has not ended `within` so many seconds is given up; None: when the time box is over.
        """
        self.why_pause = self.why_pause or reason
        if within is not None:
            self._give_up = min(self._give_up, self._clock.now() + within)

    def next_attempt(self) -> dict[str, Any] | None:
        """The next attempt to start, or None if there is no room for one, or none to start."""
        if self.halt or self.pausing:
            return None
        if len(self._live) >= self._slots.limit:
            self._look_ahead()
            return None
        if any(live.alone for live in self._live.values()):
            return None
        live = self._next_trial()
        return None if live is None else self._start(live)

    def hear(self, trial: int, attempt: int, messages: list[dict[str, Any]]) -> list[str] | None:
        """Takes in news of an attempt; None: go on; a list: it ends, delete these checkpoints."""
        live = self._live.get(trial)
        if live is None or live.attempt != attempt:
            return []  # an attempt that was given up: whatever it says is refused
        for message in messages:
            try:
                received = checked(message, self.folder / f"{trial:04d}")
                if received["kind"] == "end":
                    return self._end(live, received)
                self._take(live, received)
            except InvalidMessage as error:
                received = {"kind": "end", "outcome": "exception", "message": str(error)}
                return self._end(live, received)
            if received["kind"] != "placed":  # its host says that, while it may still be loading
                self._slots.spoke(live)
        if live.role is not None:
            return None
        if live.settled is None and self._clock.trial_is_up(live):
            limit = self.limits.trial_time or 0
            live.settled = ("pruned", f"the time of a trial, {limit:g} s, was up")
        if live.settled is not None:
            return self._leave(live, AttemptEnd(self._outcomes.settle(live)))
        if self.out_of_time():
            return self._leave(live, AttemptEnd())
        return None

    def begins(self, trial: int, attempt: int) -> None:
        """A host has this attempt now: what it waited for one is no time of the trial."""
        live = self._live.get(trial)
        if live is not None and live.attempt == attempt:
            live.begun = self._clock.now()

    def lost(self, trial: int, attempt: int) -> None:
        """The host of this attempt is gone."""
        self._check_ray()
        live = self._live.get(trial)
        if live is not None and live.attempt == attempt:
            outcome = {"outcome": "host_lost", "message": "the host of this trial was lost"}
            self._end(live, outcome)
            self._slots.lost(len(self._live))

    def leaves(self, trial: int, attempt: int) -> bool:
        """Whether to ask this attempt, once, to save and end: others wait for its slot."""
        live = self._live.get(trial)
        if live is None or live.attempt != attempt or self._slots.grant is None:
            return False
        return self._slots.must_leave(live, self._live.values())

    def is_idle(self, hosts: int) -> bool:
        """Whether hosts without a trial, of so many, are of no use now to this search.

        Only on a cluster, where others may wait for what they hold.
        """
        self._slots.hosts = hosts
        useful = min(self._slots.limit, self.claim()[0])
        return self._slots.grant is not None and len(self._live) >= useful

    def claim(self) -> tuple[int, int]:
        """How many trials could run now, and how many have a host; asked from another thread."""
        running = len(self._live)
        ends = bool(self.halt) or self.pausing
        known = running if ends else running + len(self.waiting)
        over = ends or self._exhausted or self.out_of_time()
        return self._slots.wants(known, over=over), max(running, self._slots.hosts)

    def tick(self) -> None:
        """Follows requests and clocks; commits what has waited for a second."""
        self._check_ray()
        now = self._clock.now()
        if now - self._flushed > 1:
            self._flushed = now
            self.log.flush()
            self.halt = self.halt or self.housekeeping()
        while self.requests:
            self._follow(*self.requests.popleft())
        if self._clock.must_save():
            self.pause(f"its time box of {self.limits.time_box:g} s is over")
        given_up = self._clock.must_end() or self._clock.now() > self._give_up
        if self.pausing and (not self._live or given_up):
            self.halt = self.halt or Halted("paused", self.why_pause)

    def _check_ray(self) -> None:
        """Raises RayLost: what follows from a lost Ray is no news of any trial."""
        if lost := self.watch():
            raise RayLost(lost)

    def resume(self, unfinished_trials: Iterable[LiveTrial]) -> None:
        """Tells the trials whose end was decided but not told, and puts the others in front."""
        for live in unfinished_trials:
            if live.settled is not None:
                remove(self._outcomes.settle(live), self.folder)
            else:
                self.waiting.append(live)

    # Starting

    def _look_ahead(self) -> None:
        """Finds out without a slot whether anything is left to do: the end needs none."""
        if self._slots.grant is None or (self._live and not self._slots.dry):
            return
        if not self.waiting or self.out_of_time():
            live = self._next_trial()
            if live is not None:
                self.waiting.append(live)

    def _next_trial(self) -> LiveTrial | None:
        if self.out_of_time():  # what still waits stays unfinished: a resume goes on with it
            self.waiting = deque(live for live in self.waiting if live.role is not None)
        if self.waiting:
            if self.waiting[0].alone and self._live:
                return None
            return self.waiting.popleft()
        if not self._exhausted:
            live = self._ask()
            if live is not None or not self._exhausted:
                return live
        if self._live:
            return None
        if not self._tested:
            self._tested = True
            for live, role in self.tests():
                live.role = role
                self.waiting.append(live)
            return self.waiting.popleft() if self.waiting else None
        return None

    def _ask(self) -> LiveTrial | None:
        """A new trial; None for now, or (`_exhausted`) for good."""
        if self.out_of_time():
            self._exhausted = not self._live
            return None
        try:
            proposal = self.study.ask(wait=False)
        except RaysearchError as error:  # a point that the check before the search did not meet
            self.halt = Halted("stopped", str(error))
            return None
        self.wake.set()
        self._slots.asked_study(found=proposal is not None)
        if proposal is None:
            self._exhausted = not self._live and self.study.is_done
            return None
        return LiveTrial(
            proposal.number,
            proposal.config,
            proposal.seed,
            proposal.origin,
            Retention.of(map(to_plain, self.spec.metrics)),
            evaluates=proposal.evaluates,
        )

    def _start(self, live: LiveTrial) -> dict[str, Any]:
        live.begin(self._clock.now())
        name = f"{live.number:04d}/" + (
            f"attempt-{live.attempt}" if live.role is None else f"test-{live.attempt}"
        )
        if live.role is None:
            self._outcomes.weed(live)
        job = attempt_job(live, name, self.spec, self.limits, self.folder, self.paths)
        if live.role is None:
            own = job.restored is not None and live.evaluates is None
            live.restored_step = live.last.step if own and live.last is not None else None
            restored = self._outcomes.relative(str(job.restored)) if own else None
            self.log.append(Started(live.attempt, name, restored), live.number, commit=True)
        self._live[live.number] = live
        for other in self._live.values():
            other.shared = len(self._live) > 1 or other.shared
        return {
            "trial": live.number,
            "attempt": live.attempt,
            "job": job.to_json(),
        }

    # Outcomes

    def _take(self, live: LiveTrial, message: Mapping[str, Any]) -> None:
        if message["kind"] == "describe":
            self._outcomes.describe(live, message)
        elif message["kind"] == "artifact":
            self._outcomes.artifact(live, message)
        elif message["kind"] == "placed":
            self._outcomes.placed(live, message["nodes"])
        elif message["kind"] == "usage":
            self._outcomes.usage(live, message["usage"])
        elif message["kind"] == "refused":
            self._outcomes.refused(live, message)
        elif message["kind"] == "damaged":
            path = f"{live.number:04d}/{message['path']}"
            self._outcomes.damaged(live, path, message["what"])
        elif live.role is None:
            self._outcomes.report(live, message)
        else:
            live.metrics.update(message["metrics"])

    def _end(self, live: LiveTrial, message: Mapping[str, Any]) -> list[str]:
        if message["outcome"] == "paused" and live.settled is None:
            if self.pausing or self._slots.has_asked(live):
                # Untold: a resume goes on with it, or this driver if only this trial had to leave.
                self._slots.left(live)
                return self._leave(live, AttemptEnd(again=not self.pausing))
            message = {**message, "outcome": "killed", "message": _UNASKED}
        if live.role is not None:
            ended = self._outcomes.end_test(live, message)
        else:
            ended = self._outcomes.end(live, message)
        return self._leave(live, ended)

    def _leave(self, live: LiveTrial, ended: AttemptEnd) -> list[str]:
        """An attempt is over: its place is free; its trial may wait for the next one."""
        self._live.pop(live.number, None)
        live.pause(self._clock.now())
        self.wake.set()
        if ended.stop_search:
            self.halt = self.halt or Halted("stopped", ended.stop_search)
        if ended.again:
            first = not live.alone and live.role is None
            self.waiting.appendleft(live) if first else self.waiting.append(live)
        return ended.delete

    def _follow(self, number: int, body: dict[str, Any]) -> None:
        """Turns a request into an event, and does what it asks for."""
        action, trial = body["action"], body.get("trial")
        if action in (Noted.kind, Tagged.kind):
            fields = {key: value for key, value in body.items() if key != "action"}
            self.log.append(fact_of(action, fields), commit=True)
            return
        self.log.append(Requested(action, number, trial), trial, commit=True)
        if action == "stop" and trial is None:
            self.halt = self.halt or Halted("stopped", BY_REQUEST)
        elif action == "stop":
            self._stop_trial(int(body["trial"]))

    def _stop_trial(self, number: int) -> None:
        if number in self._live:
            self._live[number].settled = ("pruned", "stopped by request")
            return
        for live in list(self.waiting):
            if live.number == number:
                self.waiting.remove(live)
                live.settled = ("pruned", "stopped by request")
                remove(self._outcomes.settle(live), self.folder)

    def out_of_time(self) -> bool:
        """Whether the search has used up its time."""
        return self._clock.search_is_up()
