"""Settings of evaluations of trained and pretrained networks; training does not depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.settings.contents import by_content
from trainables.settings.going_on import Part
from trainables.settings.landscapes import Landscape, LandscapeOfViews
from trainables.settings.ranges import Count, Natural, NonNegative, Positive
from trainables.ssl.robustness import Corruption, NaturalChanges

WRONG = 8
"""So many wrong answers are shown if nothing is said."""


class Evaluation(Config):
    """How trained networks are measured; training does not depend on it.

    `noise` is the standard deviation of Gaussian noise that is added to the images, in their units:
    digits are standardised, so 1 is as large as what they show (0: none). So many images are shown
    of which the network was surest while it was `wrong` (0: none).
    """

    noise: float = Field(default=0.0, ge=0)
    wrong: Natural = WRONG
    corruption: Corruption = Corruption()
    natural: NaturalChanges = NaturalChanges()
    landscape: Landscape = Landscape()

    def void(self) -> frozenset[str]:
        """Noise of size 0 is not there; how many images are shown, if nothing is said."""
        neutral = {"noise": 0, "wrong": WRONG}
        return frozenset(name for name, value in neutral.items() if getattr(self, name) == value)

    def unreported(self, metric: str) -> str | None:
        """The sentence on an evaluation that is not made; None if it is, or is another one."""
        return self.corruption.unreported(
            metric, "evaluation.corruption"
        ) or self.landscape.unreported(metric, "evaluation.landscape")


class Neighbours(Config):
    """Classes by a vote of the `number` nearest training images, each with e^(cosine / τ).

    τ is the `temperature` (null: all weigh the same). With `weights` of `distance` each votes with
    1 / its distance, `uniform` all alike. They are looked for among at most `bank` training images
    (null: all), with the same share of each class.
    """

    number: Count = 20
    weights: Literal["exponential", "distance", "uniform"] = "exponential"
    temperature: Positive | None = 0.07
    bank: int | None = Field(default=None, ge=2)

    def void(self) -> frozenset[str]:
        """A temperature where no vote has one."""
        return frozenset({"weights" if self.weights == "exponential" else "temperature"})


class Probe(Config):
    """A linear layer on frozen features of the bank, at the last time: `steps` of it (0: none).

    Features are those of the last `blocks` blocks side by side, of vision transformers. Without
    `rates` it is fitted by AdamW until images of the bank that are held out no longer gain. With
    them a layer is fitted for each of these learning rates with each of the `weight_decays`, all
    at once, by SGD in batches of `batch_size`; the one that is best on the validation split counts,
    so that what it has there is the best of several.
    """

    steps: Natural = 0
    blocks: Count = 1
    rates: tuple[Positive, ...] = ()
    weight_decays: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (0.0,)
    batch_size: Count = 1024

    def void(self) -> frozenset[str]:
        """Of no probe all but that there is none; what only several rates need."""
        if not self.steps:
            return frozenset({"blocks", "rates", "weight_decays", "batch_size"})
        void = {"blocks"} if self.blocks == 1 else set[str]()
        return frozenset(void if self.rates else void | {"rates", "weight_decays", "batch_size"})


class _Drawn(Config):
    """Settings of pictures, which count only where they are not the usual ones."""

    def void(self) -> frozenset[str]:
        """What is as it is if nothing is said."""
        fields = type(self).model_fields.items()
        return frozenset(name for name, one in fields if getattr(self, name) == one.default)


class Embedding(_Drawn):
    """Maps of `points` features of validation images (0: none), by t-SNE and components.

    `perplexity` and `rate` (null: by the number of points) are those of t-SNE. With `class_means`
    the mean of each class is mapped with the points.
    """

    points: Natural = 1000
    perplexity: Annotated[float, Field(ge=1)] = 30.0
    rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    class_means: bool = False


class Figures(_Drawn):
    """Pictures of the last evaluation, each of so many validation images (0: none).

    With `draw_every` all but the views are drawn every so many steps of training too, under names
    that end in the step (0: at the last time alone).
    `views`: of training images, all views. `attention`: of the class token, with the places that
    have `attention_mass` of it. `grad_cam`: what makes an image like the mean of its class.
    `boxes`: of images that are boxes, the same in the box and in its whole picture.
    `correspondence`: pairs of images of one class, and what in them is like given places.
    """

    draw_every: Natural = 0
    views: Natural = 4
    embedding: Embedding = Embedding()
    attention: Natural = 4
    attention_mass: Annotated[float, Field(gt=0, lt=1)] = 0.6
    grad_cam: Natural = 8
    boxes: Natural = 6
    correspondence: Natural = 2


class Beside(Config):
    """Another checkpoint of this family, of the same images, beside the network at the last time.

    `file` is the checkpoint (null: none), `part` which of its networks (null: the one that one goes
    on with). So many `images` are shown with what both look at (0: no pictures).
    """

    file: str | None = None
    part: Part | None = None
    images: Natural = 6

    def void(self) -> frozenset[str]:
        """Without a file everything, and a part that is not said."""
        if self.file is None:
            return frozenset(type(self).model_fields)
        return frozenset({"part"} if self.part is None else ())

    def missing(self) -> str | None:
        """The sentence on a checkpoint that is not there."""
        if self.file is None or Path(self.file).expanduser().is_file():
            return None
        return (
            f"evaluation.beside.file must be a checkpoint that a run has saved, got "
            f"{self.file!r}: no file"
        )

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return by_content(super()._canonical(plain), "file")


class Evaluations(Config):
    """How networks are measured: by neighbours and a probe on all images of a split.

    `health` is that of so many images of the validation split (0: none), and of their views. Beside
    how reliable a probe or a classifier is, so many images are shown of which it was surest while
    it was `wrong` (0: none).
    """

    neighbours: Neighbours = Neighbours()
    probe: Probe = Probe()
    wrong: Natural = WRONG
    health: Natural = 256
    figures: Figures = Figures()
    corruption: Corruption = Corruption()
    natural: NaturalChanges = NaturalChanges()
    landscape: LandscapeOfViews = LandscapeOfViews()
    beside: Beside = Beside()

    @model_validator(mode="after")
    def _images_are_compared(self) -> Evaluations:
        if self.health == 1:
            raise ValueError("health must be 0, or at least 2 images that are compared, got 1")
        return self

    def void(self) -> frozenset[str]:
        """How many images are shown, as it is if nothing is said."""
        return frozenset({"wrong"} if self.wrong == WRONG else ())

    def unreported(self, metric: str) -> str | None:
        """The sentence on an evaluation that is not made; None if it is, or is another one."""
        if metric.startswith("health/") and not self.health:
            return f"metric {metric} needs images of its own; take evaluation.health of at least 2"
        if metric.startswith("pictures/") and not self.figures.embedding.points:
            return f"metric {metric} needs a map; take evaluation.figures.embedding.points above 0"
        if metric.startswith("beside/") and self.beside.file is None:
            return f"metric {metric} needs another checkpoint; take evaluation.beside.file"
        if metric.startswith("beside/probe") and not self.probe.steps:
            return f"metric {metric} needs a probe; take evaluation.probe.steps of at least 1"
        return self.corruption.unreported(
            metric, "evaluation.corruption"
        ) or self.landscape.unreported(metric, "evaluation.landscape")
