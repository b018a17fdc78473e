"""What a step costs on a GPU: its time, the most memory, and each line that makes the host wait."""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import trainables
from trainables.core import loop
from trainables.core.experiment import Batch, Experiment

PRECISIONS = ("float32", "bfloat16")
MATCHING = "losses/matching.py"
"""Where slots and queries are matched on the host."""
WARM_UP, STEPS = 5, 20

Step = Callable[[], None]


@dataclass(frozen=True)
class Measured:
    """Seconds of a step, median; GB that tensors take at most (None on a CPU); waits by line."""

    seconds: float
    peak: float | None
    waits: dict[str, int]

    @property
    def unexpected(self) -> dict[str, int]:
        """Waits elsewhere than where things are matched."""
        return {line: count for line, count in self.waits.items() if MATCHING not in line}


def a_step(experiment: Experiment, batch: dict[str, Tensor], device: torch.device) -> Step:
    """Gradient and update of one batch, by an experiment that is on the device."""
    optimizer = experiment.optimizer(experiment.parameter_groups())
    placed: Batch = {name: one.to(device) for name, one in batch.items()}

    def step() -> None:
        loop.backward(experiment, placed, 1, device)
        experiment.after_backward(1)
        optimizer.step()
        optimizer.zero_grad()
        experiment.after_update(1)

    return step


def measured(step: Step, device: torch.device, steps: int = STEPS) -> Measured:
    """So many steps, on a GPU after some that are not counted."""
    on_gpu = device.type == "cuda"
    for _ in range(WARM_UP if on_gpu else 0):
        step()
    waits = waits_of(step) if on_gpu else {}
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = [_timed(step, device) for _ in range(steps)]
    peak = torch.cuda.max_memory_allocated(device) / 1e9 if on_gpu else None
    return Measured(statistics.median(seconds), peak, waits)


def waits_of(step: Step) -> dict[str, int]:
    """How often each line makes the host wait for the GPU in a step.

    torch warns of each; warnings of the backward pass are shown at the line that began it.
    """
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return dict(
        Counter(
            f"{_place(one.filename)}:{one.lineno}"
            for one in said
            if "synchroniz" in str(one.message)
        )
    )


def heading(width: int) -> str:
    """What stands above the lines of `line`."""
    return (
        f"{'step':<{width}}{'precision':>10}{'images':>8}{'ms':>10}{'images/s':>10}{'peak GB':>9}"
    )


def show(name: str, width: int, precision: str, images: int, found: Measured) -> None:
    """Prints a line, and the waits below it."""
    peak = "·" if found.peak is None else f"{found.peak:.2f}"
    print(
        f"{name:<{width}}{precision:>10}{images:>8}{1e3 * found.seconds:>10.1f}"
        f"{images / found.seconds:>10.1f}{peak:>9}",
        flush=True,
    )
    for line, count in found.waits.items():
        note = "" if MATCHING in line else "  unexpected"
        print(f"    waits {count} × in {line}{note}")


def conclude(found: list[Measured], device: torch.device) -> None:
    """Prints how many lines wait that should not, where that can be known."""
    if device.type == "cuda":
        print(f"{sum(len(one.unexpected) for one in found)} lines wait that should not")


def _timed(step: Step, device: torch.device) -> float:
    """Seconds by the clock, until the device has done all of it."""
    start = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _place(filename: str) -> str:
    """A file of ours by its path in the project, any other by its name alone."""
    root = Path(trainables.__file__).parents[1]
    path = Path(filename)
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name
