"""What a reader is, and what it has read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class FoundReport:
    """Metrics of one step, as a program wrote them.

    `step` is a whole number from 0, on the clock of whoever wrote it; `metrics` may hold NaN and
    infinities; `source` says who: `raysearch`, `output`, `wandb`, `mlflow`, `tensorboard`, `csv`.
    """

    step: int
    metrics: dict[str, float]
    source: str


class Reader(Protocol):
    """Follows one kind of output of a program."""

    def poll(self, last: bool = False) -> list[FoundReport]:
        """What is new since the last call, in the order in which it was written.

        Files that are new may be found a moment later, unless this is the last call.
        It never raises for a file that is damaged, gone or half written.
        """
        ...
