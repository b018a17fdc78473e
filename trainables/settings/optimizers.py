"""Settings of optimisers, each by the kind that `trainables.core.optimizers.build` knows.

How large the rate and the weight decay are depends on what is trained: they have no default here. A
family derives its own settings, and gives them theirs.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from trainables.core.config import Config
from trainables.settings.ranges import NonNegative, Positive, Rate


class Optimizer(Config):
    """What all settings of optimisers have; `lr` is the peak of the schedule."""

    def arguments(self) -> dict[str, Any]:
        """What an optimiser is built from: the kind, and all that has an effect, by name.

        Without the weight decay, which is that of each group of parameters.
        """
        return self.model_dump(exclude={*self.void(), "weight_decay"})


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015)."""

    kind: Literal["adam"] = "adam"
    lr: Positive
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    eps: Positive = 1e-8


class AdamTF(Optimizer):
    """Adam as TensorFlow has it: ε is added before the second moment is corrected."""

    kind: Literal["adam_tf"] = "adam_tf"
    lr: Positive
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    eps: Positive = 1e-8


class AdamW(Optimizer):
    """AdamW (Loshchilov and Hutter 2019): the weight decay is apart from the gradient."""

    kind: Literal["adamw"] = "adamw"
    lr: Positive
    weight_decay: NonNegative
    beta1: Rate = 0.9
    beta2: Rate = 0.999


class RMSprop(Optimizer):
    """RMSprop; `alpha` is the share of the squared gradients that a step keeps."""

    kind: Literal["rmsprop"] = "rmsprop"
    lr: Positive
    alpha: Rate = 0.99
    momentum: Rate = 0.0
    eps: Positive = 1e-8


class PlainSGD(Optimizer):
    """SGD, with momentum if that is not 0, and nothing else."""

    kind: Literal["sgd"] = "sgd"
    lr: Positive
    momentum: Rate = 0.0


class SGD(Optimizer):
    """SGD with momentum, weight decay and, if asked, Nesterov's look-ahead."""

    kind: Literal["sgd"] = "sgd"
    lr: Positive
    weight_decay: NonNegative
    momentum: Rate = 0.9
    nesterov: bool = False

    def void(self) -> frozenset[str]:
        """Nesterov's look-ahead needs momentum."""
        return frozenset({"nesterov"}) if self.momentum == 0 else frozenset()


class LARS(Optimizer):
    """LARS (You et al. 2017); `trust` is the trust coefficient."""

    kind: Literal["lars"] = "lars"
    lr: Positive
    weight_decay: NonNegative
    momentum: Rate = 0.9
    nesterov: bool = False
    trust: float = Field(default=1e-3, gt=0, le=1)

    def void(self) -> frozenset[str]:
        """Nesterov's look-ahead needs momentum."""
        return frozenset({"nesterov"}) if self.momentum == 0 else frozenset()


class SAM(Optimizer):
    """Sharpness-aware minimisation with `rho` around a base, whose settings the others are.

    A step takes twice the time of the base's.
    """

    kind: Literal["sam"] = "sam"
    base: Literal["adamw", "sgd"] = "adamw"
    rho: float = Field(default=0.05, ge=0, le=2)
    lr: Positive
    weight_decay: NonNegative
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    momentum: Rate = 0.9
    nesterov: bool = False

    def void(self) -> frozenset[str]:
        """The settings of the other base; and Nesterov's look-ahead needs momentum."""
        if self.base == "adamw":
            return frozenset({"momentum", "nesterov"})
        return frozenset({"beta1", "beta2"} if self.momentum else {"beta1", "beta2", "nesterov"})
