"""Whether what a teacher says is worth learning: how sure, how varied, how far from the student.

Everything is computed in double precision and is a scalar, float64, without gradient.
"""

# B images, V views, K prototypes.

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainables.losses.distillation import distil_views, targets


@torch.no_grad()
def health_of_targets(
    student: Tensor,
    teacher: Tensor,
    *,
    temperature: float,
    teacher_temperature: float,
    centre: Tensor,
) -> dict[str, Tensor]:
    """Of logits [V, B, K] and [2, B, K] as `losses.distillation.distil_views` has them.

    `entropy` is the mean entropy of the targets P, in 0…log K: near 0 they are sure, at log K they
    say nothing. `entropy_of_mean` is that of their mean over all images and both views: near 0 all
    images have one target; at least `entropy`, whose distance to it is the information that targets
    have of the image. `divergence` is the mean KL(P ‖ Q) over the pairs of the loss, which is
    `entropy` + `divergence`; at least 0. `centre` is the length of the centre [K].
    """
    centre = centre.double()
    target = targets(teacher.double(), temperature=teacher_temperature, centre=centre)
    entropy = _entropy(target).mean()
    loss = distil_views(
        student.double(),
        teacher.double(),
        temperature=temperature,
        teacher_temperature=teacher_temperature,
        centre=centre,
    )
    return {
        "entropy": entropy,
        "entropy_of_mean": _entropy(target.mean((0, 1))),
        "divergence": loss - entropy,
        "centre": torch.linalg.vector_norm(centre),
    }


@torch.no_grad()
def distance_of_parameters(network: nn.Module, other: nn.Module) -> Tensor:
    """‖θ′ − θ‖ / ‖θ‖ of all parameters, θ those of `network`: 0 if both are equal.

    A teacher that is 0 away from its student, or ever as far from its start, does not follow.

    Raises:
        ValueError: the networks have other parameters.
    """
    ours, theirs = list(network.parameters()), list(other.parameters())
    if [one.shape for one in ours] != [one.shape for one in theirs]:
        raise ValueError("other must have the parameters of network, got one of other tensors")
    moved = [their.double() - our.double() for our, their in zip(ours, theirs, strict=True)]
    length = nn.utils.get_total_norm([one.double() for one in ours])
    return nn.utils.get_total_norm(moved) / length


def _entropy(shares: Tensor) -> Tensor:
    return -torch.xlogy(shares, shares).sum(-1)
