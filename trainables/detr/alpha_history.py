"""Each α of attention over the steps of a run."""

# A numbers α, P points in time, L layers, H heads.

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables.detr.building import attentions
from trainables.detr.networks import DETR
from trainables.figures.alphas import alphas_by_step
from trainables.layers.learned_alpha import LearnedAlpha
from trainables.layers.multihead import MultiHeadAttention

POINTS = 129
"""Of a run, both ends included: more than a picture tells apart."""


class Course(NamedTuple):
    """What was noted of one kind of attention."""

    steps: Tensor
    """[P], int64."""
    alphas: Tensor
    """[P, L, H]"""
    layers: list[int]
    """Which layers learn their α, from 0."""


class AlphaHistory(nn.Module):
    """Each α at `POINTS` steps at most, evenly over a run.

    They are buffers, so that a resumed run has those from before, too.
    """

    steps: Tensor
    alphas: Tensor

    def __init__(self, network: DETR) -> None:
        super().__init__()
        number = len(_now(network))
        self.register_buffer("steps", torch.full((POINTS,), -1))
        self.register_buffer("alphas", torch.zeros(POINTS, number))
        self._note(0, 0, network)

    def note(self, network: DETR, step: int, total: int) -> None:
        """Keeps what α is after a step, if a point is due; the last step always is."""
        place = step * (POINTS - 1) // total
        if place != (step - 1) * (POINTS - 1) // total:
            self._note(place, step, network)

    def _note(self, place: int, step: int, network: DETR) -> None:
        self.steps[place] = step
        self.alphas[place] = _now(network)

    def courses(self, network: DETR) -> dict[str, Course]:
        """What was noted, by the kind of attention."""
        is_there = self.steps >= 0
        steps, alphas = self.steps[is_there].cpu(), self.alphas[is_there].cpu()
        order = steps.argsort()
        learned = [(kind, layer, one.heads) for kind, layer, one, _ in _learned(network)]
        columns = alphas[order].split([heads for _, _, heads in learned], 1)
        found: dict[str, Course] = {}
        for kind in dict.fromkeys(kind for kind, _, _ in learned):
            own = [place for place, one in enumerate(learned) if one[0] == kind]
            values = torch.stack([columns[place] for place in own], 1)
            found[kind] = Course(steps[order], values, [learned[place][1] for place in own])
        return found

    def figures(self, network: DETR) -> dict[str, Callable[[Path], None]]:
        """Functions that write a PNG each: α over steps; but for `cross` with the kind behind."""
        return {
            "steps" if kind == "cross" else f"steps-{kind}": partial(
                alphas_by_step,
                steps=course.steps,
                alphas=course.alphas,
                layers=course.layers,
                title=f"α of {kind} while it is learned",
            )
            for kind, course in self.courses(network).items()
        }


def _learned(network: DETR) -> list[tuple[str, int, MultiHeadAttention, LearnedAlpha]]:
    """Attention that learns its α: kind, layer, module, α."""
    return [
        (kind, layer, one, alpha)
        for kind, layer, one in attentions(network)
        if isinstance(alpha := getattr(one.simplex, "alpha", None), LearnedAlpha)
    ]


def _now(network: DETR) -> Tensor:
    """Each α as it is, by kind, layer and head, [A]."""
    alphas = [alpha.alpha.detach().expand(one.heads) for _, _, one, alpha in _learned(network)]
    return torch.cat(alphas)
