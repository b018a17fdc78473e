"""Methods of pretraining: what is compared, by which head, at which temperatures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainables.settings.ranges import Count, Natural, Positive, Rate
from trainables.ssl.labelled_methods import (
    CrossEntropy,
    Focal,
    FocalTerm,
    GPaCo,
    MultiTask,
    PaCo,
)
from trainables.ssl.parts import Comparison, Momentum, Predictor, Projector, PrototypeHead


class Dino(Comparison):
    """DINO (Caron et al. 2021): a student says of each view what its teacher says of another.

    The teacher follows the student with a `momentum` that rises to `final_momentum` on half a
    cosine (`moving`), or stays as it was drawn (`frozen`): then all is distilled from a random
    network. Its targets are centred: by a mean for each prototype (`vector`), or by one number for
    all (`scalar`), which changes no softmax: as if there were none. Both faults were made.

    `teacher_temperature` is reached evenly from `first_teacher_temperature` in so many epochs
    (`teacher_temperature_epochs`, 0: at once). The last layer stands still for the first
    `last_layer_epochs` epochs. With a `focal` term it sees the labels.
    """

    kind: Literal["dino"] = "dino"
    head: PrototypeHead = PrototypeHead()
    temperature: Positive = 0.1
    teacher_temperature: Positive = 0.04
    first_teacher_temperature: Positive = 0.04
    teacher_temperature_epochs: Natural = 0
    teacher: Literal["moving", "frozen"] = "moving"
    momentum: Momentum = 0.996
    final_momentum: Momentum = 1.0
    centre: Literal["vector", "scalar"] = "vector"
    centre_momentum: Rate = 0.9
    last_layer_epochs: Natural = 1
    focal: FocalTerm = FocalTerm()

    @model_validator(mode="after")
    def _momentum_rises(self) -> Dino:
        _check_rise(self.momentum, self.final_momentum)
        return self

    def void(self) -> frozenset[str]:
        """How a teacher follows that does not; from where a temperature rises that does not;
        how a centre moves that changes no softmax.
        """
        void = {"momentum", "final_momentum"} if self.teacher == "frozen" else set[str]()
        if self.teacher_temperature_epochs == 0:
            void.add("first_teacher_temperature")
        if self.centre == "scalar":
            void.add("centre_momentum")
        return frozenset(void)

    @property
    def has_teacher(self) -> bool:
        """There is one."""
        return True

    @property
    def sees_labels(self) -> bool:
        """For the focal term."""
        return self.focal.weight > 0

    @property
    def has_classifier(self) -> bool:
        """That of the focal term."""
        return self.focal.weight > 0


class _Momentum(Comparison):
    """Two views of an image are compared, one by the network and one by its moving average.

    The average follows with `momentum`.
    """

    momentum: Momentum

    @property
    def has_teacher(self) -> bool:
        """The moving average."""
        return True

    @property
    def takes_two_views(self) -> bool:
        """One for each network."""
        return True


class BYOL(_Momentum):
    """BYOL (Grill et al. 2020): of each view a `predictor` says what the average says of the other.

    As `_Momentum`; `momentum` rises to `final_momentum` on half a cosine. Sizes are as published,
    and so is the batch normalisation of both heads, without which little is known to work.
    """

    kind: Literal["byol"] = "byol"
    head: Projector = Projector(width=256, hidden=4096, norm="batch")
    predictor: Predictor = Predictor()
    momentum: Momentum = 0.996
    final_momentum: Momentum = 1.0

    @model_validator(mode="after")
    def _momentum_rises(self) -> BYOL:
        _check_rise(self.momentum, self.final_momentum)
        return self


class MoCo(_Momentum):
    """MoCo (He et al. 2020; with two layers in the head, Chen et al. 2020): a queue of negatives.

    The first view is the query, the second the key; `queue` is the number of keys of the steps
    before. It starts empty, so that a first step learns nothing. Published for 1.3 million images
    are 65,536 keys. Labels are not looked at. Keys are not shuffled among workers: batch statistics
    are those of all of them.
    """

    kind: Literal["moco"] = "moco"
    head: Projector = Projector()
    temperature: Positive = 0.2
    momentum: Momentum = 0.999
    queue: Count = 4096

    @property
    def compares_images(self) -> bool:
        """With those before."""
        return True


class _Contrastive(Comparison):
    """Vectors of views of one thing are drawn together, those of all others pushed apart.

    `anchors`: the loss is that of `all` views, or of the first `one` of each image.
    `base_temperature` scales the loss by temperature / base_temperature (null: by 1).
    """

    head: Projector = Projector()
    temperature: Positive
    base_temperature: Positive | None = None
    anchors: Literal["all", "one"] = "all"

    @property
    def compares_images(self) -> bool:
        """With all others of the batch."""
        return True


class SimCLR(_Contrastive):
    """SimCLR (Chen et al. 2020) for any number of views: labels are not looked at.

    As `_Contrastive`: positives are the other views of the image.
    """

    kind: Literal["simclr"] = "simclr"
    temperature: Positive = 0.5


class SupCon(_Contrastive):
    """SupCon (Khosla et al. 2020, L_out): positives are all other views of the class.

    As `_Contrastive`. It sees the labels.
    """

    kind: Literal["supcon"] = "supcon"
    temperature: Positive = 0.1

    @property
    def sees_labels(self) -> bool:
        """All of them."""
        return True


Method = Annotated[
    Dino | BYOL | MoCo | SimCLR | SupCon | PaCo | GPaCo | MultiTask | CrossEntropy | Focal,
    Field(discriminator="kind"),
]
"""How a network learns, by `kind`."""


def _check_rise(first: float, last: float) -> None:
    if last < first:
        raise ValueError(f"final_momentum must be at least momentum ({first:g}), got {last:g}")
