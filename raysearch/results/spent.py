"""Costs of a trial and of a search: seconds, GPU-hours, CPU-hours and energy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raysearch.costs import CPU_SECONDS, ENERGY, MEMORY

if TYPE_CHECKING:
    from raysearch.results.view import SearchView, TrialView


@dataclass(frozen=True)
class Spent:
    """Costs of one trial, or of all trials of a search together.

    `seconds` are those in which attempts ran, each by itself: two trials at once cost twice. GPU-
    and CPU-hours and watt-hours are those of all workers; `memory` in MiB is the most that was seen
    of a trial. None where it was not measured: use is looked at every 15 s, and where a trial is
    one process. Energy is that of processors by their share and of GPUs, as far as the machine
    tells it (`raysearch.trial.meter`).
    """

    seconds: float
    gpu_hours: float
    cpu_hours: float | None = None
    energy_wh: float | None = None
    memory: float | None = None

    def record(self) -> dict[str, Any]:
        """As plain JSON, with numbers as a person reads them."""
        return {
            "seconds": round(self.seconds, 1),
            "gpu_hours": round(self.gpu_hours, 4),
            "cpu_hours": _rounded(self.cpu_hours),
            "energy_wh": _rounded(self.energy_wh),
            "memory_mib": _rounded(self.memory),
        }

    def __str__(self) -> str:
        """`2.1 h of trials, 2.1 GPU-hours, 3 h of CPU, 310 Wh`."""
        parts = [f"{spelt(self.seconds)} of trials"]
        parts += [f"{self.gpu_hours:.3g} GPU-hours"] if self.gpu_hours else []
        parts += [f"{spelt(3600 * self.cpu_hours)} of CPU"] if self.cpu_hours else []
        parts += [f"{self.energy_wh:.3g} Wh"] if self.energy_wh is not None else []
        return ", ".join(parts)


def spelt(seconds: float) -> str:
    """A duration in the unit that fits it: `45 s`, `12 min`, `2.1 h`."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"


def trial_spent(view: SearchView, trial: TrialView) -> Spent:
    """What a trial cost so far, all its attempts together; nothing if it was not run here."""
    seconds = sum(_attempts(view, trial))
    spec, used = view.spec, list(trial.usage.values())
    cpu = _total(one.get(CPU_SECONDS) for one in used)
    memory = [one[MEMORY] for one in used if MEMORY in one]
    return Spent(
        seconds=seconds,
        gpu_hours=seconds * spec.gpus * spec.workers / 3600,
        cpu_hours=None if cpu is None else cpu / 3600,
        energy_wh=_total(one.get(ENERGY) for one in used),
        memory=max(memory) if memory else None,
    )


def search_spent(view: SearchView) -> Spent:
    """What all trials of a search cost so far."""
    each = [trial_spent(view, trial) for trial in view.trials.values()]
    memory = [one.memory for one in each if one.memory is not None]
    return Spent(
        seconds=sum(one.seconds for one in each),
        gpu_hours=sum(one.gpu_hours for one in each),
        cpu_hours=_total(one.cpu_hours for one in each),
        energy_wh=_total(one.energy_wh for one in each),
        memory=max(memory) if memory else None,
    )


def spent_lines(view: SearchView) -> list[str]:
    """The line of an answer that says what it cost; none before a trial has begun."""
    spent = search_spent(view)
    return [f"cost       {spent}"] if spent.seconds else []


def _attempts(view: SearchView, trial: TrialView) -> Iterable[float]:
    """The seconds of each attempt, pauses between drivers not counted.

    It ends when it failed, when its trial ended, or when the next one began.
    """
    failed = {one["attempt"]: one["time"] for one in trial.failures if "attempt" in one}
    starts = [one["time"] for one in trial.attempts]
    last = trial.ended or view.driven.until or 0
    for attempt, begin, end in zip(trial.attempts, starts, [*starts[1:], last], strict=False):
        yield view.seconds(begin, failed.get(attempt["attempt"], end))


def _total(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
