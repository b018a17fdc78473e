"""The path of a training through the space of weights, from its checkpoints."""

# n checkpoints.

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables.core import checkpoint
from trainables.core.experiment import Experiment
from trainables.metrics import directions
from trainables.metrics.directions import Weights


class Projected(NamedTuple):
    """Where networks lie on a plane, [n, 2], the last one at (0, 0); and the share of their
    distances from it, squared, that lies in the plane, in 0…1.
    """

    places: Tensor
    share: float


def check(folder: Path, experiment: Experiment) -> None:
    """Refuses a folder of checkpoints of other networks than those of an experiment.

    Raises:
        ValueError: the first one is no checkpoint, or of another experiment or network.
    """
    first = min(folder.rglob("*.pt"))
    try:
        saved = checkpoint.read(first)
        if saved.experiment != experiment.config.name:
            family = saved.experiment or "an earlier version"
            raise ValueError(f"{first} must be of {experiment.config.name}, got one of {family}")
        saved.check(experiment)
    except ValueError as error:
        raise ValueError(
            f"evaluation.landscape.path must be a folder with checkpoints of this training: {error}"
        ) from None


def networks(
    folder: Path, experiment: Experiment, module: nn.Module, names: Iterable[str]
) -> list[Weights]:
    """These tensors of a module of an experiment as they are in checkpoints, by their steps; as
    they are now behind them.
    """
    prefix = next(name for name, one in experiment.named_modules() if one is module)
    own = {name: f"{prefix}.{name}" for name in names}
    every = [checkpoint.read(file) for file in sorted(folder.rglob("*.pt"))]
    steps = {one.position.step: one for one in every}  # attempts that go on repeat some
    saved = [steps[step] for step in sorted(steps)]
    now = {name: one.detach().cpu() for name, one in module.state_dict().items()}
    found = [{name: one.model[full] for name, full in own.items()} for one in saved]
    last = {name: now[name] for name in own}
    if all(torch.equal(one, last[name]) for name, one in found[-1].items()):
        found.pop()  # the network itself
    return [*found, last]


def plane(trained: list[Weights], *, moves_vectors: bool) -> list[Weights]:
    """The two directions in which networks moved most, as long as their path reaches: places on
    them are within −1…1.

    Raises:
        ValueError: there are fewer than 3 networks.
    """
    found = directions.trajectory(trained, moves_vectors=moves_vectors)
    reach = found.places.abs().amax(0)
    reach = reach.where(reach > 0, 1.0)
    return [
        {name: one * float(size) for name, one in way.items()}
        for way, size in zip(found.directions, reach, strict=True)
    ]


def projected(trained: list[Weights], ways: list[Weights]) -> Projected:
    """Where networks lie nearest on the plane of two directions through the last of them.

    Tensors that neither of them moves do not count.
    """
    names = [name for name in ways[0] if any(one[name].count_nonzero() for one in ways)]
    rows = torch.stack([_flat(directions.difference(trained[-1], one), names) for one in trained])
    basis = torch.stack([_flat(one, names) for one in ways], 1)
    products = basis.T @ basis
    places = torch.linalg.lstsq(products, (rows @ basis).T, driver="gelsd").solution.T
    total = float(rows.square().sum())
    share = float((places @ basis.T).square().sum()) / total if total else 0.0
    return Projected(places, share)


def _flat(one: Weights, names: list[str]) -> Tensor:
    return torch.cat([one[name].detach().double().cpu().flatten() for name in names])
