"""Why loss landscapes of all networks looked smooth and alike: each cause by itself.

Four networks are trained on 500 digits that are scaled up to 16 × 16 pixels: a residual network of
56 layers, the same without its skip connections, one convolution, a perceptron. The loss of some of
these pictures around each is computed on planes that differ in one thing at a time from how
landscapes were published (Gaussian directions, ±1 norm of the weights, 31 × 31 points, heights cut
off at 10 and logarithmic):

- directions whose numbers are uniform between 0 and 1, and which move biases and gains too;
- ±5 norms; 15 × 15 points; heights as they are.

Everything is computed in this process, on one thread; networks and surfaces that are in the folder
are taken from there. Run by

    python -m benchmarks.landscapes --folder FOLDER [--pictures 500] [--sheet SHEET.png]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from scipy.stats import spearmanr

from trainables.core import checkpoint
from trainables.core.randomness import derive
from trainables.core.session import LocalSession
from trainables.data.choosing import stratified
from trainables.figures import landscape as figures
from trainables.metrics import directions as ways
from trainables.metrics.landscape import (
    Classification,
    Landscape,
    cached,
    content,
    coordinates,
    landscape,
)
from trainables.metrics.roughness import (
    heights,
    local_minima,
    not_finite,
    roughness,
    share_below,
)
from trainables.ssl.config import Supervised
from trainables.ssl.experiment import SupervisedExperiment

PICTURES, SIDE, STEPS = 500, 16, 900
NETWORKS: dict[str, Mapping[str, Any]] = {
    "ResNet-56": {"model.kind": "residual", "model.depth": 56},
    "ResNet-56 without skips": {"model.kind": "residual", "model.depth": 56, "model.skips": False},
    "one convolution": {"model.kind": "convolution", "optimizer.lr": 0.02},
    "perceptron": {"model.kind": "perceptron", "optimizer.lr": 0.02},
}
"""By name; residual ones with the rate of He et al. 2016, 0.1."""
KINDS: tuple[ways.Kind, ...] = ("gaussian", "uniform")
DISTANCES, RESOLUTIONS = (1.0, 5.0), (15, 31)
DRAWN: Mapping[str, Mapping[str, Any]] = {
    "clipped log": {"ceiling": 10.0, "logs": True},
    "linear": {"ceiling": None, "logs": False},
}
"""How heights are drawn, by name."""
COLUMNS = (
    "as published, 31² points",
    "15² points",
    "15², uniform directions",
    "15², ±5 norms",
    "15², linear heights",
)
"""Of the sheet."""
VISIBLE = 0.01
"""What is nearer than this share of the height of a picture to its floor or its top looks flat."""


@dataclass(frozen=True)
class Plane:
    """A plane through a network, and the cosine of its directions."""

    network: str
    kind: ways.Kind
    distance: float
    resolution: int
    cosine: float
    found: Landscape


def config(name: str, seed: int = 0) -> Supervised:
    """How a network is trained: SGD with momentum 0.9 and a cosine of the rate."""
    return Supervised().with_values(
        {
            "data.limit": PICTURES,
            "optimizer.kind": "sgd",
            "optimizer.lr": 0.1,
            "training.steps": STEPS,
            "training.batch_size": 32,
            "training.evaluate_every": STEPS,
            "training.save_every": STEPS,
            "training.seed": seed,
            **NETWORKS[name],
            "model.image_size": SIDE,
        }
    )


def trained(name: str, folder: Path) -> SupervisedExperiment:
    """A network from the folder, or trained into it."""
    settings = config(name)
    own = folder / name.replace(" ", "_")
    kept = sorted(own.glob("checkpoints/*"))
    if not kept:
        own.mkdir(parents=True, exist_ok=True)
        session = LocalSession(own)
        SupervisedExperiment.run(settings.to_json(), session)
        scores = {k: v for k, v in session.reports[STEPS].items() if k.count("/") == 1}
        print(f"{name}: {scores}", flush=True)
        kept = sorted(own.glob("checkpoints/*"))
    experiment = SupervisedExperiment.create(settings.to_json())
    experiment.load()
    checkpoint.read(kept[-1]).restore(experiment)
    return experiment


def planes(experiment: SupervisedExperiment, name: str, pictures: int, folder: Path) -> list[Plane]:
    """All planes through a network."""
    train = experiment._data.train
    chosen = torch.from_numpy(stratified(train.labels.numpy(), pictures, 0))
    network = experiment.network.eval().to(memory_format=torch.channels_last)
    data = train.take(chosen), train.labels[chosen]
    measure = Classification(network, *data)
    weights = dict(network.named_parameters())
    found: list[Plane] = []
    for resolution, distance, kind in product(RESOLUTIONS, DISTANCES, KINDS):
        both = [
            ways.random_direction(
                weights,
                derive(0, "landscape direction", index),
                kind=kind,
                moves_vectors=kind == "uniform",
            )
            for index in (0, 1)
        ]
        axes = [coordinates(distance, resolution)] * 2
        key = content(ways.state(network), data, "cross entropy", both, axes)
        start = time.process_time()
        surface = cached(
            folder / "surfaces",
            key,
            lambda both=both, axes=axes: landscape(network, measure, both, axes),
        )
        spent = time.process_time() - start
        one = Plane(name, kind, distance, resolution, ways.cosine(*both), surface)
        print(row(one, "clipped log"), f"{spent:.1f} CPU s", flush=True)
        found.append(one)
    return found


def row(plane: Plane, drawn: str) -> str:
    """A line of the table."""
    numbers = measured(plane, drawn)
    told = " | ".join(f"{number:.3g}" for number in numbers.values())
    where = f"{plane.kind} | ±{plane.distance:g} | {plane.resolution}² | {drawn}"
    return f"| {plane.network} | {where} | {told} |"


def measured(plane: Plane, drawn: str) -> dict[str, float]:
    """What is said of a plane in numbers, drawn in one way."""
    losses = plane.found.losses
    high = heights(losses, **DRAWN[drawn])
    known = high[high.isfinite()]
    low, span = known.min(), known.max() - known.min()
    shown = (high > low + VISIBLE * span) & (high < low + (1 - VISIBLE) * span)
    return {
        "centre": float(plane.found.at(0.0, 0.0)[0]),
        "median": float(losses.nanmedian()),
        "largest": float(losses.nan_to_num(0, posinf=torch.inf).max()),
        "not finite": not_finite(losses) / losses.numel(),
        "below 10": share_below(losses),
        "visible": float(shown.double().mean()),
        "roughness": roughness(high),
        "minima": float(local_minima(losses)),
        "cosine": plane.cosine,
    }


def alike(first: Plane, second: Plane) -> float:
    """Spearman's rank correlation of two surfaces, what is not finite highest."""
    one, other = (
        plane.found.losses.nan_to_num(torch.inf, posinf=torch.inf).flatten().numpy()
        for plane in (first, second)
    )
    found: Any = spearmanr(one, other)
    return float(found.statistic)


def pairs(found: list[Plane]) -> Iterator[tuple[Plane, Plane]]:
    """With and without skips, on the same plane."""
    first, second = (
        {(p.kind, p.distance, p.resolution): p for p in found if p.network == name}
        for name in list(NETWORKS)[:2]
    )
    return ((one, second[key]) for key, one in first.items())


def shown(found: list[Plane], name: str) -> list[tuple[Any, Any, Any, bool] | None]:
    """A row of the sheet: the published way with many and with few points, and each other cause."""
    known = {(p.resolution, p.kind, p.distance): p.found for p in found if p.network == name}
    few, many = RESOLUTIONS
    cells: list[tuple[Any, Any, Any, bool] | None] = []
    for key, is_log in (
        ((many, "gaussian", 1.0), True),
        ((few, "gaussian", 1.0), True),
        ((few, "uniform", 1.0), True),
        ((few, "gaussian", 5.0), True),
        ((few, "gaussian", 1.0), False),
    ):
        one = known.get(key)
        cells.append(None if one is None else (one.axes[0], one.axes[1], one.losses, is_log))
    return cells


def main(folder: Path, pictures: int, sheet: Path | None) -> None:
    """Trains, computes and prints; draws the sheet if there is a place for it."""
    torch.set_num_threads(1)
    found: list[Plane] = []
    start = time.process_time()
    for name in reversed(NETWORKS):
        found = planes(trained(name, folder), name, pictures, folder) + found
    print(f"\n{time.process_time() - start:.0f} CPU s\n")
    names = list(measured(found[0], "linear"))
    print("| network | directions | range | points | heights | " + " | ".join(names) + " |")
    print("|---" * (5 + len(names)) + "|")
    for plane, drawn in product(found, DRAWN):
        print(row(plane, drawn))
    if sheet is not None:
        cells = [shown(found, name) for name in NETWORKS]
        figures.sheet(sheet, COLUMNS, list(NETWORKS), cells)
    print("\nrank correlation of ResNet-56 with and without skips")
    for first, second in pairs(found):
        where = f"{first.kind}, ±{first.distance:g}, {first.resolution}²"
        print(f"{where}: {alike(first, second):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    main(given.folder, given.pictures, given.sheet)
