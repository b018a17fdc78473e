"""Cross-entropy of a student's distribution with that of a teacher."""

from __future__ import annotations

import torch
from torch import Tensor


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
    with torch.no_grad():
        logits = teacher if centre is None else teacher - centre
        target = torch.softmax(logits / teacher_temperature, -1)
    return -(target * torch.log_softmax(student / temperature, -1)).sum(-1).mean()
