"""The Optuna study in memory, rebuilt from events: asks, decides on reports, tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from raysearch.errors import BadSetting
from raysearch.events.log import Event
from raysearch.study.asking import Log, Proposal, Proposals, told
from raysearch.study.trials import Entry
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.sweeps.space import Space

__all__ = ["Log", "Proposal", "State", "Study"]

State = Literal["complete", "pruned", "failed", "infeasible"]


class Study(Proposals):
    """Decides for one search. All it knows is in the events: `rebuild` gives an equal study.

    Each method may be called from any thread; `report` and `tell` never wait for a sampler.

    A point whose configuration and seed are known is never run again: it is asked, as a duplicate,
    and told the result of the first one, at once or when there is one. Points computed ahead by
    `prepare` are not in the events before they are handed out: a rebuilt study computes them anew,
    knowing more. So it decides as the living one would after `drop_prepared`.

    Args:
        space: where the points are.
        spec: the specification of the search: `search`, `metrics`, `fidelity`, `sampler`, `pruner`,
            `seed`, `trials` (None: no limit), `repeats` and `finalists` (`Repeats`), `known`
            (`learn`).
        log: where the events go.
    """

    # Deciding

    def report(
        self, number: int, fidelity: int, values: list[float], step: int | None = None
    ) -> bool:
        """Whether a trial should end now, at its newest value (reduced over its reports so far).

        A fidelity that it has passed changes nothing, as when a resumed attempt comes by again.
        `step` is only written down.
        """
        with self._lock:
            entry = self._trials.entries[number]
            if entry.ending or entry.told is not None:
                return True
            if not self._trials.report(number, fidelity, values):
                return False
            return self._decide(entry, step)

    def _decide(self, entry: Entry, step: int | None) -> bool:
        """Asks the pruner about a trial's last report, and writes what it says and remembers.

        The decision comes first: one without the attributes behind it is completed by `rebuild`.
        """
        trial = self._trials.optuna(entry.number)
        known = dict(trial.system_attrs)
        ends = self._pruner.prune(self._trials.study, trial) and not entry.is_measure
        if ends and not entry.ending:
            entry.ending = True
            fidelity = trial.last_step
            body = {
                "step": step,
                "fidelity": fidelity,
                "decision": "prune",
                "reason": f"pruned at {self._fidelity} {fidelity}",
            }
            self._write("decision", entry.number, body)
        attrs = self._trials.optuna(entry.number).system_attrs
        changed = {key: value for key, value in attrs.items() if known.get(key) != value}
        if changed:
            self._write("attrs", entry.number, {"system_attrs": changed})
        return ends

    # Telling

    def tell(
        self,
        number: int,
        state: State,
        values: list[float] | None,
        reason: str = "",
        constraint: int = 0,
        *,
        best_step: int | None = None,
        best_checkpoint: str | None = None,
    ) -> None:
        """Writes and commits how a trial ended, and tells its duplicates the same.

        Raises:
            ValueError: it was told before, or is complete without values.
        """
        with self._lock:
            entry = self._trials.entries[number]
            if entry.told is not None:
                raise BadSetting(f"trial {number} was told before: {entry.told['state']}")
            if state == "complete" and values is None:
                raise BadSetting(f"trial {number} must have values to be complete, got none")
            body = told(
                state,
                values,
                reason,
                constraint=int(constraint or state == "infeasible"),
                best_step=best_step,
                best_checkpoint=best_checkpoint,
            )
            self._write("told", number, body)
            self._take_told(entry, body)
            self._tell_twins(entry)
            self._log.flush()

    # Rebuilding

    @classmethod
    def rebuild(cls, space: Space, spec: SearchSpec, log: Log, events: Iterable[Event]) -> Study:
        """The study that has seen these events, and nothing else.

        What a killed driver had begun to write is completed: the decision on the very last report,
        the trials that were known before, and the results of duplicates.
        """
        study, last = cls(space, spec, log), None
        for event in events:
            study._replay(event)
            last = event
        study._trials.settle()
        if last is not None:
            study._complete(last)
        study.learn()
        for entry in study._trials.entries:
            study._tell_twins(entry)
        log.flush()
        return study

    def _replay(self, event: Event) -> None:
        number, body = event.trial, event.body
        if number is not None and event.kind != "asked" and number >= len(self._trials.entries):
            return  # of a trial that was never asked: `check` says so
        if event.kind == "report" and number is not None:
            if _is_compared(body) and not self._trials.entries[number].ending:
                self._trials.gather(number, body["fidelity"], body["values"])
            return
        if number is not None:
            self._trials.settle(number)
        if event.kind == "asked":
            self._trials.ask(body)
        elif event.kind == "extended":
            self._budget = body["trials"]
        elif number is None:
            return
        elif event.kind == "retried":
            self._trials.retries.append(number)
        elif event.kind == "told":
            if self._trials.entries[number].told is None:  # else written twice: the first one holds
                self._take_told(self._trials.entries[number], dict(body))
        elif event.kind == "decision" or (event.kind == "requested" and body["action"] == "stop"):
            self._trials.entries[number].ending = True
        elif event.kind == "attrs":
            self._trials.set_attrs(number, body["system_attrs"])

    def _complete(self, last: Event) -> None:
        """Decides again on a last report, or on its pruning, where nothing was written after it."""
        number, body = last.trial, last.body
        if number is None or last.kind not in ("report", "decision"):
            return
        entry, trial = self._trials.entries[number], self._trials.optuna(number)
        open_report = last.kind == "report" and _is_compared(body) and not entry.ending
        at_it = trial.last_step is not None and trial.last_step == body["fidelity"]
        if entry.told is None and at_it and (open_report or last.kind == "decision"):
            self._decide(entry, body["step"])


def _is_compared(report: Mapping[str, Any]) -> bool:
    return report["values"] is not None and report["fidelity"] is not None
