"""A table of real learning curves: 700 small networks on noisy handwritten digits.

    python -m benchmarks.curves                  # what the stored table is like
    python -m benchmarks.curves --make [FILE]    # train it anew: minutes on one core

`benchmarks/digits_curves.npz` holds, of 700 random configurations of a network with one hidden
layer (11 settings, `KNOBS`), each trained with 2 seeds for 81 epochs, how many of 997 validation
images were classified rightly after each epoch. The images are scikit-learn's digits under noise
that does not change, 800 to train on. All networks of one width and batch size are trained
together, by batched matrix products; each has first weights and an order of the data of its own.
Trained twice on one machine the table is the same; another machine may round its sums otherwise.

Printed are the quantiles of the best accuracy, the share that stays at chance, the rank correlation
of each epoch with the final best and between the seeds, and how many of the leaders are in the
upper third early. A search has something to find here, and early stopping a price, if the best are
few, the first epoch says much but not all, and some curves cross.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("digits_curves.npz")
CONFIGURATIONS, SEEDS, EPOCHS = 700, 2, 81
TRAIN, NOISE = 800, 0.35
"""Images to train on; the deviation of the noise on pixels of 0…1. The other 997 validate."""


@dataclass(frozen=True)
class Knob:
    """One setting: a range, perhaps logarithmic, or choices that are in some order or in none."""

    name: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    def value(self, unit: float) -> Any:
        """The value at a place in 0…1."""
        if self.choices:
            return self.choices[min(int(unit * len(self.choices)), len(self.choices) - 1)]
        if self.log:
            return math.exp(math.log(self.low) + unit * math.log(self.high / self.low))
        return self.low + unit * (self.high - self.low)

    def place(self, value: Any) -> float:
        """Where a value is in 0…1; choices are spread evenly, the first at 0 and the last at 1."""
        if self.choices:
            return self.choices.index(value) / (len(self.choices) - 1)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


KNOBS = (
    Knob("lr", 1e-4, 2.0, log=True),
    Knob("momentum", 0.0, 0.99),
    Knob("weight_decay", 1e-6, 1e-1, log=True),
    Knob("init_scale", 0.1, 10.0, log=True),
    Knob("dropout", 0.0, 0.8),
    Knob("label_smoothing", 0.0, 0.5),
    Knob("input_noise", 0.0, 1.0),
    Knob("width", choices=(16, 32, 64)),
    Knob("batch_size", choices=(16, 64)),
    Knob("activation", choices=("relu", "tanh")),
    Knob("schedule", choices=("constant", "cosine")),
)


@dataclass(frozen=True)
class Curves:
    """The table. `units` [configurations, knobs] in 0…1, as `Knob.value` reads them; `correct`
    [configurations, seeds, epochs] validation images, of `images`.
    """

    units: np.ndarray
    correct: np.ndarray
    images: int

    @classmethod
    def load(cls, file: Path = FILE) -> Curves:
        """The stored table."""
        with np.load(file) as stored:
            return cls(stored["units"], stored["correct"], int(stored["images"]))

    def save(self, file: Path) -> None:
        """Writes it, compressed."""
        np.savez_compressed(file, units=self.units, correct=self.correct, images=self.images)

    @property
    def accuracy(self) -> np.ndarray:
        """[configurations, seeds, epochs] in 0…1."""
        return self.correct / self.images

    @property
    def places(self) -> np.ndarray:
        """[configurations, knobs] in 0…1: the coordinates in which configurations are near."""
        return np.array(
            [
                [knob.place(knob.value(unit)) for knob, unit in zip(KNOBS, row, strict=True)]
                for row in self.units
            ]
        )


def draw(count: int) -> np.ndarray:
    """Random configurations [count, knobs] in 0…1; the first ones are those of any longer draw."""
    return np.random.default_rng(0).random((count, len(KNOBS)), dtype=np.float32)


def values_of(units: np.ndarray) -> list[dict[str, Any]]:
    """The settings of each configuration, by name."""
    return [
        {knob.name: knob.value(float(unit)) for knob, unit in zip(KNOBS, row, strict=True)}
        for row in units
    ]


def make(count: int = CONFIGURATIONS, seeds: int = SEEDS, epochs: int = EPOCHS) -> Curves:
    """Trains the table; prints each group as it is done."""
    import torch

    torch.set_num_threads(1)
    units = draw(count)
    settings = values_of(units)
    images = noisy_digits()
    correct = np.zeros((count, seeds, epochs), dtype=np.uint16)
    shapes = sorted({(each["width"], each["batch_size"]) for each in settings})
    for width, batch_size in shapes:
        begin = time.process_time()
        group = [
            (index, seed)
            for index, each in enumerate(settings)
            if (each["width"], each["batch_size"]) == (width, batch_size)
            for seed in range(seeds)
        ]
        rows = [settings[index] for index, _ in group]
        for epoch, right in enumerate(_train(rows, group, images, epochs)):
            for (index, seed), number in zip(group, right, strict=True):
                correct[index, seed, epoch] = number
        spent = time.process_time() - begin
        print(f"width {width}, batches of {batch_size}: {len(group)} in {spent:.0f} s", flush=True)
    return Curves(units, correct, len(images[1]) - TRAIN)


def noisy_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images [1797, 64] and labels [1797] in an order of their own; the noise never changes."""
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    pixels, labels = np.asarray(data.data), np.asarray(data.target)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(labels))
    noise = rng.normal(0.0, NOISE, pixels.shape)
    images = (pixels[order] / 16 + noise).astype(np.float32)
    return images - images[:TRAIN].mean(), labels[order]


def _train(
    rows: list[dict[str, Any]],
    group: list[tuple[int, int]],
    images: tuple[np.ndarray, np.ndarray],
    epochs: int,
) -> Iterator[list[int]]:
    """Trains networks of one shape; after each epoch, how many images each one gets right."""
    import torch

    pixels, labels = (torch.from_numpy(array) for array in images)
    generators = [torch.Generator().manual_seed(SEEDS * index + seed) for index, seed in group]
    networks = Networks(rows, generators, pixels.shape[1])
    steps = epochs * (TRAIN // rows[0]["batch_size"])
    step = 0
    for _ in range(epochs):
        order = torch.stack([torch.randperm(TRAIN, generator=each) for each in generators])
        for batch in order.split(rows[0]["batch_size"], 1):
            networks.step(pixels[batch], labels[batch], step / steps)
            step += 1
        seen = pixels[TRAIN:].expand(len(rows), -1, -1)
        yield (networks.scores(seen).argmax(-1) == labels[TRAIN:]).sum(1).tolist()


class Networks:
    """Networks of one shape and their stochastic gradient descent with momentum.

    Of C networks: images are [C, N, pixels], labels [C, N], hidden units [C, N, width], scores and
    errors [C, N, 10]; N is a batch, or the validation images.
    """

    def __init__(self, rows: list[dict[str, Any]], generators: list[Any], pixels: int) -> None:
        import torch

        def column(name: str) -> torch.Tensor:
            return torch.tensor([float(row[name]) for row in rows])[:, None, None]

        def first(inputs: int, outputs: int) -> torch.Tensor:
            drawn = [torch.randn(inputs, outputs, generator=each) for each in generators]
            return torch.stack(drawn) * column("init_scale") / math.sqrt(inputs)

        width, batch_size = rows[0]["width"], rows[0]["batch_size"]
        self._noise = torch.Generator().manual_seed(1_000_003 * width + batch_size)
        self.weights = [first(pixels, width), torch.zeros(len(rows), 1, width)]
        self.weights += [first(width, 10), torch.zeros(len(rows), 1, 10)]
        self._velocities = [torch.zeros_like(weight) for weight in self.weights]
        self._is_relu = torch.tensor([row["activation"] == "relu" for row in rows])[:, None, None]
        self._is_cosine = torch.tensor([row["schedule"] == "cosine" for row in rows])[:, None, None]
        self._lr, self._momentum = column("lr"), column("momentum")
        self._decay, self._smoothing = column("weight_decay"), column("label_smoothing")
        self._keep, self._input_noise = 1 - column("dropout"), column("input_noise")

    def scores(self, images: Any) -> Any:
        """Of each class, [C, N, 10]."""
        w1, b1, w2, b2 = self.weights
        return b2 + self._hidden(images, w1, b1) @ w2

    def _hidden(self, images: Any, w1: Any, b1: Any) -> Any:
        before = b1 + images @ w1
        return before.relu().where(self._is_relu, before.tanh())

    def step(self, images: Any, labels: Any, share: float) -> None:
        """One step on a batch, when a share (0…1) of all steps is done."""
        rate = 0.5 + 0.5 * math.cos(math.pi * share)
        lr = self._lr * self._is_cosine.float().mul(rate - 1).add(1)
        for weight, velocity, gradient in zip(
            self.weights, self._velocities, self.gradients(images, labels), strict=True
        ):
            velocity.mul_(self._momentum).add_(gradient).add_(self._decay * weight)
            weight.sub_(lr * velocity)

    def gradients(self, images: Any, labels: Any) -> list[Any]:
        """Of the mean cross-entropy, with noise on the input, dropout and smoothed labels."""
        import torch

        w1, b1, w2, b2 = self.weights
        images = images + self._input_noise * torch.randn(images.shape, generator=self._noise)
        hidden = self._hidden(images, w1, b1)
        mask = (torch.rand(hidden.shape, generator=self._noise) < self._keep) / self._keep
        dropped = hidden * mask
        wanted = (
            torch.nn.functional.one_hot(labels, 10) * (1 - self._smoothing) + self._smoothing / 10
        )
        error = ((b2 + dropped @ w2).softmax(-1) - wanted) / images.shape[1]
        slope = (hidden > 0).float().where(self._is_relu, 1 - hidden * hidden)
        back = error @ w2.mT * mask * slope
        return [
            images.mT @ back,
            back.sum(1, keepdim=True),
            dropped.mT @ error,
            error.sum(1, keepdim=True),
        ]


def describe(curves: Curves) -> list[str]:
    """What a reader needs to judge the table, in lines."""
    accuracy = curves.accuracy
    final, best = accuracy[:, 0, -1], accuracy[:, 0].max(1)
    shares = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
    quantiles = [f"{100 * share:g} %: {np.quantile(best, share):.3f}" for share in shares]
    count = len(final)
    few, third = math.ceil(0.05 * count), count // 3
    leaders = np.argsort(-final, kind="stable")[:few]
    lines = [
        f"{count} configurations, {accuracy.shape[1]} seeds, {accuracy.shape[2]} epochs, "
        f"{curves.images} validation images",
        "best accuracy    " + ", ".join(quantiles),
        f"at chance        {100 * np.mean(best < 0.15):.0f} % of configurations stay below 0.15",
        f"best of all      at epoch {accuracy.shape[2]} {final.max():.3f}, top 1 % from "
        f"{target(curves, 0.01):.4f}, top 0.5 % from {target(curves, 0.005):.4f}",
    ]
    for epoch in (1, 3, 9, 27):
        early = accuracy[:, 0, epoch - 1]
        ahead = np.isin(leaders, np.argsort(-early, kind="stable")[:third])
        lines.append(
            f"epoch {epoch:2}         rank correlation with the final accuracy "
            f"{rank_correlation(early, final):.2f}; of the final top 5 % "
            f"{100 * ahead.mean():.0f} % are in its upper third"
        )
    other = accuracy[:, 1, -1]
    noise = np.sqrt(np.mean((final - other)[final > np.median(final)] ** 2) / 2)
    lines.append(
        f"between seeds    rank correlation {rank_correlation(final, other):.2f}, among the top "
        f"5 % {rank_correlation(final[leaders], other[leaders]):.2f}; deviation "
        f"{100 * noise:.1f} points in the better half"
    )
    return lines


def target(curves: Curves, share: float) -> float:
    """The final accuracy, with the first seed, from which on a share of the configurations are."""
    final = np.sort(curves.accuracy[:, 0, -1])[::-1]
    return float(final[math.ceil(share * len(final)) - 1])


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, with ties at their mean rank."""
    from scipy.stats import spearmanr

    found: Any = spearmanr(a, b)
    return float(found.statistic)


def main() -> None:
    """Prints what the table is like; trains it first if that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--make", nargs="?", const=FILE, type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.make is not None:
        make().save(arguments.make)
    file = arguments.make or FILE
    print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")
    print("\n".join(describe(Curves.load(file))))


if __name__ == "__main__":
    main()
