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

import torch
from torch import Tensor

from benchmarks.gpu import PRECISIONS, STEPS, Measured, a_step, conclude, heading, show
from benchmarks.gpu import measured as measured_steps
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
_WIDTH = 48


def measured(config: Representation, device: torch.device, steps: int = STEPS) -> Measured:
    """So many steps of a configuration, on random views that are on the device."""
    torch.manual_seed(0)
    experiment = RepresentationExperiment(config).to(device).train()
    return measured_steps(a_step(experiment, _batch(config, experiment), device), device, steps)


def main(steps: int = STEPS, images: int | None = None) -> list[Measured]:
    """Prints a line for each configuration and precision, and the waits below it."""
    device, found = device_of_runs(), list[Measured]()
    if device.type != "cuda":
        images, steps = images or 2, min(steps, 2)
        print("There is no GPU: a few images on the CPU, whose figures say nothing of a GPU.")
    print(heading(_WIDTH))
    for name, config in CONFIGURATIONS.items():
        for precision in PRECISIONS:
            size = images or config.training.batch_size
            values = {"training.precision": precision, "training.batch_size": size}
            found.append(measured(config.with_values(values), device, steps))
            show(name, _WIDTH, precision, size, found[-1])
    conclude(found, device)
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--images", type=int, help="of a batch; that of the configuration if none")
    asked = parser.parse_args()
    main(asked.steps, asked.images)
