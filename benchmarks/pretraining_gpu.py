"""Training steps of pretraining on a GPU: images a second, memory, and who waits for it.

Of DINO with ViT-S/16 as its code has it (two views of 224² and eight of 96², 65,536 prototypes), of
SimCLR with ResNet-50 on two views of 224², and of MoCo with ResNet-18 on two of 32² with a queue of
65,536 keys, on random views, in single precision and with autocast to bfloat16: the time of a step
(gradient, update, and what moves behind it), the most memory that tensors take, and each place that
makes the host wait for the device: none should. Then how many views a second the device makes of
pictures that lie on it, and how many the host. Run by

    python -m benchmarks.pretraining_gpu
    python -m benchmarks.pretraining_gpu --images 2 --steps 1

Without a GPU it says so, and does steps of two images on the CPU.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor

from benchmarks.gpu import PRECISIONS, STEPS, Measured, a_step, conclude, heading, show
from benchmarks.gpu import measured as measured_steps
from trainables.core import measuring
from trainables.core.measuring import device_of_runs
from trainables.data.multi_crop import DRAWS, multi_crop_large, multi_crop_small
from trainables.ssl.config import Pretraining
from trainables.ssl.pretraining import PretrainingExperiment

_TWO = {"views.kind": "contrastive", "optimizer.final_weight_decay": None}
CONFIGURATIONS = {
    "DINO, ViT-S/16, 2 × 224² + 8 × 96²": {
        "model.kind": "timm",
        "model.name": "vit_small_patch16_224",
        "views.size": 224,
        "views.local_crop_input_factor": 224 / 96,
        "views.small.count": 8,
        "method.head.prototypes": 65_536,
        "training.batch_size": 64,
    },
    "SimCLR, ResNet-50, 2 × 224²": {
        **_TWO,
        "method.kind": "simclr",
        "model.kind": "timm",
        "model.name": "resnet50",
        "views.size": 224,
        "training.batch_size": 128,
    },
    "MoCo, ResNet-18, 2 × 32², 65,536 keys": {
        **_TWO,
        "method.kind": "moco",
        "method.queue": 65_536,
        "model.kind": "timm",
        "model.name": "resnet18",
        "views.size": 32,
        "training.batch_size": 512,
    },
}
_WIDTH = 40


class OnRandomViews(PretrainingExperiment):
    """Without images: as if there were as many as in ImageNet."""

    @property
    def num_examples(self) -> int:
        """Of its training split."""
        return 1_281_167


def configuration(name: str, precision: str, images: int | None = None) -> Pretraining:
    """One of `CONFIGURATIONS` for images of three channels."""
    values = {"data.name": "cifar10", "training.num_micro_batches": 1, **CONFIGURATIONS[name]}
    values["training.precision"] = precision
    if images is not None:
        values["training.batch_size"] = images
    return Pretraining().with_values(values)


def measured(config: Pretraining, device: torch.device, steps: int = STEPS) -> Measured:
    """So many steps of a configuration, on random views that are on the device."""
    torch.manual_seed(0)
    experiment = OnRandomViews(config).to(device).train()
    measuring.prepare(experiment.networks(), config.training)
    return measured_steps(a_step(experiment, a_batch(config), device), device, steps)


def a_batch(config: Pretraining) -> dict[str, Tensor]:
    """Random views [B, V, 3, S, S] of each image, and labels [B]."""
    images, views = config.training.batch_size, config.views
    large, *small = config.sides().values()
    count = 2 if views.kind == "multi_crop" else views.count
    batch = {"large_views": torch.randn(images, count, 3, large, large)}
    if views.kind == "multi_crop" and small:
        batch["small_views"] = torch.randn(images, views.small.count, 3, small[0], small[0])
    return {**batch, "labels": torch.randint(10, (images,))}


def views_a_second(device: torch.device, images: int, side: int = 224, rounds: int = 3) -> float:
    """Of two large and eight small views of each of so many random pictures of a side."""
    pictures = torch.rand(images, 3, side, side, device=device)
    draws = torch.rand(2, images, 8, DRAWS, device=device)
    seconds: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        multi_crop_large(pictures, draws[0, :, :2], side, scale=(0.4, 1.0))
        multi_crop_small(pictures, draws[1], round(side * 96 / 224), scale=(0.05, 0.4))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 10 * images / min(seconds)


def main(steps: int = STEPS, images: int | None = None) -> list[Measured]:
    """Prints a line for each configuration and precision, with its waits, then views a second."""
    device, found = device_of_runs(), list[Measured]()
    if device.type != "cuda":
        images, steps = images or 2, min(steps, 2)
        print("There is no GPU: two images on the CPU, whose figures say nothing of a GPU.")
    print(heading(_WIDTH))
    for name in CONFIGURATIONS:
        for precision in PRECISIONS:
            config = configuration(name, precision, images)
            found.append(measured(config, device, steps))
            show(name, _WIDTH, precision, config.training.batch_size, found[-1])
    conclude(found, device)
    for place in dict.fromkeys((device, torch.device("cpu"))):
        print(f"{views_a_second(place, images or 64):.0f} views a second on {place.type}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pretraining_gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--images", type=int, help="of a batch; that of the configuration if none")
    asked = parser.parse_args()
    main(asked.steps, asked.images)
