"""Outcomes of an attempt: the events, decisions and end of its trial that its news lead to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.driver.live_trial import Failure, LiveTrial, Taken
from raysearch.driver.reported_checkpoints import reported, unneeded, written
from raysearch.events.log import EventLog
from raysearch.events.schema import (
    ArtifactWritten,
    CheckpointDamaged,
    CheckpointSaved,
    Described,
    Differed,
    Failed,
    Noticed,
    Placed,
    Refused,
    Reported,
    Tested,
    Used,
)
from raysearch.integrity import damage
from raysearch.results.reductions import reduce_objective
from raysearch.study.failures import KINDS, Failures, traceback_digest, verdict
from raysearch.study.study import State, Study
from raysearch.sweeps.nearest import listed, nearest
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.trial.checkpoints import Kept


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended: `delete` these checkpoints; `again`: its trial goes on; `stop_search`
    is the reason to end the whole search, or empty.
    """

    delete: list[str] = field(default_factory=list[str])
    again: bool = False
    stop_search: str = ""


class Outcomes:
    """Takes in what attempts say; it writes the events and asks the study, in the driver's thread.

    Args:
        study: decides on reports and is told how trials end.
        log: where the events go.
        spec: `metrics` and `fidelity` of the search.
        folder: the folder of the search; paths in events are relative to it.
        failures: how trials have ended so far, by which too many failures are seen.
    """

    def __init__(
        self,
        study: Study,
        log: EventLog,
        spec: SearchSpec,
        folder: Path,
        failures: Failures | None = None,
    ) -> None:
        self._study, self._log, self._spec, self._folder = study, log, spec, folder
        self._metrics = spec.metrics
        self._names = [metric.name for metric in self._metrics]
        self._progress = f"progress/{spec.fidelity}"
        self._failures = failures or Failures()
        self._looked = False

    # News

    def describe(self, live: LiveTrial, message: Mapping[str, Any]) -> None:
        """Facts of a trial; those that its attempt has just said are nothing new."""
        if message["facts"] != live.facts:
            live.facts = message["facts"]
            self._log.append(Described(dict(message["facts"])), live.number)

    def artifact(self, live: LiveTrial, message: Mapping[str, Any]) -> None:
        """A file that a trial has written."""
        path = f"{live.number:04d}/{message['path']}"
        live.artifacts.add(path)
        self._log.append(ArtifactWritten(message["name"], path), live.number)

    def placed(self, live: LiveTrial, nodes: Sequence[str]) -> None:
        """On which machines an attempt runs; evaluations on the test split aside."""
        if live.role is None:
            self._log.append(Placed(live.attempt, list(nodes)), live.number)

    def usage(self, live: LiveTrial, usage: Mapping[str, float]) -> None:
        """What an attempt used of its machine; evaluations on the test split aside."""
        if live.role is None and usage:
            self._log.append(Used(live.attempt, dict(usage)), live.number)

    def damaged(self, live: LiveTrial, path: str, what: str) -> None:
        """A checkpoint that is not as it was when it was reported: the trial goes on without it."""
        live.retention.damaged(path)
        damage = CheckpointDamaged(path, what[:500], live.attempt)
        self._log.append(damage, live.number, commit=True)

    def weed(self, live: LiveTrial) -> None:
        """Looks for checkpoints that are gone, or of another size, where they are needed next."""
        for kept in live.retention.kept():
            what = damage(self._folder / kept.path, kept.bytes, None)
            if what and not live.retention.is_damaged(kept.path):
                self.damaged(live, kept.path, what)

    def report(self, live: LiveTrial, message: Mapping[str, Any]) -> None:
        """A report: an event, and a decision if its step has all objectives now.

        Raises:
            InvalidMessage: it contradicts what its attempt has reported before.
        """
        step, metrics = int(message["step"]), dict[str, float](message["metrics"])
        kept = reported(message, self._folder, live.number)
        lost = {name: metrics[name] for name in self._names if not _is_finite(metrics.get(name))}
        if lost:
            self._diverge(live, step, lost)
            return
        taken = live.take(step, metrics, kept, self._names)
        self._notice(live, step, taken)
        if taken.fresh:
            costs = live.take_costs(step, message.get("costs") or {})
            self._append(live, step, taken, kept, costs)
        else:
            self._checkpoint(live, kept)

    def refused(self, live: LiveTrial, message: Mapping[str, Any]) -> None:
        """A report that its session refused: it counts for nothing, and is on record."""
        if live.role is None:
            facts = {name: message[name] for name in ("step", "metrics", "message")}
            self._log.append(Refused(live.attempt, **facts), live.number)

    def _append(
        self,
        live: LiveTrial,
        step: int,
        taken: Taken,
        kept: Kept | None,
        costs: Mapping[str, float],
    ) -> None:
        """Writes what is new of a step, and asks for a decision when it can be compared."""
        metrics, fidelity = live.reported[step], None
        is_whole = bool(live.history) and live.history[-1][0] == step
        if is_whole and (taken.completes or self._progress in taken.fresh):
            fidelity = self._fidelity(live, metrics)
        values = self.reduced(live) if is_whole and (taken.completes or fidelity) else None
        reported = Reported(
            step,
            taken.fresh,
            fidelity,
            values,
            checkpoint=kept.path if kept is not None else None,
            attempt=live.attempt,
            costs=dict(costs) or None,
            **(kept.facts() if kept is not None else {}),
        )
        self._log.append(reported, live.number, commit=kept is not None)
        live.is_compared |= fidelity is not None
        if values is None or fidelity is None or live.settled is not None:
            return
        if self._study.report(live.number, fidelity, values, step):
            live.settled = ("pruned", f"pruned at {self._spec.fidelity} {fidelity}")

    def _notice(self, live: LiveTrial, step: int, taken: Taken) -> None:
        """Writes down what shows that a trial is not what it should be."""
        number, attempt = live.number, live.attempt
        if taken.anew:
            text = (
                f"attempt {attempt} was given the checkpoint of step {live.restored_step} and "
                f"began at step {step}: does the experiment use session.restored()?"
            )
            self._log.append(Noticed(text, attempt, step), number)
        if taken.other:
            known = live.reported.get(step, {})
            before = {name: known.get(name) for name in taken.other}
            self._log.append(Differed(attempt, step, taken.other, before), number)

    def _checkpoint(self, live: LiveTrial, kept: Kept | None) -> None:
        if kept is not None and live.last is not None:
            saved = CheckpointSaved(kept.step, kept.path, live.last.value, **kept.facts())
            self._log.append(saved, live.number, commit=True)

    def _diverge(self, live: LiveTrial, step: int, lost: Mapping[str, float]) -> None:
        shown = ", ".join(f"{name} = {value}" for name, value in lost.items())
        self._failed(live, "diverged", f"{shown} at step {step}", "", again=False)
        live.settled = ("infeasible", f"diverged: {shown} at step {step}")

    def reduced(self, live: LiveTrial) -> list[float]:
        """The objectives of a trial so far, each as its metric says; of a long history only what
        that needs is looked at.
        """
        return [
            reduce_objective(_needed(live, index, metric.reduce), metric.reduce, metric.direction)
            for index, metric in enumerate(self._metrics)
        ]

    def _fidelity(self, live: LiveTrial, metrics: Mapping[str, float]) -> int | None:
        if self._spec.fidelity == "evaluations":
            return len(live.history)
        value = metrics.get(self._progress)
        return None if value is None else math.floor(value + 1e-6)

    # Ends

    def end(self, live: LiveTrial, message: Mapping[str, Any]) -> AttemptEnd:
        """An attempt that ended by itself, or was lost."""
        outcome = str(message["outcome"])
        if live.settled is not None:
            return AttemptEnd(self.settle(live))
        if outcome == "complete":
            if live.history:
                self._look_for_progress(live)
                return AttemptEnd(self.tell(live, "complete", ""))
            outcome, message = "unreported", {"message": self._unreported(live)}
        if outcome not in KINDS:
            outcome = "exception"
        digest = traceback_digest(str(message.get("traceback") or message["message"]))
        live.failures.append(Failure(outcome, digest, live.last.step if live.last else None))
        judged = verdict(outcome, history=live.failures, shared=live.shared)
        text = str(message["message"])
        traceback = str(message.get("traceback") or "")
        self._failed(live, outcome, text, traceback, again=judged.again, digest=digest)
        stop = f"{judged.stop_search}: {text}" if judged.stop_search else ""
        if not judged.again:
            state, reason = judged.state or "failed", f"{outcome}: {text}"
            delete = self.tell(live, state, reason, judged.constraint)
            return AttemptEnd(delete, stop_search=stop or self._failures.too_many())
        live.alone, live.shared = judged.alone, False
        return AttemptEnd(again=True, stop_search=stop)

    def _unreported(self, live: LiveTrial) -> str:
        """What a trial lacks that ended without its objectives, and what it has instead."""
        found = list(dict.fromkeys(name for one in live.reported.values() for name in one))
        missing = [name for name in self._names if name not in found]
        text = f"ended without a report of {', '.join(missing or self._names)}"
        if not missing:
            return f"{text} together, in one step"
        if not found:
            return f"{text}; it reported nothing"
        return f"{text}; it reported {listed(found)}{nearest(missing[0], found)}"

    def _look_for_progress(self, live: LiveTrial) -> None:
        """Says once that no trial can be pruned, if the first that completes was never compared."""
        if self._looked:
            return
        self._looked, pruner = True, self._spec.pruner.partition(":")[0]
        if pruner == "none" or live.is_compared or len(self._names) > 1:
            return
        found = list(dict.fromkeys(name for one in live.reported.values() for name in one))
        text = (
            f"no trial can be pruned: pruner {pruner} compares trials by {self._progress}, which "
            f"trial {live.number} did not report together with {self._names[0]}; it reported "
            f"{listed(found)}{nearest(self._progress, found)} (fidelity='evaluations' counts "
            f"reports)"
        )
        self._log.append(Noticed(text), commit=True)

    def end_test(self, live: LiveTrial, message: Mapping[str, Any]) -> AttemptEnd:
        """The end of an evaluation on the test split; it is tried again at least once."""
        outcome = str(message["outcome"])
        kind = KINDS.get(outcome)
        if kind is not None and kind.stops:
            return AttemptEnd(again=True, stop_search=f"{kind.what}: {message['message']}")
        if kind is not None and live.attempt <= max(kind.again, 1):
            return AttemptEnd(again=True)
        error = "" if outcome == "complete" else f"{outcome}: {message['message']}"
        self._log.append(Tested(live.role, live.metrics, error), live.number, commit=True)
        return AttemptEnd()

    def settle(self, live: LiveTrial) -> list[str]:
        """Tells a trial whose end was decided; returns the checkpoints to delete."""
        assert live.settled is not None
        state, reason = live.settled
        return self.tell(live, state, reason, 1 if state == "infeasible" else 0)

    def tell(self, live: LiveTrial, state: State, reason: str, constraint: int = 0) -> list[str]:
        """Tells how a trial ended; returns the checkpoints to delete."""
        digest = live.failures[-1].digest if live.failures else ""
        self._failures.add(digest if state == "failed" else None)
        best = live.best if state == "complete" and live.evaluates is None else None
        if best is not None:
            self.weed(live)
        values = self.reduced(live) if live.history and state != "infeasible" else None
        self._study.tell(
            live.number,
            state,
            values,
            reason,
            constraint,
            best_step=best.step if best else None,
            best_checkpoint=best.path if best else None,
        )
        return self._unneeded(live, keep=state == "complete" and live.evaluates is None)

    def _unneeded(self, live: LiveTrial, *, keep: bool) -> list[str]:
        """Checkpoints on disk that a told trial no longer needs, those of killed attempts too."""
        kept = live.retention.kept()
        found = unneeded(
            self._folder,
            live.number,
            kept if keep else (),
            finished=live.attempt if keep else None,
            named=live.retention.sources,
            artifacts=live.artifacts,
        )
        found += written(kept, live.artifacts, self._folder)
        return sorted(set(map(str, found)))

    def _failed(
        self,
        live: LiveTrial,
        kind: str,
        message: str,
        traceback: str,
        *,
        again: bool,
        digest: str = "",
    ) -> None:
        file = self._folder / f"{live.number:04d}/attempt-{live.attempt}/traceback.txt"
        if traceback and not file.exists():
            with suppress(OSError):  # a full disk, which may be what has failed
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(traceback, encoding="utf-8")
        where = self.relative(str(file)) if file.exists() else None
        failure = Failed(kind, message, again, live.attempt, where, digest)
        self._log.append(failure, live.number, commit=True)

    def relative(self, path: str) -> str:
        """A path as events have it: relative to the folder of the search."""
        return str(Path(path).relative_to(self._folder))


def _needed(live: LiveTrial, index: int, reduce: str) -> Sequence[float]:
    """What of the history of an objective its reduction depends on: `last`, `best` or `mean(k)`."""
    if reduce == "best":
        return live.bounds[index]
    count = 1 if reduce == "last" else int(reduce.removeprefix("mean(").removesuffix(")"))
    return [raw[index] for _, raw in live.history[-count:]]


def _is_finite(value: float | None) -> bool:
    """Whether an objective is a number, or not there."""
    return value is None or math.isfinite(value)
