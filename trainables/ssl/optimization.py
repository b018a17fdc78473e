"""Settings of the optimisers of pretraining: rates for a batch of 256, rising weight decays."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from trainables.settings import optimizers
from trainables.settings.ranges import NonNegative, Positive

REFERENCE_BATCH = 256
"""What a rate that is scaled with the batch is stated for: of DINO, SimCLR and SupCon alike."""
OURS = ("scaling", "final_weight_decay")
"""Settings of an optimiser that torch has no use for."""

Scaling = Literal["none", "linear", "sqrt"]


class AdamW(optimizers.AdamW):
    """AdamW. The weight decay goes to `final_weight_decay` on half a cosine (null: it stays).

    The peak of a batch of B is `lr`, `lr` · B / 256 (`linear`) or `lr` · √(B / 256) (`sqrt`). The
    defaults are those of DINO.
    """

    lr: Positive = 5e-4
    weight_decay: NonNegative = 0.04
    final_weight_decay: NonNegative | None = 0.4
    scaling: Scaling = "linear"


class SGD(optimizers.SGD):
    """SGD, with what `AdamW` has besides; the defaults are those of SupCon."""

    lr: Positive = 0.05
    weight_decay: NonNegative = 1e-4
    final_weight_decay: NonNegative | None = None
    scaling: Scaling = "linear"


class LARS(optimizers.LARS):
    """LARS, with what `AdamW` has besides; the defaults are those of DINO's ResNet-50."""

    lr: Positive = 0.3
    weight_decay: NonNegative = 1e-6
    final_weight_decay: NonNegative | None = None
    scaling: Scaling = "linear"


class SAM(optimizers.SAM):
    """SAM around AdamW or SGD, with what `AdamW` has besides."""

    lr: Positive = 5e-4
    weight_decay: NonNegative = 0.04
    final_weight_decay: NonNegative | None = 0.4
    scaling: Scaling = "linear"


Optimizer = Annotated[AdamW | SGD | LARS | SAM, Field(discriminator="kind")]
"""An optimiser of pretraining, by `kind`."""


def peak(optimizer: AdamW | SGD | LARS | SAM, batch_size: int) -> float:
    """The largest learning rate with so many images in a batch."""
    share = batch_size / REFERENCE_BATCH
    factors = {"none": 1.0, "linear": share, "sqrt": share**0.5}
    return optimizer.lr * factors[optimizer.scaling]
