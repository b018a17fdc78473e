"""Training steps of representations on a GPU: images a second, memory, and who waits for it.

Of the default of the first generation (two views of 128², 64 images) and of that of the second (two
of 224² and four of 96², 32 images, a frozen network of random weights), in single precision and
with autocast to bfloat16: the time of a step (gradient and update), the most memory that tensors
take, and each place that makes the host wait for the device, by the line that does so. Slots are
matched on the host, so `losses/matching.py` waits once for the cosines of a step and once for what
comes of them; nothing else in a step should. Beside this the loop reads loss and gradient norm, in
`core/loop.py`, to end a run that has diverged.

Without a GPU it says so, and does a step of a few images on the CPU. Run by

    python -m benchmarks.representations_gpu
"""

from __future__ import annotations

import argparse
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
from trainables.core.measuring import device_of_runs
from trainables.osc import views
from trainables.osc.config import Representation, second_generation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.parts import TimmBackbone

CONFIGURATIONS = {
    "first generation, 2 × 128²": Representation(),
    "second generation, 2 × 224² + 4 × 96²": second_generation(
        backbone=TimmBackbone(pretrained=False)
    ),
}
PRECISIONS = ("float32", "bfloat16")
MATCHING = "losses/matching.py"
WARM_UP, STEPS = 5, 20


@dataclass(frozen=True)
class Measured:
    """Seconds of a step, median; GB that tensors take at most (None on a CPU); waits by line."""

    seconds: float
    peak: float | None
    waits: dict[str, int]

    @property
    def unexpected(self) -> dict[str, int]:
        """Waits elsewhere than where slots are matched."""
        return {line: count for line, count in self.waits.items() if MATCHING not in line}


def measured(config: Representation, device: torch.device, steps: int = STEPS) -> Measured:
    """So many steps of a configuration, after some that are not counted."""
    step = a_step(config, device)
    on_gpu = device.type == "cuda"
    for _ in range(WARM_UP if on_gpu else 0):
        step()
    waits = waits_of(step) if on_gpu else {}
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = [_timed(step, device) for _ in range(steps)]
    peak = torch.cuda.max_memory_allocated(device) / 1e9 if on_gpu else None
    return Measured(statistics.median(seconds), peak, waits)


def a_step(config: Representation, device: torch.device) -> Callable[[], None]:
    """Gradient and update of one batch of random views, which are on the device."""
    torch.manual_seed(0)
    experiment = RepresentationExperiment(config).to(device).train()
    optimizer = experiment.optimizer(experiment.parameter_groups())
    batch = {name: one.to(device) for name, one in _batch(config, experiment).items()}

    def step() -> None:
        loop.backward(experiment, batch, 1, device)
        optimizer.step()
        optimizer.zero_grad()
        experiment.after_update(1)

    return step


def waits_of(step: Callable[[], None]) -> dict[str, int]:
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


def main(steps: int = STEPS, images: int | None = None) -> list[Measured]:
    """Prints a line for each configuration and precision, and the waits below it."""
    device, found = device_of_runs(), list[Measured]()
    if device.type != "cuda":
        images, steps = images or 2, min(steps, 2)
        print("There is no GPU: a few images on the CPU, whose figures say nothing of a GPU.")
    print(f"{'step':<48}{'precision':>10}{'images':>8}{'ms':>10}{'images/s':>10}{'peak GB':>9}")
    for name, config in CONFIGURATIONS.items():
        for precision in PRECISIONS:
            size = images or config.training.batch_size
            values = {"training.precision": precision, "training.batch_size": size}
            one = measured(config.with_values(values), device, steps)
            peak = "·" if one.peak is None else f"{one.peak:.2f}"
            print(
                f"{name:<48}{precision:>10}{size:>8}{1e3 * one.seconds:>10.1f}"
                f"{size / one.seconds:>10.1f}{peak:>9}",
                flush=True,
            )
            for line, count in one.waits.items():
                note = "" if MATCHING in line else "  unexpected"
                print(f"    waits {count} × in {line}{note}")
            found.append(one)
    if device.type == "cuda":
        print(f"{sum(len(one.unexpected) for one in found)} lines wait that should not")
    return found


def _batch(config: Representation, experiment: RepresentationExperiment) -> dict[str, Tensor]:
    """Random views of each image, and the draws of their queries."""
    size, small = config.training.batch_size, config.small_crops
    kinds = [("", 2, config.views.size)]
    if small is not None:
        kinds.append(("small_", small.count, small.size))
    places, batch = torch.arange(size), dict[str, Tensor]()
    for prefix, count, side in kinds:
        batch[f"{prefix}views"] = torch.rand(size, count, 3, side, side)
        draws = views.query_draws(
            experiment.model, side, config.queries.num_slots, 0, prefix, 1, places, count
        )
        batch |= {f"{prefix}{name}": one for name, one in draws.items()}
    return batch


def _timed(step: Callable[[], None], device: torch.device) -> float:
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--images", type=int, help="of a batch; that of the configuration if none")
    asked = parser.parse_args()
    main(asked.steps, asked.images)
