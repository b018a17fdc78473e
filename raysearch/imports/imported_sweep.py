"""An imported sweep: another tool's space, metric and budget in our terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from raysearch.imports.programs import ProgramCall
from raysearch.sweeps.distributions import Distribution
from raysearch.sweeps.sweep import Metric


@dataclass(frozen=True)
class Parameter:
    """One parameter: sampled from `range`, or always `value` where there is none.

    `count` is how many values the other tool gives it (None: infinitely many); `remark` says what
    differs from there, or where a number comes from.
    """

    path: str
    range: Distribution | None
    value: object = None
    count: int | None = 1
    remark: str = ""


@dataclass(frozen=True)
class ImportedSweep:
    """A sweep of another tool.

    `points` is how many points that tool would run of its grid, as it enumerates them; None if it
    samples from infinitely many. `repeats` is how many seeds of each are among them. `conditions`
    has, for a parameter that only some variants of a part have, the path of the variant and its
    values that do. `program` is what it runs, if that is kept, and `left` what
    stays as it is there: comments. `notes` say what is left out or differs; `headline` is the first
    line of what is written, if that is not where it was imported from.
    """

    tool: str
    source: str
    name: str
    sampler: str
    parameters: tuple[Parameter, ...]
    points: int | None
    pruner: str = "none"
    trials: int | None = None
    repeats: int = 1
    metric: Metric | None = None
    question: str = ""
    notes: tuple[str, ...] = ()
    conditions: Mapping[str, tuple[str, tuple[object, ...]]] = field(
        default_factory=dict[str, tuple[str, tuple[object, ...]]]
    )
    program: ProgramCall | None = None
    left: tuple[str, ...] = ()
    headline: str = ""
