"""Where slots start: queries that are learned, drawn, or taken from the image.

All randomness comes in from outside: uniform or normal numbers for each image, a function of seed,
step and example, so that a query is the same whenever its example is seen in the same step.
"""

# N images, S slots, P patches, D width, K components.

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from trainables.layers.kmeans import first_centroids, kmeans


class LearnedQueries(nn.Module):
    """A vector for each of S slots, the same for all images; normal of σ 0.02 at first."""

    def __init__(self, num_slots: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(num_slots, width))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, images: int) -> Tensor:
        """For so many images [N, S, D]."""
        return self.table.expand(images, -1, -1)


class SampledQueries(nn.Module):
    """Draws from a mixture of K Gaussians whose means and deviations are learned.

    q = μ_k + exp(log σ_k) ⊙ noise; each slot of each image has a component of its own, all as
    likely. Both tables are uniform in ±√(6/D) at first. There may be any number of slots.
    """

    def __init__(self, width: int, components: int = 1) -> None:
        super().__init__()
        bound = math.sqrt(6 / width)
        self.mean = nn.Parameter(torch.empty(components, width).uniform_(-bound, bound))
        self.log_deviation = nn.Parameter(torch.empty(components, width).uniform_(-bound, bound))

    def forward(self, noise: Tensor, draws: Tensor) -> Tensor:
        """Of normal noise [N, S, D], and numbers in [0, 1) that choose components, [N, S]."""
        component = (draws * len(self.mean)).long()
        return self.mean[component] + self.log_deviation[component].exp() * noise


def normal_queries(noise: Tensor, *, shared: bool = False) -> Tensor:
    """Normal noise [N, S, D] as it is.

    `shared` gives all images the draws of the first one: both views of an image then start from
    equal slots, which makes them easy to match and a validation loss too low. It repeats published
    figures, no more.
    """
    return noise[:1].expand_as(noise) if shared else noise


def patch_queries(patches: Tensor, draws: Tensor) -> Tensor:
    """Patches of the image itself, drawn with replacement; gradients flow into them.

    Of `patches` [N, P, D] and numbers in [0, 1) [N, S]; returns [N, S, D].
    """
    places = (draws * patches.shape[1]).long()
    return patches.gather(1, places[..., None].expand(-1, -1, patches.shape[-1]))


def kmeans_queries(
    patches: Tensor,
    draws: Tensor,
    num_slots: int,
    *,
    spherical: bool = False,
    iterations: int = 20,
) -> Tensor:
    """Centroids of the image's patches [N, P, D], without gradient; [N, S, D].

    They start from different patches, chosen by numbers in [0, 1) [N, P]. `spherical` clusters
    directions. See `layers.kmeans`.
    """
    start = first_centroids(patches.detach(), draws, num_slots)
    return kmeans(patches, start, iterations=iterations, spherical=spherical).centroids
