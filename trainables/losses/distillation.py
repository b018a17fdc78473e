"""Cross-entropy of a student's distribution with that of a teacher."""

# B images, V views, K classes or prototypes.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from trainables.layers.checks import check_choice


def cross_entropy(
    student: Tensor,
    teacher: Tensor,
    *,
    temperature: float = 0.1,
    teacher_temperature: float = 0.04,
    centre: Tensor | None = None,
) -> Tensor:
    """The mean of −Σ_k softmax((t − c) / τ_t)_k · log softmax(s / τ)_k of logits [..., K].

    No gradient flows through the teacher. At least the entropy of the teacher's distribution; log K
    if the student's is uniform. Temperatures as Caron et al. 2021 (DINO), equation 1 and section
    3.1; `centre` [K] (None: zeros) is subtracted from the teacher's logits alone.
    """
    target = targets(teacher, temperature=teacher_temperature, centre=centre)
    return -(target * torch.log_softmax(student / temperature, -1)).sum(-1).mean()


def distil_views(
    student: Tensor,
    teacher: Tensor,
    *,
    temperature: float = 0.1,
    teacher_temperature: float = 0.04,
    centre: Tensor | None = None,
    reduction: Literal["mean", "none"] = "mean",
) -> Tensor:
    """DINO's loss: the mean cross-entropy over pairs of a teacher's view and another one.

    1 / (2(V − 1)) Σ_u Σ_{v≠u} mean_b −Σ_k P_u log Q_v, P and Q as in `cross_entropy` (Caron et al.
    2021, equation 3). A scalar, or with the reduction `none` that of each image [B], whose mean it
    is; at least the entropy of the targets, log K if the student's distributions are uniform; no
    gradient flows through the teacher.

    Args:
        student: logits [V, B, K] of all views, those that the teacher saw first; V ≥ 2.
        teacher: logits [2, B, K] of the first two views.
        temperature: τ of the student.
        teacher_temperature: τ of the teacher.
        centre: [K], subtracted from the teacher's logits; None stands for zeros.
        reduction: `mean` over images, or `none`.

    Raises:
        LookupError: the reduction is not known.
        ValueError: the teacher has not two views, or the student has less.
    """
    if len(teacher) != 2 or len(student) < 2:
        raise ValueError(
            f"teacher must be logits of 2 views and student of these and any others, "
            f"got {len(teacher)} and {len(student)}"
        )
    check_choice("reduction", reduction, ("mean", "none"))
    kind = torch.promote_types(student.dtype, torch.float32)  # τ divides, and sums are long
    target = targets(teacher.to(kind), temperature=teacher_temperature, centre=centre)
    logarithm = torch.log_softmax(student.to(kind) / temperature, -1)
    # All pairs at once, less those of a view with itself: no view is taken by itself.
    of_all, of_itself = target.sum(0) * logarithm.sum(0), target * logarithm[:2]
    pairs = 2 * (len(student) - 1)
    if reduction == "none":
        return (of_itself.sum((0, 2)) - of_all.sum(1)) / pairs
    return -(of_all.sum() - of_itself.sum()) / (student.shape[1] * pairs)


@torch.no_grad()
def targets(teacher: Tensor, *, temperature: float, centre: Tensor | None = None) -> Tensor:
    """softmax((t − c) / τ) of logits [..., K], without gradient; `centre` [K], None for zeros."""
    logits = teacher if centre is None else teacher - centre
    return torch.softmax(logits / temperature, -1)
