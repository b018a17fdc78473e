"""Learning rate and its like as pure functions of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal


def warm_up(step: int, warm_up_steps: int) -> float:
    """Linear from 1/(n+1) at step 0 to n/(n+1) at step n−1, then 1; so no step has rate 0.

    `step` counts from 0; returns a factor in (0, 1].
    """
    return min(1.0, (step + 1) / (warm_up_steps + 1))


def cosine(step: int, total: int, warm_up_steps: int = 0, floor: float = 0.0) -> float:
    """Factor of the peak rate at `step` (from 0): linear warm-up, then half a cosine to `floor`.

    After the warm-up of w steps it is floor + (1 − floor)·(1 + cos(π·(step − w)/(total − w)))/2
    (SGDR, Loshchilov and Hutter 2017, eq. 5, one period). Bounds: [floor, 1] without the warm-up.
    """
    if step < warm_up_steps:
        return warm_up(step, warm_up_steps)
    progress = (step - warm_up_steps) / max(total - warm_up_steps, 1)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def linear(step: int, total: int, warm_up_steps: int = 0, floor: float = 0.0) -> float:
    """As `cosine`, with a straight line from 1 to `floor`."""
    if step < warm_up_steps:
        return warm_up(step, warm_up_steps)
    progress = (step - warm_up_steps) / max(total - warm_up_steps, 1)
    return 1 - (1 - floor) * min(progress, 1.0)


def constant(step: int, total: int, warm_up_steps: int = 0, floor: float = 0.0) -> float:
    """1 after the warm-up."""
    return warm_up(step, warm_up_steps)


def exponential(
    step: int, total: int, warm_up_steps: int = 0, floor: float = 0.0, half_life: float = 1.0
) -> float:
    """As `cosine`, with a decay by the same factor each step: 2^(−1/half-life in steps).

    floor + (1 − floor)·2^(−(step − w)/half_life), w the warm-up; it does not depend on `total`. A
    decay by r every d steps has the half-life d · ln ½ ÷ ln r.
    """
    if step < warm_up_steps:
        return warm_up(step, warm_up_steps)
    return floor + (1 - floor) * 2 ** (-(step - warm_up_steps) / half_life)


def half_lives(updates: int, warm_up_steps: int, first: float, half_life: float | None) -> float:
    """Factor of the peak rate after t `updates`: first + (1 − first)·t/W, then 2^(−(t − W)/h).

    W are the steps of the warm-up, h is the half-life in steps (None: no decay). The schedule of
    Slot Attention (Locatello et al. 2020, appendix), with a decay that begins behind the warm-up.
    """
    if updates < warm_up_steps:
        return first + (1 - first) * updates / warm_up_steps
    return 1.0 if half_life is None else 2 ** (-(updates - warm_up_steps) / half_life)


def three_phases(
    updates: int,
    total: int,
    *,
    warm_up_steps: int,
    hold_steps: int = 0,
    first: float = 0.0,
    floor: float = 0.0,
    decay: Literal["cosine", "exponential"] = "cosine",
) -> float:
    """Factor of the peak rate after t `updates` of `total`: up, down, and on at the floor.

    first + (1 − first)·t/W for t ≤ W, the steps of the warm-up, so that the peak is reached behind
    W updates; then, with p = (t − W)/D in 0…1 and D the steps that are neither, floor +
    (1 − floor)·(1 + cos πp)/2 or floor^p; from W + D on the floor.

    Raises:
        ValueError: an exponential decay to 0.
    """
    if decay == "exponential" and floor <= 0:
        raise ValueError(f"floor of an exponential decay must be above 0, got {floor:g}")
    if updates < warm_up_steps:
        return first + (1 - first) * updates / warm_up_steps
    progress = min(1.0, (updates - warm_up_steps) / max(total - warm_up_steps - hold_steps, 1))
    if decay == "exponential":
        return floor**progress
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def cosine_between(step: int, total: int, start: float, end: float) -> float:
    """From `start` at step 0 to `end` at step total − 1, on half a cosine.

    end + (start − end)·(1 + cos(π·step/(total − 1)))/2, constant behind that.
    """
    progress = min(1.0, step / max(total - 1, 1))
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))


def cosine_of_dino(
    step: int, total: int, *, start: float, end: float, warm_up_steps: int = 0, first: float = 0.0
) -> float:
    """A value at `step` (from 0) of `total`, as the code of DINO has it (Caron et al. 2021).

    Evenly from `first` at step 0 to `start` at step w − 1, w the steps of the warm-up; then end +
    (start − end)·(1 + cos(π·(step − w)/(total − w)))/2. So a rate is 0 at its first step, at its
    peak twice, and never at `end`; a warm-up of one step has `first` alone.
    """
    if step < warm_up_steps:
        return first + (start - first) * step / max(warm_up_steps - 1, 1)
    progress = min(1.0, (step - warm_up_steps) / max(total - warm_up_steps, 1))
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))


def evenly(place: int, number: int, start: float, end: float) -> float:
    """From `start` at place 0 to `end` at place number − 1, evenly, and `end` behind that.

    Of no places it is `end`, of a single one `start` at place 0.
    """
    if place >= number:
        return end
    return start + (end - start) * place / max(number - 1, 1)


def drops(epoch: int, at: Sequence[int], factor: float) -> float:
    """Factor of the first rate in an epoch (from 0): × `factor` behind each of so many epochs.

    factor^k, k the number of those in `at` that are over: at 200, epoch 199 is the last of the
    first rate.
    """
    return factor ** sum(epoch >= one for one in at)


def piecewise(step: float, knots: Sequence[tuple[float, float]]) -> float:
    """A value at `step`: on straight lines between knots (step, value), constant beyond the ends.

    Raises:
        ValueError: there is no knot, or their steps do not rise.
    """
    steps = [knot for knot, _ in knots]
    if not steps or any(after <= before for before, after in pairwise(steps)):
        raise ValueError(f"steps of knots must rise, got {steps}")
    if step <= steps[0]:
        return knots[0][1]
    for (before, low), (after, high) in pairwise(knots):
        if step <= after:
            return low + (high - low) * (step - before) / (after - before)
    return knots[-1][1]


SCHEDULES = {
    "cosine": cosine,
    "linear": linear,
    "constant": constant,
    "exponential": exponential,
}
