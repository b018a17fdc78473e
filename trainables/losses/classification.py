"""Losses of classifiers: smoothed and soft targets, hard examples, and classes of uneven size.

Logits are [B, C], labels int64 [B] in 0…C−1; all losses are scalars, means over the batch, or [B]
with the `reduction` `none`; at least 0 if targets are labels; log C where all logits are equal.
"""

# B examples, C classes.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from trainables.layers.checks import check_choice

Smoothing = Literal["all", "others"]
Reduction = Literal["mean", "none"]


def smoothed(
    labels: Tensor,
    classes: int,
    smoothing: float,
    share: Smoothing = "all",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Targets [B, C] that sum to 1, with the share ε = `smoothing` taken from the label.

    `all`: ε is spread over all classes, (1 − ε) + ε/C and ε/C (Szegedy et al. 2016, section 7, and
    torch); `others`: over the others, 1 − ε and ε/(C − 1), so that 1 − 1/C is uniform.

    Raises:
        LookupError: the share is not known.
        ValueError: ε is not in 0…1, or there are no others.
    """
    check_choice("share", share, ("all", "others"))
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing must be in 0…1, got {smoothing:g}")
    if share == "others" and classes < 2:
        raise ValueError(f"classes must be at least 2 to share with others, got {classes}")
    own = functional.one_hot(labels, classes).to(dtype)
    if share == "all":
        return own * (1 - smoothing) + smoothing / classes
    return own * (1 - smoothing) + (1 - own) * (smoothing / (classes - 1))


def soft_cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor | None = None, reduction: Reduction = "mean"
) -> Tensor:
    """−Σ_c w_c t_c log softmax(u)_c of targets [B, C] that sum to 1, as mixed labels are.

    `weights` [C] of the classes (None: 1). A mean over the batch, also with weights, where torch
    divides by those of the labels. At least the entropy of the targets.
    """
    if weights is not None:
        targets = targets * weights
    return _reduced(-(targets * torch.log_softmax(logits, -1)).sum(-1), reduction)


def focal(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma: float = 2.0,
    weights: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """−α_y (1 − p_y)^γ log p_y of the softmax p: Lin et al. 2017, equation 5, of many classes.

    γ = 0 is the cross-entropy; the larger, the less count examples that are learned. `weights` [C]
    are α (None: 1).

    Raises:
        ValueError: γ is negative.
    """
    if gamma < 0:
        raise ValueError(f"gamma must be at least 0, got {gamma:g}")
    logarithm = torch.log_softmax(logits, -1).gather(-1, labels[:, None])[:, 0]
    each = -logarithm
    if gamma:
        # Where p is 1 a power below 1 of 0 has an infinite slope: as small as a number can be.
        rest = -torch.expm1(logarithm)
        each = each * rest.clamp(min=torch.finfo(rest.dtype).tiny) ** gamma
    return _reduced(each if weights is None else each * weights[labels], reduction)


def adjusted(logits: Tensor, counts: Tensor, tau: float = 1.0) -> Tensor:
    """Logits u + τ log π [B, C] with the shares π of classes in the training set, `counts` / Σ.

    Menon et al. 2021, equation 10; with τ = 1 the balanced softmax of Ren et al. 2020. In training
    alone: without it, logits then are those of classes equally frequent. A class without examples
    has −∞, and must be no label.
    """
    if tau == 0:  # where a class has no example, 0 · −∞
        return logits
    shares = counts.to(logits.dtype) / counts.sum()
    return logits + tau * shares.log()


def class_balanced_weights(counts: Tensor, beta: float = 0.999) -> Tensor:
    """Weights [C] ∝ (1 − β) / (1 − β^n), of mean 1, of classes with n = `counts` [C] examples.

    Cui et al. 2019, equation 4. β = 0 weighs all alike, β = 1 by 1/n, its limit. Float64.

    Raises:
        ValueError: β is not in 0…1, or a class has no example.
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta must be in 0…1, got {beta:g}")
    if int(counts.min()) < 1:
        raise ValueError(f"counts must be at least 1 for each class, got {int(counts.min())}")
    number = counts.double()
    if beta < 1:
        number = -torch.expm1(number * torch.tensor(beta, dtype=torch.float64).log())
    weights = 1 / number
    return weights * (len(counts) / weights.sum())


def _reduced(each: Tensor, reduction: Reduction) -> Tensor:
    """Losses [B], or their mean."""
    check_choice("reduction", reduction, ("mean", "none"))
    return each.mean() if reduction == "mean" else each
