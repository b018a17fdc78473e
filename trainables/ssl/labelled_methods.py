"""Methods that learn classes from labels: classifiers, and contrasts with centres of classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.settings.ranges import Natural, NonNegative, Positive, Rate
from trainables.ssl.parts import Comparison, Momentum, Projector

Unit = Annotated[float, Field(ge=0, le=1)]


class FocalTerm(Config):
    """The focal loss of a linear layer on the student's features of the large views, `weight` times
    (0: none); `gamma` as in `Focal`. Of a vision transformer features are the class token.
    """

    weight: NonNegative = 0.0
    gamma: NonNegative = 2.0

    def void(self) -> frozenset[str]:
        """Of no term everything."""
        return frozenset() if self.weight else frozenset({"weight", "gamma"})


class _Labelled(Comparison):
    """A linear layer on the features says the class of each view. It sees the labels.

    To its logits `adjustment` times the logarithm of the share of each class in the training split
    is added while it learns (0: none, 1: the balanced softmax).
    """

    adjustment: NonNegative = 0.0

    @property
    def sees_labels(self) -> bool:
        """All of them."""
        return True

    @property
    def has_classifier(self) -> bool:
        """The linear layer."""
        return True


class CrossEntropy(_Labelled):
    """The cross-entropy of the classes of all views. As `_Labelled`.

    `label_smoothing` takes its share ε of the target from the label, for all classes (`all`: ε/C to
    each) or for the others alone (`others`: ε/(C − 1)). `class_balance` is the β of weights ∝ (1 −
    β) / (1 − βⁿ) of classes with n training images (0: all alike, 1: by 1/n; Cui et al. 2019).
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Rate = 0.0
    smoothing_share: Literal["all", "others"] = "all"
    class_balance: Unit = 0.0

    def void(self) -> frozenset[str]:
        """With whom nothing is shared."""
        return frozenset() if self.label_smoothing else frozenset({"smoothing_share"})


class Focal(_Labelled):
    """The focal loss of the classes of all views (Lin et al. 2017): −(1 − p)^γ log p of the label.

    As `_Labelled`, `class_balance` as in `CrossEntropy`; with a `gamma` of 0 it is that without
    smoothing. Its targets are labels, so that there is nothing to smooth.
    """

    kind: Literal["focal"] = "focal"
    gamma: NonNegative = 2.0
    class_balance: Unit = 0.0


class _Parametric(_Labelled):
    """Two views, and keys in `queue` places of earlier steps (0: none), are compared by class.

    `temperature` divides cosines; `alpha` weighs views of the class of an anchor.
    """

    head: Projector = Projector(width=32)
    temperature: Positive = 0.05
    queue: Natural = 1024

    @property
    def takes_two_views(self) -> bool:
        """The anchor and another one."""
        return True

    @property
    def compares_images(self) -> bool:
        """With those of the batch and of the queue."""
        return True


class PaCo(_Parametric):
    """PaCo (Cui et al. 2021): the centre of a class is a positive too, `beta` times.

    As `_Parametric`. Anchors are first views; keys, of second views, are of a moving average that
    follows with `momentum`. `gamma` weighs the views in the denominator. Defaults are those
    published for CIFAR with a long tail; ImageNet's are τ 0.2, α 0.05, 8192 places and a width of
    128.
    """

    kind: Literal["paco"] = "paco"
    alpha: NonNegative = 0.01
    beta: NonNegative = 1.0
    gamma: NonNegative = 1.0
    momentum: Momentum = 0.999

    @property
    def has_teacher(self) -> bool:
        """That of the keys."""
        return True

    @model_validator(mode="after")
    def _there_is_a_positive(self) -> PaCo:
        _check_weights(self.alpha, self.beta)
        return self

    def void(self) -> frozenset[str]:
        """How views are compared where none counts."""
        return frozenset() if self.alpha or self.gamma else frozenset({"temperature", "queue"})


class GPaCo(_Parametric):
    """GPaCo (Cui et al. 2023): PaCo of one network, whose views of both kinds are anchors.

    As `PaCo`. `label_smoothing` takes its share from the centre of the class, for the others'.
    """

    kind: Literal["gpaco"] = "gpaco"
    head: Projector = Projector(width=32, layers=3)
    alpha: NonNegative = 0.01
    beta: NonNegative = 1.0
    gamma: NonNegative = 1.0
    label_smoothing: Rate = 0.0

    @model_validator(mode="after")
    def _there_is_a_positive(self) -> GPaCo:
        _check_weights(self.alpha, self.beta)
        return self

    def void(self) -> frozenset[str]:
        """What is taken from a centre that counts nothing; how views are compared if none does."""
        void = set[str]() if self.beta else {"label_smoothing"}
        return frozenset(void if self.alpha or self.gamma else void | {"temperature", "queue"})


class MultiTask(_Parametric):
    """The cross-entropy, and `alpha` times SupCon of the same views, side by side.

    As `_Parametric`: what PaCo and GPaCo are compared with. `class_balance` weighs anchors of
    SupCon, as `CrossEntropy` its classes; published for long tails is 0.999.
    """

    kind: Literal["multi_task"] = "multi_task"
    alpha: Positive = 0.5
    class_balance: Unit = 0.0


def _check_weights(alpha: float, beta: float) -> None:
    if alpha + beta == 0:
        raise ValueError("alpha must be above 0 where beta is 0, got 0 for both")
