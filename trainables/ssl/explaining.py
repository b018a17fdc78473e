"""Attention of the class token of a network, and Grad-CAM towards the means of classes."""

# R images, C classes, D width of features, h × w places.

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from trainables.core.experiment import Experiment
from trainables.core.measuring import differentiable, learning
from trainables.layers.last_maps import class_attention, map_and_gradient
from trainables.metrics.grad_cam import grad_cam
from trainables.ssl.students import Student


def attention(network: Student, images: Tensor) -> Tensor | None:
    """Of the class token in the last block, [R, heads, h, w]; of a network without one None.

    Images are standardised, of any size.
    """
    return class_attention(network.backbone, network.sized(images))


def towards_means(
    experiment: Experiment, network: Student, images: Tensor, goals: Tensor
) -> Tensor:
    """Grad-CAM of the cosine of features with goals [R, D], such as means of classes: [R, h, w].

    Without classes there is no logit to be explained. Images are standardised, of any size, on the
    device of the network. Nothing of the experiment changes.
    """
    with learning(experiment, "grad_cam"):
        seen = network.sized(differentiable(images))
        wanted = differentiable(goals).to(seen.dtype)

        def score(features: Tensor) -> Tensor:
            return functional.cosine_similarity(features, wanted)

        return grad_cam(*map_and_gradient(network.backbone, seen, score)).detach().cpu()


def class_means(vectors: Tensor, labels: Tensor, classes: int = 0) -> Tensor:
    """The means [C, D] of vectors [N, D] of each class; 0 of one that does not occur.

    There are as many as occur, or `classes` of them.
    """
    counts = labels.bincount(minlength=classes).clamp(min=1)
    sums = vectors.new_zeros(len(counts), vectors.shape[1]).index_add_(0, labels, vectors)
    return sums / counts[:, None]
