"""Correspondence of features and of codes between places of images: what STEGO learns from."""

# B images, N and M places in them, D width of features, E width of codes, h × w the map of either.

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST = 1e-10
STABLE = 0.8
"""The largest cosine of codes that counts where they are kept from growing alike."""


class Places(NamedTuple):
    """What is at some places of images: features [B, D, N] and codes [B, E, N]."""

    features: Tensor
    codes: Tensor


class Pair(NamedTuple):
    """The loss of two images each, a scalar, and the mean cosine of their codes."""

    loss: Tensor
    similarity: Tensor


class Kernel(NamedTuple):
    """How alike two places must be: `near` in place and colour, `close` in place; less `shift`.

    w₁ exp(−Δxy² / 2α − Δrgb² / 2β) + w₂ exp(−Δxy² / 2γ) − shift, with places in pixels of the map.
    """

    alpha: float = 0.5
    beta: float = 0.15
    gamma: float = 0.05
    near: float = 10.0
    close: float = 3.0
    shift: float = 0.0


def sampled(maps: Tensor, coordinates: Tensor) -> Tensor:
    """Maps [B, C, h, w] at places [B, N, 2] (column, row) in −1…1, bilinear, [B, C, N].

    ±1 are the centres of the outermost places of the map, which what lies beyond has the value of.
    """
    grid = coordinates[:, None].to(maps.dtype)
    return functional.grid_sample(maps, grid, padding_mode="border", align_corners=True)[:, :, 0]


def cosines(one: Tensor, other: Tensor) -> Tensor:
    """Cosines [B, N, M] of all vectors of [B, C, N] with all of [B, C, M]; 0 for a vector of 0."""
    one, other = (functional.normalize(part, dim=1, eps=_SMALLEST) for part in (one, other))
    return one.mT @ other


def centred(found: Tensor) -> Tensor:
    """Correspondences [B, N, M], each row around the mean of all of them: their mean stays.

    F − mean over the places of the other image, moved so that the mean of the whole batch is as it
    was (Hamilton et al. 2022, equation 4; the shift to the old mean is that of their code).
    """
    rows = found - found.mean(2, keepdim=True)
    return rows - rows.mean() + found.mean()


def correspond(
    one: Places,
    other: Places,
    shift: float,
    *,
    centres: bool = True,
    clamps: bool = True,
    stabilises: bool = False,
) -> Pair:
    """−mean((F − b) · max(S, 0)): codes become alike where features are more alike than `shift`.

    F are cosines of features, without gradient, S those of codes, b the `shift` (Hamilton et al.
    2022, equation 5). Exactly 0 where no two codes have a positive cosine.

    Args:
        one, other: places of the same B images, or of an image and its partner.
        shift: b; the larger, the more places are pushed apart.
        centres: whether F is `centred`.
        clamps: whether only positive cosines of codes count.
        stabilises: whether a cosine of codes counts as `STABLE` at most.
    """
    with torch.no_grad():
        features = cosines(one.features, other.features)
        features = centred(features) if centres else features
    codes = cosines(one.codes, other.codes)
    counted = codes.clamp(min=0) if clamps else codes
    counted = counted.clamp(max=STABLE) if stabilises else counted
    return Pair(-(counted * (features - shift)).mean(), codes.detach().mean())


def derangements(draws: Tensor) -> Tensor:
    """Which other image stands for each, [P, B] of draws [B, P] in 0…1: never the image itself.

    Images are put in the order of their draws, and each has the next one, the last the first: all
    cyclic permutations are as likely, so that each other image is. (The original moves the fixed
    points of a permutation on by one, which gives some images two that they stand for.)

    Raises:
        ValueError: there is a single image.
    """
    if len(draws) < 2:
        raise ValueError(f"images must be at least 2 to be compared with others, got {len(draws)}")
    order = draws.T.argsort(dim=1, stable=True)
    return torch.empty_like(order).scatter_(1, order, order.roll(-1, 1))


def alike_by_colour(images: Tensor, codes: Tensor, places: Tensor, kernel: Kernel) -> Tensor:
    """−mean(S · k): codes become alike where places and colours are, a scalar.

    S are inner products of codes of the same image, k the `Kernel`, over all pairs of places, each
    with itself too: the term of a conditional random field in the original's code.

    Args:
        images: [B, C, h, w].
        codes: [B, E, h, w], of length 1.
        places: rows and columns [2, N], int64, the same in all images.
        kernel: how alike places must be.
    """
    rows, columns = places
    apart = (places[:, :, None] - places[:, None]).square().sum(0)
    chosen = images[:, :, rows, columns]
    colours = (chosen[..., None] - chosen[:, :, None]).square().sum(1)
    near = torch.exp(-apart / (2 * kernel.alpha) - colours / (2 * kernel.beta))
    close = torch.exp(-apart / (2 * kernel.gamma))
    taken = codes[:, :, rows, columns]
    weights = kernel.near * near + kernel.close * close - kernel.shift
    return -((taken.mT @ taken) * weights).mean()


def reconstructed(found: Tensor, features: Tensor) -> Tensor:
    """−mean cosine of what is made of codes with features, both [B, D, h, w]; −1 at best."""
    return -functional.cosine_similarity(found, features, dim=1, eps=_SMALLEST).mean()


def aligned(codes: Tensor, changed: Tensor, places: Tensor) -> Tensor:
    """−mean cosine of codes of changed images with those of the places that these show.

    Between −1 (codes move with what they are of) and 1: the term of alignment in the code of
    Hamilton et al. (2022), whose weight is 0 in their settings.

    Args:
        codes: of images [B, E, h, w].
        changed: of changed images [B, E, h, w].
        places: of the latter in the former [B, h · w, 2], as of `sampled`.
    """
    here = sampled(codes, places)
    return -functional.cosine_similarity(here, changed.flatten(2), dim=1, eps=_SMALLEST).mean()
