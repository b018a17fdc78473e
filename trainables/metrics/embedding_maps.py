"""Embeddings on a plane: principal components, t-SNE, and how pure their neighbourhoods are."""

# N vectors, D their width.

from __future__ import annotations

from typing import Any

import torch
from sklearn.manifold import TSNE
from torch import Tensor

FIRST_COMPONENTS = 50
"""So many principal components t-SNE is given, as van der Maaten and Hinton (2008) did."""
SEED = 123
LARGEST_RATE = 1000
"""Of t-SNE, as scikit-learn advises."""
_ITERATIONS = 1000
_CONSTANT = 1e-12
"""What deviates by less than this part of the largest value is rounding."""
_EXACT = "donot_use_mm_for_euclid_dist"
"""By products of matrices distances of close points are rounding."""


def principal_components(vectors: Tensor, number: int = 2) -> tuple[Tensor, Tensor]:
    """Vectors [N, D] along the directions of most variance, [N, number], and the shares of it.

    Computed in double precision; the entry of a direction that is largest in magnitude is positive.
    """
    centred = vectors.detach().double().cpu()
    centred = centred - centred.mean(0)
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    directions = directions[:number]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    total = values.square().sum()
    share = values[:number].square() / total.where(total > 0, 1.0)
    return centred @ (directions * largest.sign()).T, share


def tsne(vectors: Tensor, *, perplexity: float = 30.0, rate: float | None = None) -> Tensor:
    """Vectors [N, D] on a plane, float64 [N, 2], by t-SNE (van der Maaten and Hinton 2008).

    Of scikit-learn, with 1,000 iterations from the first two principal components and a seed of its
    own, the same each time. It sees the first 50 components, of which the first has deviation 1: a
    map does not depend on the scale. `rate` None: N / 48, at least 50. A perplexity must be below
    N: of fewer vectors it is (N − 1) / 3. Vectors that are all alike are all at 0.

    Raises:
        ValueError: there are fewer than 4 vectors, one is not finite, or the rate is so large that
            scikit-learn might not survive it.
    """
    if len(vectors) < 4 or not vectors.isfinite().all():
        finite = int(vectors.isfinite().all(-1).sum())
        raise ValueError(f"vectors must be finite, and at least 4 for a map, got {finite} that are")
    if rate is not None and not 0 < rate <= LARGEST_RATE:
        raise ValueError(f"rate must be above 0 and at most {LARGEST_RATE}, got {rate:g}")
    reduced, _ = principal_components(vectors, FIRST_COMPONENTS)
    spread = reduced[:, 0].std(correction=0)
    if not spread > _CONSTANT * vectors.double().abs().max():
        return reduced.new_zeros(len(vectors), 2)  # scikit-learn divides by it, and dies of NaN
    learning_rate: Any = "auto" if rate is None else rate
    made = TSNE(
        2,
        perplexity=fitting_perplexity(perplexity, len(vectors)),
        learning_rate=learning_rate,
        max_iter=_ITERATIONS,
        init="pca",
        random_state=SEED,
    )
    return torch.from_numpy(made.fit_transform((reduced / spread).float().numpy())).double()


def fitting_perplexity(perplexity: float, number: int) -> float:
    """The perplexity for so many vectors: a third of the others if it is too large for them."""
    return perplexity if perplexity < number else (number - 1) / 3


def purity(points: Tensor, labels: Tensor, neighbors: int = 10) -> float:
    """The mean share of the K nearest other points that are of a point's own class; in 0…1.

    Points [N, D] on a map, by Euclidean distance; labels [N]. 1: neighbourhoods are of one class.
    Labels at random have Σ (share of a class)². K is `neighbors`, or N − 1 if there are no more.

    Raises:
        ValueError: there are fewer than 2 points.
    """
    if len(points) < 2:
        raise ValueError(f"points must be at least 2 that are neighbours, got {len(points)}")
    labels = labels.to(points.device)
    distances = torch.cdist(points.double(), points.double(), compute_mode=_EXACT)
    distances.fill_diagonal_(torch.inf)
    nearest = distances.topk(min(neighbors, len(points) - 1), largest=False).indices
    return float((labels[nearest] == labels[:, None]).double().mean())
