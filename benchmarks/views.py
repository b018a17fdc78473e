"""What views of images cost: our pipelines, those of the originals, and torchvision's.

Of random pictures of 240 × 320, as bytes, all views of a setting are made, as float numbers that
are standardised: ours for a batch at once, the original's through `tf.data` and torchvision's
picture after picture. Processor seconds of one thread, medians of rounds in turn. The originals are
checkouts of github.com/baldassarreFe/iclr-osc-22 at a0995bc and at afd6043, which are imported and
run, not changed, but for the axes of a helper of Keras whose defaults are others by now; without
them there are ours and torchvision's alone. Run by

    python -m benchmarks.views --first CHECKOUT --second CHECKOUT
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from trainables.data.scenes.store import Scenes
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.networks import CENTRED, IMAGENET
from trainables.osc.objectives import Loss
from trainables.settings.crops import ContrastiveCrops, PublishedCrops, SmallCrops, TurnedCrops

HEIGHT, WIDTH, BATCH = 240, 320, 64
POOL = 100_000
"""Boxes that the second original draws from; it has ten times as many, made once."""

Make = Callable[[int], int]
"""Makes the views of so many pictures; returns how many numbers they have."""


class Setting(NamedTuple):
    """What is made of a picture, and who else makes it: `first`, `second` or `torchvision`."""

    name: str
    crops: PublishedCrops | TurnedCrops | ContrastiveCrops
    peer: str

    @property
    def small(self) -> SmallCrops | None:
        """The small crops, if there are any."""
        if isinstance(self.crops, TurnedCrops) and self.crops.small.count:
            return self.crops.small
        return None

    @property
    def numbers(self) -> int:
        """How many the views of a picture have."""
        small = 0 if self.small is None else self.small.count * self.small.size**2
        return 3 * (2 * self.crops.size**2 + small)


SETTINGS = (
    Setting("published, 2 × 128²", PublishedCrops(), "first"),
    Setting("turned, 2 × 128²", TurnedCrops(size=128, small=SmallCrops(count=0)), "second"),
    Setting("turned, 2 × 224² + 4 × 96²", TurnedCrops(), "second"),
    Setting("contrastive, 2 × 128²", ContrastiveCrops(), "torchvision"),
)


class Pictures:
    """Random pictures in the place of the scenes of a store."""

    def __init__(self) -> None:
        self._stored = _pictures()

    def images(self, positions: np.ndarray) -> np.ndarray:
        """Bytes [B, H, W, 3] at these positions, which go on behind the last picture."""
        return self._stored[positions % len(self._stored)]


def ours(setting: Setting) -> Make:
    """All views of a batch at once, as training makes them."""
    mean, deviation = _standard(setting)
    has_small = isinstance(setting.crops, TurnedCrops) and setting.crops.small.count > 0
    loss = Loss(objects="sim_img", small_crops=float(has_small))
    config = Representation(views=setting.crops, loss=loss)
    experiment, pictures = RepresentationExperiment(config), cast(Scenes, Pictures())

    def make(count: int) -> int:
        numbers = 0
        for step, places in enumerate(torch.arange(count).split(BATCH)):
            made = experiment.views(pictures, places.numpy(), "benchmark", step, places)
            numbers += sum(((one - mean) / deviation).numel() for one in made.values())
        return numbers

    return make


def first(checkout: Path, setting: Setting) -> Make:
    """Two views of each picture by the first generation."""
    tf = _tensorflow(checkout)
    data = importlib.import_module("osc.data.utils")
    mean, deviation = IMAGENET
    assert isinstance(setting.crops, PublishedCrops)
    augment = partial(
        data.augment_train,
        crop_size=(setting.crops.size,) * 2,
        crop_scale=setting.crops.area,
        mean=mean,
        std=deviation,
    )
    twice = data.augment_twice(
        data.wrap_with_seed(augment, initial_seed=1), data.wrap_with_seed(augment, initial_seed=2)
    )
    return partial(_counted, _rows(tf).map(twice))


def second(checkout: Path, setting: Setting) -> Make:
    """All views of each picture by the second generation."""
    tf = _tensorflow(checkout)
    data: Any = importlib.import_module("osc.data.augmentations")
    boxes = importlib.import_module("osc.data.random_boxes").generate_random_boxes
    data.apply_affine_transform = partial(data.apply_affine_transform, row_axis=0, col_axis=1)
    assert isinstance(setting.crops, TurnedCrops)
    small, mean, deviation = setting.crops.small, *CENTRED

    def pool(area: tuple[float, float], seed: int) -> Any:
        return tf.convert_to_tensor(boxes(*area, 0.66, 1.5, POOL, seed), dtype=tf.float32)

    augment = partial(
        data.augment_train,
        large_boxes=pool(setting.crops.area, 1),
        large_num_crops=2,
        large_strength=setting.crops.strength,
        large_crop_hw=(setting.crops.size,) * 2,
        small_boxes=pool(small.area, 2),
        small_num_crops=small.count,
        small_strength=small.strength,
        small_crop_hw=(small.size,) * 2,
        normalize_mean=tf.constant(mean),
        normalize_std=tf.constant(deviation),
    )
    return partial(_counted, data.zip_with_seeds(_rows(tf), 1, num_parallel_calls=1).map(augment))


def by_torchvision(setting: Setting) -> Make:
    """SimCLR's two views of each picture, as torchvision's users put them together."""
    from torchvision.transforms import v2

    size, strength = setting.crops.size, 1.0
    mean, deviation = IMAGENET
    rate = 0.8 * strength
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(size, antialias=False),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(rate, rate, rate, 0.2 * strength)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(2 * (size // 20) + 1, (0.1, 2.0))], 0.5),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, deviation),
        ]
    )
    pictures = torch.from_numpy(_pictures()).permute(0, 3, 1, 2)

    def make(count: int) -> int:
        taken = (pictures[number % len(pictures)] for number in range(count))
        return sum(transform(one).numel() + transform(one).numel() for one in taken)

    return make


def seconds(make: Make, count: int, numbers: int) -> float:
    """Processor seconds a picture.

    Raises:
        ValueError: not all views have been made.
    """
    start = time.process_time()
    found = make(count)
    spent = time.process_time() - start
    if found != count * numbers:
        raise ValueError(f"views must have {count * numbers} numbers, got {found}")
    return spent / count


def main(checkouts: dict[str, Path], rounds: int = 5, count: int = 64) -> None:
    """Prints a line for each setting, as soon as it is measured."""
    torch.set_num_threads(1)
    print(
        f"{'CPU ms a picture':<30}{'peer':>14}{'its':>10}{'ours':>10}{'times':>22}{'a second':>10}"
    )
    for setting in SETTINGS:
        theirs, own = measured(setting, checkouts.get(setting.peer), rounds, count)
        mine = statistics.median(own)
        cells = f"{'·':>14}{'·':>10}{1e3 * mine:>10.2f}{'·':>22}"
        if theirs:
            ratios = [one / other for one, other in zip(theirs, own, strict=True)]
            times = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} … {max(ratios):.2f})"
            its = 1e3 * statistics.median(theirs)
            cells = f"{setting.peer:>14}{its:>10.2f}{1e3 * mine:>10.2f}{times:>22}"
        print(f"{setting.name:<30}{cells}{1 / mine:>10.0f}", flush=True)
    print(
        f"medians of {rounds} rounds of {count} pictures, one thread; "
        f"load average {os.getloadavg()[0]:.1f}"
    )


def measured(
    setting: Setting, checkout: Path | None, rounds: int, count: int
) -> tuple[list[float], list[float]]:
    """Seconds a picture of the peer, if it is there, and of ours, round by round."""
    make = ours(setting)
    found: tuple[list[float], list[float]] = ([], [])
    with _peer(setting, checkout) as theirs:
        for turn in range(rounds + 1):
            both = [
                [theirs(count)] if theirs else [],
                [seconds(make, count, setting.numbers)],
            ]
            for values, more in zip(found, both, strict=True):
                values += more if turn else []  # the first one builds graphs
    return found


@contextlib.contextmanager
def _peer(setting: Setting, checkout: Path | None) -> Generator[Callable[[int], float] | None]:
    """Seconds a picture of whoever else makes these views, in a process of its own; or nobody."""
    if checkout is None and setting.peer != "torchvision":
        yield None
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, _begin, (setting, checkout)) as pool:
        yield lambda count: pool.submit(_round, count).result()


_working: list[tuple[Make, int]] = []
"""What this process makes, in a process of a peer."""


def _begin(setting: Setting, checkout: Path | None) -> None:
    torch.set_num_threads(1)
    if checkout is None:
        make = by_torchvision(setting)
    else:
        make = {"first": first, "second": second}[setting.peer](checkout, setting)
    _working.append((make, setting.numbers))


def _round(count: int) -> float:
    [(make, numbers)] = _working
    return seconds(make, count, numbers)


def _tensorflow(checkout: Path) -> Any:
    """TensorFlow on one thread, with the original on the path of imports."""
    sys.path[:0] = [str(checkout / "src"), str(checkout / "src" / "packages")]
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf


def _rows(tf: Any) -> Any:
    """The pictures again and again, on one thread."""
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    return tf.data.Dataset.from_tensor_slices(_pictures()).repeat().with_options(options)


def _counted(rows: Any, count: int) -> int:
    return sum(sum(int(np.prod(one.shape)) for one in row) for row in rows.take(count))


def _pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, HEIGHT, WIDTH, 3), dtype=np.uint8)


def _standard(setting: Setting) -> tuple[Tensor, Tensor]:
    values = CENTRED if isinstance(setting.crops, TurnedCrops) else IMAGENET
    mean, deviation = (torch.tensor(one)[:, None, None] for one in values)
    return mean, deviation


def _checkouts(given: Sequence[tuple[str, Path | None]]) -> dict[str, Path]:
    """Those that are given.

    Raises:
        LookupError: it is no checkout.
    """
    found = {name: path for name, path in given if path is not None}
    for name, path in found.items():
        if not (path / "src" / "osc").is_dir():
            raise LookupError(f"--{name} must be a folder with src/osc/ in it, got {path}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=Path, help="a checkout of the first generation")
    parser.add_argument("--second", type=Path, help="a checkout of the second generation")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=64, help="pictures of a round")
    asked = parser.parse_args()
    main(_checkouts((("first", asked.first), ("second", asked.second))), asked.rounds, asked.count)
