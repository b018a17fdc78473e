"""The kinds of events, a class each: what a search writes down, in the order of its life.

Readers match on the class; the writer takes nothing else. A field with a default was not always
written, or is not always known. Paths are relative to the folder of the search, `step` is in
optimiser steps, `values` are the objectives as their metrics reduce them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

TrialState = Literal["complete", "pruned", "failed", "infeasible"]
"""The states that a trial is told to have ended in."""

_FILE = frozenset({"bytes", "sha256", "source", "copied"})
"""What is written of the file of a checkpoint, as far as it is known."""


@dataclass
class Fact:
    """What an event says, beside its number, its trial and its time.

    `unsaid` are fields that are left out where they are None; `written` has the names under which
    fields are written that are not their own.
    """

    kind: ClassVar[str] = ""
    unsaid: ClassVar[frozenset[str]] = frozenset()
    written: ClassVar[Mapping[str, str]] = {}

    def plain(self) -> dict[str, Any]:
        """As it is written."""
        names, unsaid, written = self.__match_args__, self.unsaid, self.written
        found = {written.get(name, name): getattr(self, name) for name in names}
        for name in unsaid:
            if found[name] is None:
                del found[name]
        return found


@dataclass
class Created(Fact):
    """A search began: its specification, of which `formats` knows each version. The first event."""

    kind: ClassVar[str] = "created"
    body: Mapping[str, Any]

    def plain(self) -> dict[str, Any]:
        """The specification itself."""
        return dict(self.body)


@dataclass
class Asked(Fact):
    """A trial was proposed: its point of the space, its configuration, and by what.

    `origin` is `default`, `sampler`, `repeat`, `retry` or `known`. `duplicate_of` is an earlier
    trial of the same configuration and seed: it is told the same. `study_attrs` and `system_attrs`
    are what the sampler keeps with Optuna's study and trial.
    """

    kind: ClassVar[str] = "asked"
    unsaid: ClassVar[frozenset[str]] = frozenset({"repeat_of", "retry_of", "evaluates"})
    params: dict[str, Any]
    distributions: dict[str, dict[str, Any]]
    config: dict[str, Any]
    digest: str
    seed: int
    origin: str
    duplicate_of: int | None = None
    system_attrs: dict[str, Any] | None = None
    study_attrs: dict[str, Any] | None = None
    repeat_of: int | None = None
    retry_of: int | None = None
    evaluates: dict[str, Any] | None = None


@dataclass
class Started(Fact):
    """An attempt at a trial began, from its start or from a checkpoint."""

    kind: ClassVar[str] = "started"
    attempt: int
    folder: str
    restored: str | None = None


@dataclass
class Placed(Fact):
    """An attempt has got its machines: their host names, those of several workers by rank.

    Ray chooses them after an attempt began; searches of earlier versions do not say.
    """

    kind: ClassVar[str] = "placed"
    attempt: int
    nodes: list[str]


@dataclass
class Described(Fact):
    """What a trial says of itself: its data, its number of parameters, its versions."""

    kind: ClassVar[str] = "described"
    facts: dict[str, Any]


@dataclass
class Reported(Fact):
    """Metrics after a step. Several of one step add up.

    `fidelity` (epochs, samples or evaluations) and `values` are there once all objectives of the
    step are. The checkpoint of the step has its size, its hash, where it was copied from.
    """

    kind: ClassVar[str] = "report"
    unsaid: ClassVar[frozenset[str]] = _FILE | {"costs"}
    step: int
    metrics: dict[str, float]
    fidelity: int | None = None
    values: list[float] | None = None
    checkpoint: str | None = None
    attempt: int | None = None
    costs: dict[str, float] | None = None
    bytes: int | None = None
    sha256: str | None = None
    source: str | None = None
    copied: bool | None = None


@dataclass
class Used(Fact):
    """What an attempt uses, measured from outside: names begin with `system/`, or are costs."""

    kind: ClassVar[str] = "usage"
    attempt: int
    usage: dict[str, float]


@dataclass
class Decided(Fact):
    """The pruner ends a trial at a report."""

    kind: ClassVar[str] = "decision"
    step: int | None
    fidelity: int | None
    decision: str
    reason: str


@dataclass
class AttrsChanged(Fact):
    """What Optuna's pruner keeps with a trial, such as its bracket."""

    kind: ClassVar[str] = "attrs"
    system_attrs: dict[str, Any]


@dataclass
class CheckpointSaved(Fact):
    """A checkpoint without news: of a step that was reported before, or of a trial told to stop."""

    kind: ClassVar[str] = "checkpoint"
    unsaid: ClassVar[frozenset[str]] = _FILE
    step: int
    path: str
    value: float | None = None
    bytes: int | None = None
    sha256: str | None = None
    source: str | None = None
    copied: bool | None = None


@dataclass
class CheckpointDamaged(Fact):
    """A checkpoint is not as it was when it was reported: the trial goes on without it."""

    kind: ClassVar[str] = "damaged"
    path: str
    what: str
    attempt: int | None = None


@dataclass
class CheckpointsRemoved(Fact):
    """The checkpoints of a trial that has ended were removed, for room or by request."""

    kind: ClassVar[str] = "removed"
    reason: str
    path: str | None = None


@dataclass
class ArtifactWritten(Fact):
    """A trial, or the search, has written a file or folder for people to look at."""

    kind: ClassVar[str] = "artifact"
    name: str
    path: str


@dataclass
class Noticed(Fact):
    """Something that its user should know, in a sentence."""

    kind: ClassVar[str] = "noticed"
    unsaid: ClassVar[frozenset[str]] = frozenset({"attempt", "step"})
    text: str
    attempt: int | None = None
    step: int | None = None


@dataclass
class Differed(Fact):
    """An attempt reported otherwise than an earlier one did: the trial is not repeatable."""

    kind: ClassVar[str] = "differed"
    attempt: int
    step: int
    metrics: dict[str, float]
    before: dict[str, float | None]


@dataclass
class Refused(Fact):
    """A report that its session refused: it counts for nothing."""

    kind: ClassVar[str] = "refused"
    attempt: int
    step: int
    metrics: dict[str, float]
    message: str


@dataclass
class Failed(Fact):
    """An attempt failed: `cause` is a kind of `study.failures`; `again`: another one follows."""

    kind: ClassVar[str] = "failed"
    written: ClassVar[Mapping[str, str]] = {"cause": "kind"}
    cause: str
    message: str
    again: bool = True
    attempt: int | None = None
    traceback: str | None = None
    digest: str = ""


@dataclass
class Retried(Fact):
    """Its user wants a failed trial to be run again, as a new one."""

    kind: ClassVar[str] = "retried"


@dataclass
class Told(Fact):
    """How a trial ended; `constraint` is 1 where samplers should learn to avoid its place."""

    kind: ClassVar[str] = "told"
    state: TrialState
    values: list[float] | None
    reason: str
    constraint: int = 0
    best_step: int | None = None
    best_checkpoint: str | None = None
    duplicate_of: int | None = None


@dataclass
class Tested(Fact):
    """The metrics of the test split of a trial that has ended, or why there are none."""

    kind: ClassVar[str] = "tested"
    role: str | None
    metrics: dict[str, float] | None
    error: str | None = ""


@dataclass
class Requested(Fact):
    """Another process asked the driver for something: to stop the search, or a trial."""

    kind: ClassVar[str] = "requested"
    action: str
    request: int | None = None
    trial: int | None = None


@dataclass
class Noted(Fact):
    """The notes of a search were replaced."""

    kind: ClassVar[str] = "noted"
    notes: str


@dataclass
class Tagged(Fact):
    """Tags of a search were set, or taken away where they are null; perhaps its group."""

    kind: ClassVar[str] = "tagged"
    tags: dict[str, str | None]
    group: str | None = None


@dataclass
class Extended(Fact):
    """A search may have so many trials in all, and take so many seconds; null: no limit."""

    kind: ClassVar[str] = "extended"
    trials: int | None
    time: float | None = None


@dataclass
class Recoded(Fact):
    """A search goes on with other code."""

    kind: ClassVar[str] = "recoded"
    code: dict[str, Any]


@dataclass
class Renamed(Fact):
    """A search has another name and folder from now on."""

    kind: ClassVar[str] = "renamed"
    name: str
    former: str
    folder: str


@dataclass
class Resumed(Fact):
    """A driver goes on with a search that an earlier one left at that time (ms since 1970)."""

    kind: ClassVar[str] = "resumed"
    unsaid: ClassVar[frozenset[str]] = frozenset({"concurrent"})
    command: str = ""
    left: float | None = None
    concurrent: int | None = None


@dataclass
class DriverEnded(Fact):
    """A driver ended; `best` is the best trial so far."""

    reason: str = ""
    best: int | None = None


@dataclass
class Finished(DriverEnded):
    """A search is finished: nothing is left to do."""

    kind: ClassVar[str] = "finished"


@dataclass
class Interrupted(DriverEnded):
    """A signal ended the driver."""

    kind: ClassVar[str] = "interrupted"


@dataclass
class Stopped(DriverEnded):
    """A search was stopped: by request, by a failure of all trials, by a limit."""

    kind: ClassVar[str] = "stopped"


@dataclass
class Paused(DriverEnded):
    """The time box of the driver is over: the same command goes on."""

    kind: ClassVar[str] = "paused"


@dataclass
class Unknown(Fact):
    """An event of a kind that this version does not know: a newer one wrote it."""

    name: str
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Its kind, as it is written."""
        return self.name

    def plain(self) -> dict[str, Any]:
        """What was written."""
        return dict(self.body)
