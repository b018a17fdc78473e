"""K-means of many small sets at once, without gradient and without waiting for the device."""

# B sets, N vectors, K clusters, D width.

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST = 1e-10


class Clusters(NamedTuple):
    """Centroids [B, K, D], and the cluster 0…K−1 of each vector, int64 [B, N]."""

    centroids: Tensor
    members: Tensor


@torch.no_grad()
def kmeans(
    vectors: Tensor, start: Tensor, *, iterations: int = 20, spherical: bool = False
) -> Clusters:
    """Lloyd's algorithm (1982) from given centroids, always so many iterations.

    Each vector is in the cluster of its nearest centroid, of equals the first; a centroid becomes
    the mean of its cluster, and stays where it is if that is empty. What has converged no longer
    changes, so that no end has to be looked for. `members` are those that the centroids were made
    of last.

    Args:
        vectors: [B, N, D].
        start: the first centroids, [B, K, D], such as vectors of the set.
        iterations: at least 1.
        spherical: of directions: vectors and centroids have length 1, and the nearest is that of
            the largest cosine (Dhillon and Modha 2001). A vector of zeros stays one.
    """
    if spherical:
        vectors, start = _directions(vectors), _directions(start)
    centroids, members = start, vectors.new_zeros(vectors.shape[:2], dtype=torch.int64)
    for _ in range(iterations):
        members = _nearest(vectors, centroids, spherical=spherical)
        belongs = functional.one_hot(members, start.shape[1]).to(vectors.dtype)
        sums, sizes = belongs.mT @ vectors, belongs.sum(1)[..., None]
        moved = _directions(sums) if spherical else sums / sizes.clamp(min=1)
        is_kept = sizes == 0
        if spherical:  # opposite directions may add up to none
            is_kept = is_kept | (moved.abs().sum(-1, keepdim=True) == 0)
        centroids = torch.where(is_kept, centroids, moved)
    return Clusters(centroids, members)


def first_centroids(vectors: Tensor, draws: Tensor, count: int) -> Tensor:
    """`count` different vectors of each set [B, N, D], drawn by numbers in [0, 1) for each of them,
    [B, N]: every choice is as likely. Returns [B, K, D].

    Raises:
        ValueError: there are fewer vectors than that.
    """
    if count > vectors.shape[1]:
        raise ValueError(f"clusters must be at most the vectors ({vectors.shape[1]}), got {count}")
    places = draws.topk(count, dim=1).indices
    return vectors.gather(1, places[..., None].expand(-1, -1, vectors.shape[-1]))


def _nearest(vectors: Tensor, centroids: Tensor, *, spherical: bool) -> Tensor:
    """‖x − c‖² without ‖x‖², which all centroids have in common; around the mean of the set, where
    what is far from 0 keeps its digits.
    """
    if spherical:
        return (vectors @ centroids.mT).argmax(-1)
    middle = vectors.mean(1, keepdim=True)
    moved = centroids - middle
    return (moved.square().sum(-1)[:, None] - 2 * (vectors - middle) @ moved.mT).argmin(-1)


def _directions(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors, dim=-1, eps=_SMALLEST)
