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
from itertools import product

import torch
from torch import Tensor

from benchmarks.gpu import PRECISIONS, STEPS, Measured, a_step, conclude, heading, show
from benchmarks.gpu import measured as measured_steps
from trainables.core import measuring
from trainables.detr.config import Detection
from trainables.detr.experiment import DetectionExperiment

HEIGHT, WIDTH, OBJECTS = 800, 1184, 7
_WIDTH = 22


def measured(
    config: Detection, device: torch.device, size: tuple[int, int], steps: int = STEPS
) -> Measured:
    """So many steps of a configuration on pictures of a height and width, on the device."""
    torch.manual_seed(0)
    experiment = DetectionExperiment(config).to(device).train()
    measuring.prepare(experiment.networks(), config.training)
    return measured_steps(a_step(experiment, a_batch(config, size), device), device, steps)


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
    print(heading(_WIDTH))
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
        found.append(measured(Detection().with_values(values), device, size, steps))
        name = f"backbone {'compiled' if is_compiled else 'as it is'}"
        show(name, _WIDTH, precision, images, found[-1])
    conclude(found, device)
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
