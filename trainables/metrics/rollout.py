"""Attention rollout: what the outputs of several layers of attention go back to.

Weights are those that `layers.recording` hands out. Rows of a map are queries, columns keys. In the
product of layers the later one stands on the left.
"""

# B images, H heads, L layers, T iterations, N tokens, S slots, K keys, P patches.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Heads = Literal["mean", "max"]
Source = Literal["first", "mean", "last", "layer", "all"]
CrossRule = Literal["chefer", "residual"]

SOURCES = ("first", "mean", "last", "layer", "all")


def reduced(maps: Tensor, heads: Heads = "mean") -> Tensor:
    """One map [..., Q, K] of those of the heads [..., H, Q, K]: their mean, or their maximum.

    Rows of a maximum add up to 1 or more.

    Raises:
        LookupError: there is no such rule.
    """
    if heads == "mean":
        return maps.mean(-3)
    if heads == "max":
        return maps.amax(-3)
    raise LookupError(f"heads must be one of mean, max, got {heads!r}")


def summing_to_one(maps: Tensor) -> Tensor:
    """Maps [..., K] of at least 0 whose keys add up to 1; a map of zeros stays one."""
    total = maps.sum(-1, keepdim=True)
    return maps / total.where(total > 0, 1.0)


def rollout(
    maps: Tensor,
    *,
    adds_residual: bool = True,
    halves: bool = True,
    class_tokens: int = 0,
    normalizes: bool = True,
) -> Tensor:
    """R = Π ½ (A_l + I) over self-attention [L, B, N, N], [B, P, P] of the P = N − `class_tokens`.

    Abnar and Zuidema 2020, section 3. Each row adds up to 1.

    Args:
        maps: of one head, or `reduced`.
        adds_residual: whether the identity is added for the residual connections.
        halves: whether that sum is halved. Without, R is 2^L times as large where rows have the
            sum 1, as it was published for frozen backbones.
        class_tokens: how many first tokens are no patches; their rows and columns are left out of
            the product.
        normalizes: whether rows of the result are made to add up to 1.
    """
    steps = iter(maps)
    product = _with_residual(next(steps), adds_residual, halves)
    for attention in steps:
        product = _with_residual(attention, adds_residual, halves) @ product
    product = product[:, class_tokens:, class_tokens:]
    return summing_to_one(product) if normalizes else product


def class_rollout(
    maps: Tensor, *, adds_residual: bool = True, halves: bool = True, class_tokens: int = 1
) -> Tensor:
    """What the first token goes back to, [B, P], of self-attention [L, B, N, N]; adds up to 1.

    It is the row of the `rollout` of all tokens, without the first `class_tokens` columns.
    """
    steps = iter(maps.flip(0))
    row = _with_residual(next(steps), adds_residual, halves)[:, :1]
    for attention in steps:
        row = row @ _with_residual(attention, adds_residual, halves)
    return summing_to_one(row[:, 0, class_tokens:])


def slot_rollout(maps: Tensor, source: Source = "last", *, normalizes: bool = True) -> Tensor:
    """One map [B, S, P] of the attention of iterations [T, B, S, P]; patches add up to 1.

    `first` and `last` iteration, or the `mean` of all. `all` is the mean of the iterations after
    each was made to add up to 1 over patches; `layer` goes from first to last, R ← ½ (A + R) with
    these, so that later ones weigh more.

    Args:
        maps: weights that add up to 1 over slots; of several heads the mean or sum.
        source: what is made of the iterations.
        normalizes: whether the result of `first`, `mean` and `last` is made to add up to 1 over
            patches. Without, it is what slots compete with: the one for `masks_of(…, "argmax")`.

    Raises:
        LookupError: there is no such source.
    """
    if source not in SOURCES:
        raise LookupError(f"source must be one of {', '.join(SOURCES)}, got {source!r}")
    if source == "all":
        return summing_to_one(summing_to_one(maps).sum(0))
    if source == "layer":
        first, *others = summing_to_one(maps)
        for attention in others:
            first = summing_to_one(attention + first)
        return first
    found = {"first": maps[0], "last": maps[-1]}.get(source)
    found = maps.mean(0) if found is None else found
    return summing_to_one(found) if normalizes else found


def cross_rollout(
    self_maps: Tensor | None,
    cross_maps: Tensor,
    *,
    rule: CrossRule = "chefer",
    normalizes: bool = True,
) -> Tensor:
    """What slots go back to, [B, S, K], after layers of self-attention and then cross-attention.

    `chefer` (Chefer et al. 2021, equations 6 to 10, of one kind of keys): with R_ss = I, R_sk = 0,

        self:   R_sk ← R_sk + A R_sk;  R_ss ← R_ss + A R_ss
        cross:  R_sk ← R_sk + (norm(R_ss − I) + I)ᵀ A, norm(·) with rows that add up to 1

    `residual`: self R_sk ← (A + I) R_sk, cross R_sk ← A + R_sk.

    Args:
        self_maps: [L, B, S, S]; None where slots do not look at one another.
        cross_maps: [L, B, S, K].
        rule: one of these.
        normalizes: whether keys are made to add up to 1.

    Raises:
        LookupError: there is no such rule.
        ValueError: there are not as many layers of both.
    """
    if rule not in ("chefer", "residual"):
        raise LookupError(f"rule must be one of chefer, residual, got {rule!r}")
    if self_maps is not None and len(self_maps) != len(cross_maps):
        raise ValueError(
            f"self_maps must have as many layers as cross_maps ({len(cross_maps)}), "
            f"got {len(self_maps)}"
        )
    slots = cross_maps.shape[2]
    identity = torch.eye(slots, dtype=cross_maps.dtype, device=cross_maps.device)
    among, back = identity.expand(cross_maps.shape[1], -1, -1), torch.zeros_like(cross_maps[0])
    for layer, cross in enumerate(cross_maps):
        if self_maps is not None:
            back = back + self_maps[layer] @ back
            among = among + self_maps[layer] @ among
        if rule == "chefer":
            cross = (summing_to_one(among - identity) + identity).mT @ cross
        back = back + cross
    return summing_to_one(back) if normalizes else back


def through_backbone(object_map: Tensor, backbone_rollout: Tensor) -> Tensor:
    """Maps [B, S, P] over outputs of a network, carried back to its inputs by R [B, P, P']."""
    return object_map @ backbone_rollout


def unwindowed(
    maps: Tensor, grid: tuple[int, int], window: tuple[int, int], shift: tuple[int, int] = (0, 0)
) -> Tensor:
    """Attention within windows as one over all patches: [B·windows, H, n, n] → [B, H, P, P].

    Of Swin's shifted windows (Liu et al. 2021), P places of `grid` rows and columns. A place looks
    at those of its window and at no others. Windows are numbered by rows, and so are their n
    places; the grid was rolled back by `shift` before, and filled up at the ends to whole windows:
    what was filled in is left out, so that rows beside it add up to less than 1. Large, P² for each
    head: reduce heads first.
    """
    rows, columns = (-(-size // step) for size, step in zip(grid, window, strict=True))
    filled = (rows * window[0], columns * window[1])
    places = torch.full(filled, -1, device=maps.device)
    numbers = torch.arange(grid[0] * grid[1], device=maps.device).view(grid)
    places[: grid[0], : grid[1]] = numbers.roll((-shift[0], -shift[1]), (0, 1))
    places = places.view(rows, window[0], columns, window[1]).transpose(1, 2)
    places = places.reshape(rows * columns, -1)
    maps = maps.view(-1, rows * columns, *maps.shape[1:]).movedim(1, 2)
    total = numbers.numel()
    # What was filled in goes to one more place, which is cut off.
    whole = maps.new_zeros(*maps.shape[:2], total + 1, total + 1)
    kept = places.where(places >= 0, total)
    whole[:, :, kept[:, :, None], kept[:, None]] = maps
    return whole[:, :, :total, :total]


def merging(grid: tuple[int, int], like: Tensor) -> Tensor:
    """The map [P/4, P] of Swin's patch merging: a place looks at its 2 × 2 places as much at each.

    With it rollouts of stages are one: R₂ · merging · R₁. `like` gives type and device.

    Raises:
        ValueError: the grid has an odd number of rows or columns.
    """
    if grid[0] % 2 or grid[1] % 2:
        raise ValueError(f"grid must have even numbers of rows and columns, got {grid}")
    coarse = torch.arange(grid[0] * grid[1] // 4, device=like.device)
    coarse = coarse.view(grid[0] // 2, grid[1] // 2)
    coarse = coarse.repeat_interleave(2, 0).repeat_interleave(2, 1).flatten()
    rows = torch.arange(len(coarse) // 4, device=like.device)[:, None]
    return (coarse == rows).to(like.dtype) / 4


def _with_residual(attention: Tensor, adds_residual: bool, halves: bool) -> Tensor:
    """½ (A + I), A + I, or A, [B, N, N]."""
    if not adds_residual:
        return attention
    identity = torch.eye(attention.shape[-1], dtype=attention.dtype, device=attention.device)
    return (attention + identity) / 2 if halves else attention + identity
