"""Training steps of a detector on a GPU: images a second, memory, and who waits for it.

Of DETR with ResNet-50 on random pictures of 800 × 1,184 with seven objects each, in single
precision and with autocast to bfloat16, with the backbone as it is and compiled: the time of a step
(gradient and update), the most memory that tensors take, and each place that makes the host wait
for the device. `losses/matching.py` waits for the costs of all layers and images, which travel
together, and for the pairs that come of them; nothing else in a step should. Run by

    python -m benchmarks.detectors_gpu
    python -m benchmarks.detectors_gpu --device cpu --images 1 --size 64

of which the second only shows that it runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from benchmarks.representations_gpu import MATCHING, PRECISIONS, STEPS, WARM_UP, Measured, waits_of
from trainables.core import loop, measuring
from trainables.detr.config import Detection
from trainables.detr.experiment import DetectionExperiment

HEIGHT, WIDTH, OBJECTS = 800, 1184, 7


def measured(
    config: Detection, device: torch.device, size: tuple[int, int], steps: int = STEPS
) -> Measured:
    """So many steps of a configuration on pictures of a height and width, after some more."""
    step = a_step(config, device, size)
    on_gpu = device.type == "cuda"
    for _ in range(WARM_UP if on_gpu else 0):
        step()
    waits = waits_of(step) if on_gpu else {}
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    seconds: list[float] = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        if on_gpu:
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated(device) / 1e9 if on_gpu else None
    return Measured(statistics.median(seconds), peak, waits)


def a_step(config: Detection, device: torch.device, size: tuple[int, int]) -> Callable[[], None]:
    """Gradient and update of one batch, which is on the device."""
    torch.manual_seed(0)
    experiment = DetectionExperiment(config).to(device).train()
    measuring.prepare(experiment.networks(), config.training)
    optimizer = experiment.optimizer(experiment.parameter_groups())
    batch = {name: one.to(device) for name, one in a_batch(config, size).items()}

    def step() -> None:
        loop.backward(experiment, batch, 1, device)
        optimizer.step()
        optimizer.zero_grad()

    return step


def a_batch(config: Detection, size: tuple[int, int]) -> dict[str, Tensor]:
    """Random pictures and objects; the last picture is three quarters as high and wide."""
    images = config.training.batch_size
    sizes = torch.tensor(size).repeat(images, 1)
    sizes[-1] = sizes[-1] * 3 // 4
    pictures = torch.randn(images, 3, *size)
    pictures[-1, :, sizes[-1, 0] :] = pictures[-1, :, :, sizes[-1, 1] :] = 0
    counts = torch.full((images,), OBJECTS)
    return {
        "images": pictures,
        "sizes": sizes,
        "classes": torch.randint(1, config.data.facts.num_classes, (images, OBJECTS)),
        "boxes": 0.3 + 0.3 * torch.rand(images, OBJECTS, 4),
        "counts": counts,
        "batch_counts": counts.expand(images, -1),
    }


def main(
    device: torch.device,
    *,
    images: int = 8,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    steps: int = STEPS,
) -> list[Measured]:
    """Prints a line for each precision, compiled and not, and the waits below it.

    Raises:
        ValueError: there is no such device.
    """
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device must be cpu where there is no GPU, got cuda")
    print(f"{'backbone':<12}{'precision':>10}{'images':>8}{'ms':>10}{'images/s':>10}{'peak GB':>9}")
    found: list[Measured] = []
    # A CPU would spend minutes on compiling.
    for is_compiled, precision in product((False, True)[: 1 + (device.type == "cuda")], PRECISIONS):
        values = {
            "backbone.pretrained": False,
            "training.precision": precision,
            "training.compile": is_compiled,
            "training.batch_size": images,
            "training.num_micro_batches": 1,
        }
        one = measured(Detection().with_values(values), device, size, steps)
        peak = "·" if one.peak is None else f"{one.peak:.2f}"
        print(
            f"{'compiled' if is_compiled else 'as it is':<12}{precision:>10}{images:>8}"
            f"{1e3 * one.seconds:>10.1f}{images / one.seconds:>10.1f}{peak:>9}",
            flush=True,
        )
        for line, count in one.waits.items():
            note = "" if MATCHING in line else "  unexpected"
            print(f"    waits {count} × in {line}{note}")
        found.append(one)
    if device.type == "cuda":
        print(f"{sum(len(one.unexpected) for one in found)} lines wait that should not")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--images", type=int, default=8, help="of a batch")
    parser.add_argument("--size", type=int, help="height and width; 800 × 1,184 if not given")
    parser.add_argument("--steps", type=int, default=STEPS)
    asked = parser.parse_args()
    sides = (asked.size, asked.size) if asked.size else (HEIGHT, WIDTH)
    try:
        main(asked.device, images=asked.images, size=sides, steps=asked.steps)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
