"""Nearest images of a set, found once by their mean features."""

# N images, D width of features, K neighbours.

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

_AT_ONCE = 1024


def pooled(maps: Iterable[Tensor]) -> Tensor:
    """Directions [N, D] of images: the mean over places of batches of maps [B, D, h, w], made 1
    long, as Hamilton et al. (2022) have it.
    """
    return torch.cat([functional.normalize(one.float().flatten(2).mean(2), dim=1) for one in maps])


def nearest(directions: Tensor, count: int) -> Tensor:
    """The `count` other images with the largest cosine, the nearest first, int64 [N, K].

    An image is never its own neighbour, however many equal ones there are. Of equally near ones
    the first comes first.

    Raises:
        ValueError: there are not so many others.
    """
    number = len(directions)
    if not 1 <= count < number:
        raise ValueError(f"count must be 1…{number - 1} of {number} images, got {count}")
    found: list[Tensor] = []
    for own in torch.arange(number, device=directions.device).split(_AT_ONCE):
        cosines = directions[own] @ directions.T
        cosines[torch.arange(len(own), device=own.device), own] = -torch.inf
        found.append(cosines.argsort(dim=1, descending=True, stable=True)[:, :count])
    return torch.cat(found)


def drawn(neighbours: Tensor, images: Tensor, draws: Tensor, most: int) -> Tensor:
    """One of the `most` nearest of each image [B], by draws [B] in 0…1 (1 is not drawn), [B].

    `neighbours` [N, K], with K of at least `most`, as of `nearest`.
    """
    places = (draws * most).long().to(neighbours.device)
    return neighbours[images.to(neighbours.device), places]
