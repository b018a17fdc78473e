"""How far representations have collapsed: to one vector, to few dimensions, to one slot for all.

Vectors are [N, D]; slots of N images [N, S, D]. Everything is computed in double precision and is a
scalar, float64.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST = 1e-10


def collapse_of_vectors(vectors: Tensor) -> dict[str, Tensor]:
    """`spread`, `cosine` of others and `effective_rank` of vectors [N, D], by these names."""
    return {
        "spread": spread(vectors),
        "cosine": cosine_of_others(vectors),
        "effective_rank": effective_rank(vectors),
    }


def collapse_of_slots(slots: Tensor, partners: Tensor | None = None) -> dict[str, Tensor]:
    """All measures of slots [N, S, D], by their names; spread and rank are those of all N·S.

    `matching_entropy` is among them if there are `partners` [N, 2, S].
    """
    vectors = slots.flatten(0, 1)
    found = {
        "spread": spread(vectors),
        "cosine_in_image": cosine_in_image(slots),
        "cosine_across_images": cosine_across_images(slots),
        "effective_rank": effective_rank(vectors),
    }
    if partners is not None:
        found["matching_entropy"] = matching_entropy(partners, slots.shape[1])
    return found


def spread(vectors: Tensor) -> Tensor:
    """√D times the mean deviation of the coordinates of directions: 1 isotropic, 0 collapsed.

    Of vectors [N, D], N ≥ 2, each divided by its length; the deviation has N in its denominator, as
    Chen and He 2021 (SimSiam, section 4.1) plot it. Never above 1.
    """
    directions = _directions(vectors)
    return directions.std(0, correction=0).mean() * vectors.shape[-1] ** 0.5


def cosine_of_others(vectors: Tensor) -> Tensor:
    """The mean cosine of two different vectors [..., N, D] of a set, in −1 / (N − 1) … 1.

    1 if all have one direction. The mean over the sets.
    """
    directions, count = _directions(vectors), vectors.shape[-2]
    lengths = directions.square().sum((-2, -1))
    total = directions.sum(-2).square().sum(-1)
    return ((total - lengths) / (count * (count - 1))).mean()


def cosine_in_image(slots: Tensor) -> Tensor:
    """The mean cosine of two slots of one image [N, S, D]: 1 if the slots of an image are equal."""
    return cosine_of_others(slots)


def cosine_across_images(slots: Tensor) -> Tensor:
    """The mean cosine of slots with one index in two images [N, S, D]: 1 if they ignore the image.

    Meaningful where a slot keeps its index, as learned queries do.
    """
    return cosine_of_others(slots.transpose(0, 1))


def effective_rank(vectors: Tensor) -> Tensor:
    """exp(H(p)) of the singular values σ of vectors [N, D], p = σ / Σσ; in 1 … min(N, D).

    Roy and Vetterli 2007. Of centred vectors, so that a common offset is no dimension: of vectors
    that are all equal, 1.
    """
    vectors = vectors.double()
    values = torch.linalg.svdvals(vectors - vectors.mean(0))
    total = values.sum()
    share = torch.where(total > 0, values / total.clamp(min=_SMALLEST), 0.0)
    return torch.exp(-torch.xlogy(share, share).sum())


def matching_entropy(partners: Tensor, num_slots: int) -> Tensor:
    """How much it varies which slots are partners: 0 (always the same) … 1 (any as often).

    The mean over slots of the entropy of their partners [N, 2, S] in the first view, over log S; of
    a single slot 0.
    """
    if num_slots == 1:
        return partners.new_zeros((), dtype=torch.float64)
    counts = functional.one_hot(partners[:, 0], num_slots).double().mean(0)
    entropy = -torch.xlogy(counts, counts).sum(-1)
    return (entropy / torch.log(torch.tensor(float(num_slots), dtype=torch.float64))).mean()


def _directions(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors.double(), dim=-1, eps=_SMALLEST)
