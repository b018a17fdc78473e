"""The conductor of a search: hands out attempts, hears their news, tells how trials end."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.attempt import Limits, attempt_job
from raysearch.course import Course, Failure, objectives
from raysearch.decide.failures import verdict
from raysearch.decide.study import Proposal, State, Study
from raysearch.record.events import EventLog
from raysearch.record.results import reduce_objective
from raysearch.run.checkpoints import Keeper, remove


@dataclass
class Halted:
    """Why everything ends now: `state` is the kind of event that says so."""

    state: str
    reason: str


@dataclass
class Conductor:
    """The only one who asks, decides and tells; it runs in Tune's loop, in one thread.

    `waiting` are trials to be started before new ones: after a resume, and those tried again.
    `tests` says, once all trials are told, which are evaluated on the test split, with their roles.
    `wake` is set when a suggestion was used up or a result arrived: the thread that computes
    suggestions ahead waits for it.
    """

    study: Study
    log: EventLog
    spec: Mapping[str, Any]
    folder: Path
    limits: Limits
    tests: Callable[[], list[tuple[Course, str]]]
    waiting: deque[Course] = field(default_factory=deque[Course])
    paths: list[str] = field(default_factory=list[str])
    wake: threading.Event = field(default_factory=threading.Event)
    halt: Halted | None = None
    requests: deque[tuple[int, dict[str, Any]]] = field(
        default_factory=deque[tuple[int, dict[str, Any]]]
    )

    def __post_init__(self) -> None:
        """Reads from the specification what each report needs."""
        self._names = [str(metric["name"]) for metric in self.spec["metrics"]]
        self._metrics: list[dict[str, str]] = list(self.spec["metrics"])
        self._live: dict[int, Course] = {}
        self._exhausted = False
        self._tested = False
        self._tracebacks: list[str] = []
        self._started = self._flushed = time.monotonic()

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

    def next_attempt(self) -> dict[str, Any] | None:
        """The next attempt to start, or None if there is no room for one, or none to start."""
        if self.halt or len(self._live) >= self.limits.concurrent:
            return None
        if any(course.alone for course in self._live.values()):
            return None
        course = self._next_course()
        return None if course is None else self._start(course)

    def hear(self, trial: int, attempt: int, messages: list[dict[str, Any]]) -> list[str] | None:
        """Takes in news of an attempt; None: go on; a list: it ends, delete these checkpoints."""
        course = self._live.get(trial)
        if course is None or course.attempt != attempt:
            return []  # an attempt that was given up: whatever it says is refused
        for message in messages:
            kind = message["kind"]
            if kind == "describe":
                self.log.append("described", trial, facts=message["facts"])
            elif kind == "artifact":
                self._artifact(course, message)
            elif kind == "report" and course.role is None:
                self._report(course, message)
            elif kind == "report":
                course.metrics.update(message["metrics"])
            elif kind == "end":
                return self._end(course, message)
        if course.settled is not None and course.role is None:
            return self._settle(course)
        if self.out_of_time() and course.role is None:
            self._live.pop(trial)
            return []
        return None

    def lost(self, trial: int, attempt: int) -> None:
        """The host of this attempt is gone."""
        course = self._live.get(trial)
        if course is not None and course.attempt == attempt:
            outcome = {"outcome": "host_lost", "message": "the host of this trial was lost"}
            self._end(course, outcome)

    def tick(self) -> None:
        """Turns requests into events and follows them; commits what has waited for a second."""
        now = time.monotonic()
        if now - self._flushed > 1:
            self._flushed = now
            self.log.flush()
        while self.requests:
            number, body = self.requests.popleft()
            trial = body.get("trial")
            self.log.append("requested", trial, commit=True, request=number, **body)
            if body["action"] != "stop":
                continue
            if trial is None:
                self.halt = self.halt or Halted("stopped", "stopped by request")
            else:
                self._stop_trial(int(trial))

    def resume(self, courses: Iterable[Course]) -> None:
        """Tells the trials whose end was decided but not told, and puts the others in front."""
        for course in courses:
            if course.settled is not None:
                remove(self._settle(course))
            else:
                self.waiting.append(course)

    # Starting

    def _next_course(self) -> Course | None:
        if self.out_of_time():  # what still waits stays unfinished: a resume goes on with it
            self.waiting = deque(course for course in self.waiting if course.role is not None)
        if self.waiting:
            if self.waiting[0].alone and self._live:
                return None
            return self.waiting.popleft()
        if not self._exhausted:
            proposal = self._ask()
            self.wake.set()
            if proposal is not None:
                keeper = Keeper(self._metrics[0]["direction"])
                return Course(
                    proposal.number, proposal.config, proposal.seed, proposal.origin, keeper
                )
            self._exhausted = not self._live
        if self._live:
            return None
        if not self._tested:
            self._tested = True
            for course, role in self.tests():
                course.role = role
                self.waiting.append(course)
            return self.waiting.popleft() if self.waiting else None
        return None

    def _ask(self) -> Proposal | None:
        if self.out_of_time():
            return None
        try:
            return self.study.ask()
        except ValueError as error:  # a point that the check before the search did not meet
            self.halt = Halted("stopped", str(error))
            return None

    def _start(self, course: Course) -> dict[str, Any]:
        course.attempt += 1
        name = f"{course.number:04d}/" + (
            f"attempt-{course.attempt}" if course.role is None else f"test-{course.attempt}"
        )
        job = attempt_job(course, name, self.spec, self.limits, self.folder, self.paths)
        if course.role is None:
            self.log.append(
                "started",
                course.number,
                commit=True,
                attempt=course.attempt,
                folder=name,
                restored=job.restored and self._relative(job.restored),
            )
        self._live[course.number] = course
        for other in self._live.values():
            other.shared = len(self._live) > 1 or other.shared
        return {
            "trial": course.number,
            "attempt": course.attempt,
            "job": job.to_json(),
        }

    # Hearing

    def _artifact(self, course: Course, message: Mapping[str, Any]) -> None:
        path = self._relative(message["path"])
        self.log.append("artifact", course.number, name=message["name"], path=path)

    def _report(self, course: Course, message: Mapping[str, Any]) -> None:
        step, metrics = int(message["step"]), dict[str, float](message["metrics"])
        checkpoint = message["checkpoint"] and self._relative(message["checkpoint"])
        raw = objectives(metrics, self._names)
        if raw is not None and not all(map(math.isfinite, raw)):
            self._diverge(course, step, raw)
            return
        if not course.take(step, raw, checkpoint):
            if checkpoint:
                value = raw[0] if raw else None
                self.log.append(
                    "checkpoint",
                    course.number,
                    commit=True,
                    step=step,
                    path=checkpoint,
                    value=value,
                )
            return
        values = None if raw is None else self._reduced(course)
        fidelity = None if raw is None else self._fidelity(course, metrics)
        self.log.append(
            "report",
            course.number,
            commit=checkpoint is not None,
            attempt=course.attempt,
            step=step,
            fidelity=fidelity,
            metrics=metrics,
            values=values,
            checkpoint=checkpoint,
        )
        if values is None or fidelity is None or course.settled is not None:
            return
        if self.study.report(course.number, fidelity, values, step):
            course.settled = ("pruned", f"pruned at {self.spec['fidelity']} {fidelity}")

    def _diverge(self, course: Course, step: int, raw: list[float]) -> None:
        shown = ", ".join(f"{name} = {value}" for name, value in zip(self._names, raw, strict=True))
        self._failed(course, "diverged", f"{shown} at step {step}", "", again=False)
        course.settled = ("infeasible", f"diverged: {shown} at step {step}")

    def _reduced(self, course: Course) -> list[float]:
        return [
            reduce_objective(
                [raw[index] for _, raw in course.history], metric["reduce"], metric["direction"]
            )
            for index, metric in enumerate(self._metrics)
        ]

    def _fidelity(self, course: Course, metrics: Mapping[str, float]) -> int | None:
        if self.spec["fidelity"] == "evaluations":
            return len(course.history)
        value = metrics.get(f"progress/{self.spec['fidelity']}")
        return None if value is None else math.floor(value + 1e-6)

    # Ending

    def _end(self, course: Course, message: Mapping[str, Any]) -> list[str]:
        outcome = str(message["outcome"])
        if course.role is not None:
            return self._end_test(course, outcome, str(message["message"]))
        if course.settled is not None:
            return self._settle(course)
        if outcome == "complete":
            if course.history:
                return self._tell(course, "complete", "")
            outcome = "exception"
            message = {"message": f"ended without a report of {', '.join(self._names)}"}
        traceback = str(message.get("traceback") or "")
        failure = Failure(outcome, traceback, course.last.step if course.last else None)
        course.failures.append(failure)
        if traceback:
            self._tracebacks.append(traceback)
        judged = verdict(
            outcome,
            history=course.failures,
            shared=course.shared,
            tracebacks=self._tracebacks,
        )
        text = str(message["message"])
        self._failed(course, outcome, text, traceback, again=judged.again)
        if judged.stop_search and self.halt is None:
            self.halt = Halted("stopped", f"{judged.stop_search}: {text}")
        if not judged.again:
            reason = f"{outcome}: {text}"
            return self._tell(course, judged.state or "failed", reason, judged.constraint)
        self._live.pop(course.number, None)
        course.alone = judged.alone
        course.shared = False
        self.waiting.append(course) if course.alone else self.waiting.appendleft(course)
        return []

    def _failed(
        self, course: Course, kind: str, message: str, traceback: str, *, again: bool
    ) -> None:
        file = self.folder / f"{course.number:04d}/attempt-{course.attempt}/traceback.txt"
        if traceback and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(traceback)
        self.log.append(
            "failed",
            course.number,
            commit=True,
            attempt=course.attempt,
            kind=kind,
            message=message,
            traceback=self._relative(str(file)) if file.exists() else None,
            again=again,
        )

    def _settle(self, course: Course) -> list[str]:
        assert course.settled is not None
        state, reason = course.settled
        return self._tell(course, state, reason, 1 if state == "infeasible" else 0)

    def _tell(self, course: Course, state: State, reason: str, constraint: int = 0) -> list[str]:
        best = course.best if state == "complete" else None
        values = self._reduced(course) if course.history and state != "infeasible" else None
        self.study.tell(
            course.number,
            state,
            values,
            reason,
            constraint,
            best_step=best.step if best else None,
            best_checkpoint=best.path if best else None,
        )
        self._live.pop(course.number, None)
        self.wake.set()
        return self._unneeded(course, keep=state == "complete")

    def _unneeded(self, course: Course, *, keep: bool) -> list[str]:
        """Checkpoints on disk that a told trial no longer needs, those of killed attempts too."""
        needed = {str(self.folder / kept.path) for kept in course.keeper.kept()} if keep else set()
        found = self.folder.glob(f"{course.number:04d}/attempt-*/checkpoints/*")
        return sorted({str(path) for path in found} - needed)

    def _end_test(self, course: Course, outcome: str, message: str) -> list[str]:
        self._live.pop(course.number, None)
        if outcome != "complete" and course.attempt < 2:
            self.waiting.append(course)
            return []
        error = "" if outcome == "complete" else f"{outcome}: {message}"
        self.log.append(
            "tested",
            course.number,
            commit=True,
            role=course.role,
            metrics=course.metrics,
            error=error,
        )
        return []

    def _stop_trial(self, number: int) -> None:
        if number in self._live:
            self._live[number].settled = ("pruned", "stopped by request")
            return
        for course in list(self.waiting):
            if course.number == number:
                self.waiting.remove(course)
                remove(self._tell(course, "pruned", "stopped by request"))

    def out_of_time(self) -> bool:
        """Whether the search has used up its time."""
        limit = self.limits.time
        return limit is not None and time.monotonic() - self._started > limit

    def _relative(self, path: str) -> str:
        return str(Path(path).relative_to(self.folder))
