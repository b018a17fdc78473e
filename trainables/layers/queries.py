"""Queries, the initial slots: learned, drawn, or taken from the image.

All randomness comes in from outside: uniform or normal numbers for each image, a function of seed,
step and example, so that a query is the same whenever its example is seen in the same step.
"""

# N images, S slots, P patches, D width, K components.

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from trainables.layers.competitive import CompetitiveAttention, select
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


class TemplateQueries(nn.Module):
    """The templates of a learned bank that an image wants most, each for several instances.

    The bank competes for the patches, behind an LN, as in `layers.competitive`, and the templates
    t_k that win become queries t_k + a_k + o_i, where a_k is what they took of the patches and o_i
    a learned offset for the i-th instance: without it, instances of one template would stay one
    slot. Templates, patches and attention learn through those that win. All templates and offsets
    are normal of σ 0.02 at first.

    Queries are, in their order: the background, one that always wins, if there is one; the first
    instance of all winners, the best in front; the second instances, and so on, as many as fit.
    If the bank is no larger than what can win, all win, in the order of the bank.

    Args:
        width: D.
        token_width: width of the patches; D if None.
        num_templates: of the bank, without the background.
        num_slots: S.
        heads: of attention, a divisor of D.
        instances: at most so many queries of one template.
        has_background: whether the first query is the background's.

    Raises:
        ValueError: a number is too small, or the heads do not divide the width.
    """

    def __init__(
        self,
        *,
        width: int,
        token_width: int | None = None,
        num_templates: int = 64,
        num_slots: int = 16,
        heads: int = 4,
        instances: int = 2,
        has_background: bool = True,
    ) -> None:
        super().__init__()
        if instances < 1:
            raise ValueError(f"instances must be at least 1, got {instances}")
        first = int(has_background)
        if num_slots <= first:
            raise ValueError(f"num_slots must be at least {first + 1}, got {num_slots}")
        winners = math.ceil((num_slots - first) / instances)
        if num_templates < winners:
            raise ValueError(
                f"num_templates must be at least {winners} for {num_slots} slots of {instances} "
                f"instances, got {num_templates}"
            )
        self.first, self.num_slots = first, num_slots
        self.templates = nn.Parameter(torch.empty(first + num_templates, width))
        self.offsets = nn.Parameter(torch.empty(instances, width)) if instances > 1 else None
        self.norm_tokens = nn.LayerNorm(token_width or width)
        self.attention = CompetitiveAttention(
            width,
            token_width or width,
            heads,
            max_queries=first + winners,
            keeps_first=has_background,
            qkv_bias=True,
        )
        for table in (self.templates, self.offsets):
            if table is not None:
                nn.init.trunc_normal_(table, std=0.02)

    def forward(self, patches: Tensor) -> Tensor:
        """Of patches [N, P, token width]: [N, S, D]."""
        bank = self.templates.expand(len(patches), -1, -1)
        taken, chosen = self.attention(bank, self.norm_tokens(patches))
        won = select(bank, chosen) + taken
        if self.offsets is None:
            return won
        copies = (won[:, None, self.first :] + self.offsets[:, None]).flatten(1, 2)
        return torch.cat([won[:, : self.first], copies[:, : self.num_slots - self.first]], 1)
