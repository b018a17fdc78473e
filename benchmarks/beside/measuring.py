"""What is measured of a pair: how far apart, how many CPU seconds each, how much memory each."""

from __future__ import annotations

import contextlib
import gc
import importlib
import math
import multiprocessing
import statistics
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.beside.pairing import Case, Step, find, package_of

_SMALL = 1e-2
"""Some gradients are 0 but for rounding, such as that of a bias that moves all scores alike. So a
difference counts against at least this share of the largest gradient of all."""

_LEAST_SECONDS, _MOST_REPEATS = 0.05, 20


class Difference(NamedTuple):
    """The largest difference of an output and of a gradient; None if there are no gradients.

    Of outputs relative to the largest value of the same output if that is above 1; of gradients to
    that of the same parameter, or to a hundredth of the largest of all if that is more.
    """

    outputs: float
    gradients: float | None


class Rounding(NamedTuple):
    """How far gradients in single precision are from those in double, of either side.

    `largest` as in `Difference`; `whole` is the norm of the difference of all gradients over the
    norm of all.
    """

    largest: tuple[float, float]
    whole: tuple[float, float]


class Seconds(NamedTuple):
    """Medians over pairs in CPU seconds, and the original's time over ours: median, least, most."""

    original: float
    ours: float
    times: float
    least: float
    most: float


class Memory(NamedTuple):
    """GB that a process has at its start, with the networks, and at its peak over two steps."""

    start: float
    peak: float


def difference(case: Case, kind: torch.dtype) -> Difference:
    """How far ours is from the original in double or single precision."""
    with _precision(kind):
        sides = case.build()
        outputs = _largest(_numbers(sides.original()), _numbers(sides.ours()), least=1.0)
        first, second = map(_numbers, sides.gradients())
    if not first:
        return Difference(outputs, None)
    whole = max(float(value.abs().max()) for value in first.values())
    return Difference(outputs, _largest(first, second, least=_SMALL * whole))


def rounding(case: Case) -> Rounding | None:
    """What single precision costs the original and ours; None if the case does not say."""
    sides = case.build()
    if sides.exact is None:
        return None
    sides.original()
    sides.ours()
    single = [
        {name: value.clone() for name, value in _numbers(one).items()} for one in sides.gradients()
    ]
    exact = _numbers(sides.exact())
    least = _SMALL * max(float(value.abs().max()) for value in exact.values())
    first, second = ((_largest(exact, one, least=least), _apart(exact, one)) for one in single)
    return Rounding(*zip(first, second, strict=True))


def _apart(exact: dict[str, Tensor], found: dict[str, Tensor]) -> float:
    apart = sum(float((found[name] - one).square().sum()) for name, one in exact.items())
    return (apart / sum(float(one.square().sum()) for one in exact.values())) ** 0.5


def seconds(case: Case, pairs: int) -> Seconds:
    """Steps of both in turn in this process, every other pair the other way round."""
    sides = case.build()
    steps = (sides.original, sides.ours)
    repeats = [_repeats(step) for step in steps]
    found: tuple[list[float], list[float]] = ([], [])
    for pair in range(pairs):
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            found[side].append(_cpu_seconds(steps[side], repeats[side]))
    ratios = [first / second for first, second in zip(*found, strict=True)]
    first, second, times = map(statistics.median, (*found, ratios))
    return Seconds(first, second, times, min(ratios), max(ratios))


def memory(checkout: Path, part: str, name: str, side: Literal["original", "ours"]) -> Memory:
    """Two steps of one side in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_memory, checkout, part, name, side).result()


def _memory(checkout: Path, part: str, name: str, side: str) -> Memory:
    torch.set_num_threads(1)
    module = importlib.import_module(f"benchmarks.beside.{part}")
    find(checkout, package_of(module))
    [case] = [one for one in module.cases() if one.name == name]
    step: Step = getattr(case.build(), side)
    start = _highest()
    step()
    step()
    return Memory(start, _highest())


def _highest() -> float:
    """The most that this process has ever had, in GB.

    Not by `getrusage`, whose figure a child inherits from its parent.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise LookupError("/proc/self/status must have a line VmHWM, it has none")


@contextlib.contextmanager
def _precision(kind: torch.dtype) -> Generator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _numbers(named: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors, arrays, numbers and lists of these, in double precision."""
    return {
        name: (
            value.detach() if isinstance(value, Tensor) else torch.from_numpy(np.asarray(value))
        ).double()
        for name, value in named.items()
    }


def _largest(first: dict[str, Tensor], second: dict[str, Tensor], *, least: float) -> float:
    """The largest difference over the largest value of `first`, but over `least` at least.

    Raises:
        LookupError: names differ.
        ValueError: shapes differ, or a difference is not a number.
    """
    if alone := set(first) ^ set(second):
        raise LookupError(f"only one side has {', '.join(sorted(alone))}")
    found = 0.0
    for name, one in first.items():
        if one.shape != second[name].shape:
            raise ValueError(
                f"{name} must have the original's shape {tuple(one.shape)}, "
                f"got {tuple(second[name].shape)}"
            )
        apart = float((one - second[name]).abs().max())
        if not math.isfinite(apart):
            raise ValueError(f"{name} must be finite, its difference is {apart}")
        found = max(found, apart / max(float(one.abs().max()), least))
    return found


def _repeats(step: Step) -> int:
    """How often a step is done for one timing, by how long the first one takes."""
    return max(1, min(_MOST_REPEATS, math.ceil(_LEAST_SECONDS / _cpu_seconds(step, 1))))


def _cpu_seconds(step: Step, repeats: int) -> float:
    gc.collect()
    start = time.process_time()
    for _ in range(repeats):
        step()
    return (time.process_time() - start) / repeats
