"""Loss landscapes: a loss on a line or a plane through the weights of a network."""

# K values at a point (the loss first), A and B points along the axes.

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.core.files import written
from trainables.metrics.directions import Weights

Measure = Callable[[], Tensor]
"""Looks at a network as it is now, on examples that stay: [K], the loss first."""


@dataclass(frozen=True)
class Landscape:
    """Where a loss was computed, and what it was.

    `axes` are the coordinates along each direction, one or two; `values` [A, K] or [A, B, K] in
    double precision, on the CPU; the first of K is the loss. What is not a number stays so.
    """

    axes: tuple[Tensor, ...]
    values: Tensor

    @property
    def losses(self) -> Tensor:
        """[A] or [A, B]."""
        return self.values[..., 0]

    def at(self, *place: float) -> Tensor:
        """The values [K] at a point of the grid.

        Raises:
            LookupError: it is no point of the grid.
        """
        found: list[int] = []
        for axis, one in zip(self.axes, place, strict=True):
            here = (axis == one).nonzero()
            if not len(here):
                raise LookupError(f"{one:g} is no coordinate of the landscape")
            found.append(int(here[0, 0]))
        return self.values[tuple(found)]


def coordinates(distance: float, number: int) -> Tensor:
    """An odd number of points from −distance to distance, the middle one exactly 0; float64.

    Raises:
        ValueError: the number is even, so that the network itself would be no point, or below 3.
    """
    if number < 3 or number % 2 == 0:
        raise ValueError(
            f"resolution must be odd and at least 3, so that the network itself is a point, got "
            f"{number}"
        )
    half = number // 2
    return torch.arange(-half, half + 1, dtype=torch.float64) * distance / half


def coarse_to_fine(counts: Sequence[int]) -> list[tuple[int, ...]]:
    """The cells of a grid, each once: those of coarser grids within it before the others.

    Strides are divisors of counts − 1, each of the one before: of 31 points those at every 30th
    place, then every 15th, 5th, and all.
    """
    chains = [_strides(count - 1) for count in counts]
    found: dict[tuple[int, ...], None] = {}
    for level in range(max(map(len, chains))):
        steps = [chain[min(level, len(chain) - 1)] for chain in chains]
        places = [range(0, count, step) for count, step in zip(counts, steps, strict=True)]
        found |= dict.fromkeys(product(*places))
    return list(found)


def _strides(length: int) -> list[int]:
    """From the length to 1, each divided by its smallest factor."""
    found = [max(length, 1)]
    while found[-1] > 1:
        whole = found[-1]
        factor = next((f for f in range(2, whole + 1) if whole % f == 0), whole)
        found.append(whole // factor)
    return found


def landscape(
    network: nn.Module,
    measure: Measure,
    directions: Sequence[Weights],
    axes: Sequence[Tensor],
    *,
    known: Landscape | None = None,
    alive: Callable[[], object] = lambda: None,
) -> Landscape:
    """A loss at θ + αδ (+ βη) for all α and β of the axes.

    Weights are composed where they are, in the network's own tensors, which have their values again
    at the end whatever happens; buffers that a direction names move too. The network is in
    evaluation mode meanwhile, and nothing has a gradient. Cells are computed from coarse to fine.

    Args:
        network: has the tensors that directions name, as parameters or floating buffers.
        measure: its loss; it must be of fixed examples.
        directions: one or two, as many as axes.
        axes: coordinates along each, float64.
        known: cells of its coordinates are not computed again. It must be of the same network,
            measure and directions.
        alive: called before each cell.

    Raises:
        LookupError: a direction names a tensor that the network does not have.
        ValueError: there are not as many directions as axes.
    """
    if len(directions) != len(axes) or not 1 <= len(axes) <= 2:
        raise ValueError(
            f"directions must be as many as axes, one or two, got {len(directions)} and {len(axes)}"
        )
    done = _cells(known) if known is not None else {}
    found: dict[tuple[int, ...], Tensor] = {}
    with _moving(network, directions) as move:
        for cell in coarse_to_fine([len(axis) for axis in axes]):
            place = tuple(float(axis[i]) for axis, i in zip(axes, cell, strict=True))
            if place not in done:
                alive()
                move(place)
                done[place] = measure().detach().double()
            found[cell] = done[place]
    whole = torch.stack([found[cell] for cell in sorted(found)])
    shape = (*(len(axis) for axis in axes), whole.shape[-1])
    return Landscape(tuple(axis.double().cpu() for axis in axes), whole.cpu().view(shape))


def _cells(known: Landscape) -> dict[tuple[float, ...], Tensor]:
    places = product(*(axis.tolist() for axis in known.axes))
    return dict(zip(places, known.values.flatten(0, -2), strict=True))


@contextmanager
def _moving(
    network: nn.Module, directions: Sequence[Weights]
) -> Generator[Callable[[Sequence[float]], None]]:
    """Within, a function that sets the weights at coordinates."""
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    names = list(directions[0])
    if strange := [name for one in directions for name in one if name not in tensors]:
        raise LookupError(f"the network has no tensor {strange[0]!r} to be moved")
    names = [name for name in names if any(one[name].count_nonzero() for one in directions)]
    own = [tensors[name].data for name in names]
    start = [one.clone() for one in own]
    steps = [[one[name].to(tensors[name]) for name in names] for one in directions]

    def move(place: Sequence[float]) -> None:
        torch._foreach_copy_(own, start)  # pyright: ignore[reportPrivateImportUsage]
        for step, by in zip(steps, place, strict=True):
            if by:
                torch._foreach_add_(own, step, alpha=by)  # pyright: ignore[reportPrivateImportUsage]

    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield move if names else lambda place: None
    finally:
        if names:
            torch._foreach_copy_(own, start)  # pyright: ignore[reportPrivateImportUsage]
        for module, mode in modes:
            module.training = mode


class Classification:
    """Cross entropy in nats, mean over images, and accuracy: a `Measure` [2] of fixed images.

    Images [N, C, H, W] and labels [N] stay where the network is, in batches that are made once.
    """

    def __init__(
        self,
        predict: Callable[[Tensor], Tensor],
        images: Tensor,
        labels: Tensor,
        *,
        batch_size: int = 128,
        label_smoothing: float = 0.0,
    ) -> None:
        self._predict, self._smoothing, self._number = predict, label_smoothing, len(labels)
        by = images.to(memory_format=torch.channels_last) if images.ndim == 4 else images
        self._batches = list(zip(by.split(batch_size), labels.split(batch_size), strict=True))

    def __call__(self) -> Tensor:
        """[loss, accuracy], on the device, in double precision."""
        found = [self._summed(*batch) for batch in self._batches]
        return torch.stack(found).sum(0) / self._number

    def _summed(self, images: Tensor, labels: Tensor) -> Tensor:
        logits = self._predict(images)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = functional.cross_entropy(
            logits, labels, reduction="sum", label_smoothing=self._smoothing
        )
        right = (logits.argmax(1) == labels).sum()
        return torch.stack([loss.double(), right.double()])


def content(*parts: object) -> str:
    """SHA-256 of tensors (their types, shapes and bytes), mappings, sequences and plain values."""
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()


def _feed(digest: Any, part: object) -> None:
    if isinstance(part, Tensor):
        whole = part.detach().cpu().contiguous()
        digest.update(f"tensor {whole.dtype} {tuple(whole.shape)} ".encode())
        digest.update(whole.flatten().view(torch.uint8).numpy().tobytes())
    elif isinstance(part, Mapping):
        digest.update(f"mapping {len(part)} ".encode())
        for name in part:
            _feed(digest, str(name))
            _feed(digest, part[name])
    elif isinstance(part, list | tuple):
        digest.update(f"sequence {len(part)} ".encode())
        for one in part:
            _feed(digest, one)
    else:
        digest.update(f"{type(part).__name__} {part!r} ".encode())


def cached(folder: Path, key: str, compute: Callable[[], Landscape]) -> Landscape:
    """A landscape that was computed before under this key, or is now, and kept in the folder.

    The key is to be the `content` of all that it depends on: network, examples, loss, directions
    and axes. Another one finds nothing.
    """
    path = folder / f"{key}.npz"
    if path.exists():
        with np.load(path) as kept:
            axes = [torch.from_numpy(kept[name]) for name in sorted(kept.files) if name != "values"]
            return Landscape(tuple(axes), torch.from_numpy(kept["values"]))
    found = compute()
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {f"axis{i}": axis.numpy() for i, axis in enumerate(found.axes)}
    with written(path, is_shared=True, syncs=False) as file:
        np.savez(file, values=found.values.numpy(), **arrays)
    return found
