"""Settings of optimisers, each by the kind that `trainables.core.optimizers.build` knows.

How large the rate and the weight decay are depends on what is trained: they have no default here. A
family derives its own settings, and gives them theirs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from trainables.core.config import Config
from trainables.settings.ranges import NonNegative, Positive, Rate

Share = Annotated[float, Field(gt=0, le=1)]


class Optimizer(Config):
    """What all settings of optimisers have; `lr` is the peak of the schedule."""

    def arguments(self) -> dict[str, Any]:
        """What an optimiser is built from: the kind, and all that has an effect, by name.

        Without the weight decay, which is that of each group of parameters.
        """
        return self.model_dump(exclude={*self.void(), "weight_decay"})

    @property
    def needs_each(self) -> bool:
        """Whether a step asks for the loss of each example."""
        return False


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

    A step takes twice the time of the base's. `adaptive` is ASAM, for which a `rho` ten times as
    large is published. Shares below 1 are ESAM's (0.6 and 0.5 as published): of the weights that
    are moved uphill, and of the examples whose loss rises most there, which alone make the second
    gradient; that takes a loss that does not compare examples.
    """

    kind: Literal["sam"] = "sam"
    base: Literal["adamw", "sgd"] = "adamw"
    rho: float = Field(default=0.05, ge=0, le=20)
    adaptive: bool = False
    weight_share: Share = 1.0
    example_share: Share = 1.0
    lr: Positive
    weight_decay: NonNegative
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    momentum: Rate = 0.9
    nesterov: bool = False

    def void(self) -> frozenset[str]:
        """The settings of the other base; Nesterov's look-ahead needs momentum; ways uphill that
        are SAM's, or none.
        """
        void = {name for name in ("weight_share", "example_share") if getattr(self, name) == 1}
        if not self.adaptive:
            void.add("adaptive")
        if self.rho == 0:
            void |= {"adaptive", "weight_share"}
        if self.base == "adamw":
            return frozenset(void | {"momentum", "nesterov"})
        other = {"beta1", "beta2"} if self.momentum else {"beta1", "beta2", "nesterov"}
        return frozenset(void | other)

    @property
    def needs_each(self) -> bool:
        """For a share of the examples."""
        return self.example_share < 1
