"""Contrasts in which classes take part with a centre of their own: PaCo, GPaCo, and the two apart.

Rows of a batch are features [N, D], N ≥ A, those of the A anchors first, with labels int64 [N];
anchors have logits [A, C] too. PaCo (Cui et al. 2021) has the B queries for anchors and the keys of
a momentum encoder behind them; GPaCo (Cui et al. 2023) has both views of one network, A = N = 2B. A
queue has further keys, of which `valid` counts. In a group of workers, give the rows of all.
"""

# A anchors, N rows, Q places of a queue, M = N + Q candidates, C classes, D width.

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from trainables.losses.classification import smoothed
from trainables.losses.similarity import normalized

_SMALLEST_SHARE = 1e-9
"""Added to the share of a class, as the published code does: one without examples stays finite."""


class Candidates(NamedTuple):
    """Keys [Q, D] of length 1 of earlier batches, their labels int64 [Q], and which count [Q]."""

    keys: Tensor
    labels: Tensor
    valid: Tensor


def parametric_contrast(
    features: Tensor,
    labels: Tensor,
    logits: Tensor,
    queue: Candidates | None = None,
    *,
    temperature: float,
    alpha: float,
    beta: float = 1.0,
    gamma: float = 1.0,
    logit_temperature: float = 1.0,
    smoothing: float = 0.0,
    counts: Tensor | None = None,
    adjustment: float = 1.0,
) -> Tensor:
    """The mean over anchors of −Σ_p w_p log(e^{l_p} / (Σ_c e^{l_c} + γ Σ_{a≠j} e^{l_a})) / Σ_p w_p.

    Classes c have l = (u_c + t·log π_c) / `logit_temperature`, candidates a l = cos / τ. Weights
    are β for the class of the anchor (1 − ε of it with `smoothing` ε, the rest shared by the
    others) and α for each candidate of its label but itself, as in the authors' code. π are the
    shares of `counts` [C] (None: none is added), t the `adjustment`, 1 as published. With α = γ = 0
    it is the cross-entropy of the logits.

    Raises:
        ValueError: α, β or γ is negative, or both α and β are 0.
    """
    _check(alpha=alpha, beta=beta, gamma=gamma)
    if alpha + beta == 0:
        raise ValueError("alpha or beta must be above 0, got 0 for both")
    scores, is_candidate, is_positive = _compared(features, labels, len(logits), queue, temperature)
    centres = _with_shares(logits, counts, adjustment) / logit_temperature
    total = torch.logsumexp(centres, 1)
    if gamma:
        others = torch.logsumexp(scores.masked_fill(~is_candidate, -torch.inf), 1)
        total = torch.logaddexp(total, others + math.log(gamma))
    own = labels[: len(logits)]
    of_class = beta * smoothed(own, logits.shape[1], smoothing, "others", logits.dtype)
    of_rows = alpha * is_positive
    hits = (of_class * centres).sum(1) + (of_rows * scores).sum(1)
    return (total - hits / (of_class.sum(1) + of_rows.sum(1))).mean()


def multi_task(
    features: Tensor,
    labels: Tensor,
    logits: Tensor,
    queue: Candidates | None = None,
    *,
    temperature: float,
    alpha: float = 0.5,
    counts: Tensor | None = None,
    adjustment: float = 1.0,
    weights: Tensor | None = None,
) -> Tensor:
    """The cross-entropy of the logits, plus α times SupCon of the anchors among all candidates.

    What PaCo and GPaCo are compared with: both losses side by side. With `counts` [C] the first is
    that of u + t·log π, t the `adjustment`, at 1 the balanced softmax; `weights` [C] weigh anchors
    in the second, such as `losses.classification.class_balanced_weights`. Anchors without positives
    count 0 there.

    Raises:
        ValueError: α is negative.
    """
    _check(alpha=alpha)
    scores, is_candidate, is_positive = _compared(features, labels, len(logits), queue, temperature)
    own = labels[: len(logits)]
    centres = _with_shares(logits, counts, adjustment)
    total = torch.logsumexp(scores.masked_fill(~is_candidate, -torch.inf), 1)
    number = is_positive.sum(1)
    each = torch.where(number > 0, total - (scores * is_positive).sum(1) / number.clamp(min=1), 0.0)
    if weights is not None:
        each = each * weights[own]
    return functional.cross_entropy(centres, own) + alpha * each.mean()


def _compared(
    features: Tensor, labels: Tensor, anchors: int, queue: Candidates | None, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Of anchors and candidates cos / τ [A, M], which are compared, and which have one label."""
    rows = normalized(features)
    kinds, is_there = labels, torch.ones_like(labels, dtype=torch.bool)
    candidates = rows
    if queue is not None:
        candidates = torch.cat([rows, queue.keys])
        kinds = torch.cat([kinds, queue.labels])
        is_there = torch.cat([is_there, queue.valid])
    itself = torch.arange(anchors, device=rows.device)[:, None]
    is_candidate = is_there.expand(anchors, -1).scatter(1, itself, False)
    is_positive = (labels[:anchors, None] == kinds) & is_candidate
    return rows[:anchors] @ candidates.T / temperature, is_candidate, is_positive


def _with_shares(logits: Tensor, counts: Tensor | None, adjustment: float) -> Tensor:
    if counts is None:
        return logits
    shares = counts.to(logits.dtype) / counts.sum()
    return logits + adjustment * (shares + _SMALLEST_SHARE).log()


def _check(**weights: float) -> None:
    for name, value in weights.items():
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value:g}")
