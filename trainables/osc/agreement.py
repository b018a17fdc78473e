"""What parts of a configuration must agree on, and the sentences for those that do not."""

from __future__ import annotations

from collections.abc import Mapping

from trainables.core.training import Training
from trainables.osc.objectives import Loss, Regularization
from trainables.osc.parts import CompetitiveAttention, KMeansQueries, Queries, VisionTransformer

MOST_HEADS = 16
"""More are not proposed."""


def of_batch(training: Training) -> str | None:
    """An image alone is compared with nothing, and its features do not vary."""
    size = training.batch_size // training.num_micro_batches
    if size > 1:
        return None
    return (
        f"training.batch_size must be at least 2 × training.num_micro_batches "
        f"({2 * training.num_micro_batches}), since images are compared, got {training.batch_size}"
    )


def kept(number: int, objects: object) -> int:
    """How many of so many slots leave the function of objects."""
    if isinstance(objects, CompetitiveAttention) and objects.max_queries is not None:
        return min(number, objects.max_queries)
    return number


def of_slots(loss: Loss, queries: Queries, objects: object) -> str | None:
    """A slot alone has no others in its image, from which it could differ."""
    number = kept(queries.num_slots, objects)
    path = "queries.num_slots" if number == queries.num_slots else "objects.max_queries"
    if number > 1:
        return None
    if loss.objects in ("ctr_img", "ctr_aug"):
        return f"{path} must be at least 2 with loss.objects {loss.objects!r}, got {number}"
    if loss.learns_from_slots and loss.of_slots != Regularization():
        return f"{path} must be at least 2 with weights in loss.of_slots, got {number}"
    return None


def of_clusters(
    queries: object, backbone: object, sides: dict[str, int], measured: int | None
) -> str | None:
    """Centroids begin as patches: there are no more of them."""
    if not (isinstance(queries, KMeansQueries) and isinstance(backbone, VisionTransformer)):
        return None
    numbers = {"queries.num_slots": queries.num_slots, "evaluation.num_slots": measured or 1}
    for path, side in sides.items():
        patches = (side // backbone.patch_size) ** 2
        for name, number in numbers.items():
            if number > patches:
                return (
                    f"{name} must be at most the {patches} patches of {path} {side} with "
                    f"queries.kind 'kmeans', got {number}"
                )
    return None


def of_measured_slots(queries: Queries, measured: int | None) -> str | None:
    """Slots that are each its own keep their number."""
    if queries.kind not in ("learned", "templates") or measured in (None, queries.num_slots):  # pyright: ignore[reportAttributeAccessIssue]
        return None
    return (
        f"evaluation.num_slots must be {queries.num_slots}, as in training, or null with "
        f"queries.kind {queries.kind!r}, got {measured}"  # pyright: ignore[reportAttributeAccessIssue]
    )


def of_draws(queries: object, *, shares: bool, has_slots: bool) -> str | None:
    """Draws are shared that there are."""
    if not shares or (has_slots and getattr(queries, "kind", None) == "normal"):
        return None
    if not has_slots:
        return "evaluation.shares_draws must be false with architecture 'global', got true"
    return (
        f"evaluation.shares_draws must be false with queries.kind "
        f"{getattr(queries, 'kind', None)!r}: only 'normal' queries are draws and nothing else, "
        f"got true"
    )


def of_heads(heads: Mapping[str, int], width: int, whose: str) -> str | None:
    """Heads, by the path of their part, share the features that they look at.

    `whose` are the features, as `backbone.width`.
    """
    for path, number in heads.items():
        if width % number:
            fitting = [str(one) for one in range(1, MOST_HEADS + 1) if width % one == 0]
            return (
                f"{path}.heads must divide {whose} ({width}), got {number}; try "
                f"{', '.join(fitting)}"
            )
    return None
