"""Normalisations of the updates of slots: by mass, by a constant, by statistics."""

# B images, K slots, H heads, N tokens, D width of tokens, C width of updates, R own statistics.

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.core import distributed

NORMALIZATIONS = (
    "mean",
    "constant",
    "none",
    "layer_norm",
    "batch_norm",
    "image_level",
    "learned_scale",
)
"""Names of the normalisations. The scaled mean is no name: it is `mean`, rescaled in evaluation."""


class Statistics(NamedTuple):
    """Mean and biased variance of updates, scalars or [B, 1, 1]."""

    mean: Tensor
    variance: Tensor


def weigh(
    normalization: str,
    sums: Tensor,
    mass: Tensor,
    num_tokens: int,
    *,
    constant_factor: float = 1.0,
    eps: float = 1e-8,
) -> tuple[Tensor, Tensor]:
    """Sums Σₙ Aₖₙ xₙ of tokens, weighted anew, and the sum of their weights.

    With the slot mass Sₖ = Σₙ Aₖₙ: `mean` gives Σₙ (Aₖₙ + ε) xₙ / (Sₖ + N ε), whose weights add up
    to 1; `constant` and `learned_scale` multiply by `constant_factor` / N and 1 / N; others leave
    the sums as they are. What ε adds needs no pass over tokens: as attention adds up to 1 over
    slots, Σₙ xₙ is the sum of the sums.

    Args:
        normalization: one of `NORMALIZATIONS`.
        sums: [B, K·H, D], single or double precision.
        mass: Sₖ in 0…N, [B, K·H].
        num_tokens: N.
        constant_factor: of `constant`.
        eps: ε of `mean`; keeps a slot without mass finite: it sees the mean of all tokens.
    """
    if normalization == "mean":
        total = mass + num_tokens * eps
        sums = (sums + eps * sums.sum(1, keepdim=True)) / total[..., None]
        return sums, torch.ones_like(mass)
    if normalization in ("constant", "learned_scale"):
        factor = constant_factor if normalization == "constant" else 1.0
        return sums * (factor / num_tokens), mass * (factor / num_tokens)
    return sums, mass


class Unchanged(nn.Module):
    """Updates as they are: for `mean`, `constant` and `none`."""

    def forward(
        self,
        updates: Tensor,
        iteration: int,
        carried: Statistics | None = None,
        takes_part: Tensor | None = None,
    ) -> tuple[Tensor, Statistics | None]:
        """[B, K, C] → [B, K, C]."""
        return updates, carried


class LearnedScale(nn.Module):
    """γ · updates with one learned number γ, 1 at first: a scale without centring."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(
        self,
        updates: Tensor,
        iteration: int,
        carried: Statistics | None = None,
        takes_part: Tensor | None = None,
    ) -> tuple[Tensor, Statistics | None]:
        """[B, K, C] → [B, K, C]."""
        return self.scale * updates, carried


class SlotLevel(nn.Module):
    """Layer normalisation of the update of each slot: γ ⊙ (u − mean) / √(variance + ε) + β.

    It does not see the scale of updates, and so discards the mass of a slot as the mean does.
    """

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=eps)

    def forward(
        self,
        updates: Tensor,
        iteration: int,
        carried: Statistics | None = None,
        takes_part: Tensor | None = None,
    ) -> tuple[Tensor, Statistics | None]:
        """[B, K, C] → [B, K, C]."""
        shape, kind = self.norm.normalized_shape, updates.dtype
        weight, bias = self.norm.weight.to(kind), self.norm.bias.to(kind)
        return functional.layer_norm(updates, shape, weight, bias, self.norm.eps), carried


class ImageLevel(nn.Module):
    """γ (u − m) / √(w + ε) + β with mean m and biased variance w over all slots of an image.

    γ and β are scalars. The same in training and evaluation; m and w depend on the number of slots.
    """

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(()))
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(
        self,
        updates: Tensor,
        iteration: int,
        carried: Statistics | None = None,
        takes_part: Tensor | None = None,
    ) -> tuple[Tensor, Statistics | None]:
        """[B, K, C] → [B, K, C]."""
        found, _ = _statistics(updates, takes_part, dims=(1, 2))
        return _standardized(updates, found, self.scale, self.shift, self.eps), carried


class BatchLevel(nn.Module):
    """γ (u − m) / √(w + ε) + β, all four scalars, m and w over the whole batch (B, K, C).

    In training, each of the first R iterations has mean m and biased variance w of its own batch,
    and γ and β of its own; later iterations take those of iteration R, with gradients flowing
    through them. They are handed from one call to the next as `carried`, and nothing of them stays
    here. Running averages follow once in each forward pass, the variance as the biased one; in
    evaluation they are used for any number of slots: this fixed scale is what carries the mass of
    a slot over to another number of slots.

    Args:
        own_statistics: R, at least 1.
        momentum: share of the batch in the running averages, in 0…1.
        synchronizes: whether, with several workers, m and w are those of the batches of all.
        eps: ε.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(
        self,
        own_statistics: int = 1,
        momentum: float = 0.1,
        synchronizes: bool = True,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.momentum, self.synchronizes, self.eps = momentum, synchronizes, eps
        self.scale = nn.Parameter(torch.ones(own_statistics))
        self.shift = nn.Parameter(torch.zeros(own_statistics))
        self.register_buffer("running_mean", torch.zeros(own_statistics))
        self.register_buffer("running_variance", torch.ones(own_statistics))

    def forward(
        self,
        updates: Tensor,
        iteration: int,
        carried: Statistics | None = None,
        takes_part: Tensor | None = None,
    ) -> tuple[Tensor, Statistics | None]:
        """[B, K, C] in iteration 0, 1, … → [B, K, C], and the statistics for the next one."""
        own = min(iteration, self.scale.numel() - 1)
        if not self.training:
            carried = Statistics(self.running_mean[own], self.running_variance[own])
        elif carried is None or iteration == own:
            carried = self._of_batch(updates, takes_part)
            self._follow(own, carried)
        scale, shift = self.scale[own], self.shift[own]
        return _standardized(updates, carried, scale, shift, self.eps), carried

    def _of_batch(self, updates: Tensor, takes_part: Tensor | None) -> Statistics:
        """Over the updates of this worker, or of all."""
        found, count = _statistics(updates, takes_part, dims=(0, 1, 2))
        mean, variance = found.mean.reshape(()), found.variance.reshape(())
        if not self.synchronizes or distributed.size() == 1:
            return Statistics(mean, variance)
        counts, means, variances = distributed.gather(
            torch.stack([count.reshape(()).to(mean.dtype), mean, variance])[None]
        ).unbind(1)
        shares = counts / counts.sum()
        whole = (shares * means).sum()
        return Statistics(whole, (shares * (variances + (means - whole).square())).sum())

    @torch.no_grad()
    def _follow(self, own: int, found: Statistics) -> None:
        """Moves the running averages, but not when activations are computed again in a backward."""
        if not torch.compiler.is_compiling() and _in_backward():
            return
        for running, value in zip((self.running_mean, self.running_variance), found, strict=True):
            running[own].lerp_(value.to(running.dtype), self.momentum)


def update_normalization(
    normalization: str,
    width: int,
    *,
    own_statistics: int = 1,
    momentum: float = 0.1,
    synchronizes: bool = True,
) -> nn.Module:
    """The module that normalises updates [B, K, width] after `weigh`.

    Raises:
        LookupError: there is no such normalisation.
        ValueError: `own_statistics` or `momentum` are out of range.
    """
    if normalization not in NORMALIZATIONS:
        raise LookupError(
            f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {normalization!r}"
        )
    if own_statistics < 1:
        raise ValueError(f"own_statistics must be at least 1, got {own_statistics}")
    if not 0 < momentum <= 1:
        raise ValueError(f"momentum must be above 0 and at most 1, got {momentum}")
    if normalization == "layer_norm":
        return SlotLevel(width)
    if normalization == "batch_norm":
        return BatchLevel(own_statistics, momentum, synchronizes)
    if normalization == "image_level":
        return ImageLevel()
    return LearnedScale() if normalization == "learned_scale" else Unchanged()


def _statistics(
    updates: Tensor, takes_part: Tensor | None, dims: tuple[int, ...]
) -> tuple[Statistics, Tensor]:
    """Over some axes, of slots that take part; and how many numbers they are of."""
    if takes_part is None:
        variance, mean = torch.var_mean(updates, dim=dims, correction=0, keepdim=True)
        return Statistics(mean, variance), mean.new_full((), updates.numel() / mean.numel())
    counted = takes_part[..., None].to(updates.dtype).expand_as(updates)
    count = counted.sum(dims, keepdim=True)
    shares = counted / count.clamp_min(1)
    mean = (shares * updates).sum(dims, keepdim=True)
    variance = (shares * (updates - mean).square()).sum(dims, keepdim=True)
    return Statistics(mean, variance), count


def _standardized(
    updates: Tensor, found: Statistics, scale: Tensor, shift: Tensor, eps: float
) -> Tensor:
    factor = scale * torch.rsqrt(found.variance + eps)
    return (updates - found.mean) * factor + shift


def _in_backward() -> bool:
    """Whether autograd is running a backward pass: then a forward pass only repeats an earlier."""
    return torch._C._current_graph_task_id() != -1  # pyright: ignore[reportPrivateUsage]
