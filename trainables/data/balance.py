"""Examples drawn so that each class is as likely as each other."""

# B places, N examples, C classes.

from __future__ import annotations

from torch import Tensor


def balanced(labels: Tensor, draws: Tensor) -> Tensor:
    """Positions [B] of examples, int64: a class is drawn, then one of its examples.

    Of labels [N] only classes that occur are drawn, all equally likely; examples come again, those
    of small classes often. Draws are uniform numbers [B, 2] in 0…1.
    """
    order = labels.argsort(stable=True)
    sizes = labels.bincount()
    sizes = sizes[sizes > 0]
    chosen = (draws[:, 0].double() * len(sizes)).long()
    inside = (draws[:, 1].double() * sizes[chosen]).long()
    return order[(sizes.cumsum(0) - sizes)[chosen] + inside]
