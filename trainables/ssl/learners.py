"""Methods at work: what is compared in a step, and what changes once behind it."""

# B images, V views, K prototypes, D width of projections.

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainables.core.experiment import Batch, Loss
from trainables.core.schedules import cosine_between, cosine_of_dino, evenly
from trainables.layers.centre import Centre
from trainables.layers.moving_average import MovingAverage
from trainables.layers.projectors import Projector
from trainables.layers.queue import Queue
from trainables.losses.contrastive import contrast_labels, contrast_queue
from trainables.losses.distillation import distil_views
from trainables.losses.regression import regress_views
from trainables.losses.similarity import normalized
from trainables.metrics.distillation import distance_of_parameters, health_of_targets
from trainables.ssl.methods import BYOL, Dino, MoCo, SimCLR, SupCon
from trainables.ssl.students import Student, exact

Gather = Callable[[Tensor], Tensor]
"""Makes [N, …] of this worker the [workers · N, …] of all."""


class Moment(NamedTuple):
    """When it is: the step from 1 of `total`, the epoch from 0."""

    step: int
    total: int
    epoch: int


class Learner(nn.Module, ABC):
    """A student, what it learns from, and all else that is state."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student
        self.says_each = False
        """Whether a loss says that of each image, if it can."""

    @property
    def kept(self) -> Student:
        """The network that one goes on with."""
        return self.student

    def apart(self) -> dict[str, Student]:
        """Networks by name that are measured apart, if there are several."""
        return {}

    @contextmanager
    def evaluating(self) -> Generator[None]:
        """Within, all networks are in evaluation mode, those too that train in theirs always."""
        yield

    @abstractmethod
    def compare(self, batch: Batch, gather: Gather, moment: Moment | None = None) -> Loss:
        """The loss of a micro-batch, and its terms; no moment: in an evaluation."""

    def prepare(self, counts: Tensor) -> None:
        """Says how many training images [C] there are of each class, once the data is read."""

    def classes_of(self, images: Tensor) -> Tensor | None:
        """Logits of classes [B, C] of images [B, C, S, S], where something learns to say them."""
        return None

    def health(self, batch: Batch) -> dict[str, Tensor]:
        """Whether it goes well, by name: scalars of a batch, without gradient."""
        return {}

    def after_backward(self, moment: Moment) -> None:
        """When the gradients of a step are there."""

    def after_update(self, moment: Moment) -> None:
        """Behind the update of a step."""


class Taught(Learner):
    """A student with a teacher, its moving average.

    The teacher is in training mode, so that batch statistics are those of its views, and drops
    nothing. Statistics that it keeps are its own.
    """

    def __init__(self, student: Student, quiet: Student, momentum: float) -> None:
        super().__init__(student)
        quiet.load_state_dict(student.state_dict())
        self.teacher = MovingAverage(quiet, momentum, mode="training", buffers="own")

    def apart(self) -> dict[str, Student]:
        """Student and teacher."""
        teacher = self.teacher.network
        assert isinstance(teacher, Student)
        return {"student": self.student, "teacher": teacher}

    @contextmanager
    def evaluating(self) -> Generator[None]:
        """Within, the teacher uses the statistics that it has kept."""
        self.teacher.network.eval()
        try:
            yield
        finally:
            self.teacher.train(self.training)

    def health(self, batch: Batch) -> dict[str, Tensor]:
        """How far the teacher is from the student."""
        return {"distance": distance_of_parameters(self.student, self.teacher)}


class Distillation(Taught):
    """DINO: cross-entropy with the centred targets of a teacher, which sees the first two views.

    Which temperature targets have is kept for evaluations, of a checkpoint too.
    """

    teacher_temperature: Tensor

    def __init__(
        self, settings: Dino, student: Student, quiet: Student, *, is_official: bool = False
    ) -> None:
        super().__init__(student, quiet, settings.momentum)
        self._settings = settings
        self._between = cosine_of_dino if is_official else cosine_between
        places = settings.head.prototypes if settings.centre == "vector" else 1
        self.centre = Centre(places, settings.centre_momentum)
        first = torch.tensor(self.temperature_in(0), dtype=torch.float64)
        self.register_buffer("teacher_temperature", first)

    @property
    def kept(self) -> Student:
        """The teacher, if it moves."""
        return self.student if self._settings.teacher == "frozen" else self.apart()["teacher"]

    def compare(self, batch: Batch, gather: Gather, moment: Moment | None = None) -> Loss:
        """The mean over pairs of views; in training the teacher's logits are collected."""
        return self._compared(self.student.features(views_of(batch)), batch, moment)

    def _compared(self, features: Tensor, batch: Batch, moment: Moment | None) -> Loss:
        """As `compare`, of features [V, B, D] of the student."""
        student, teacher = self._logits(features, batch)
        sharp = self._sharpness(moment)
        if moment is not None:
            self.collect(teacher)
        if self.says_each:
            each = distil_views(student, teacher, **sharp, reduction="none")
            return Loss(each.mean(), {}, each)
        return Loss(distil_views(student, teacher, **sharp), {})

    def collect(self, teacher: Tensor) -> None:
        """Adds logits [2, B, K] of the teacher to what moves the centre.

        To a scalar their sum over all prototypes, as it was computed by mistake.
        """
        is_vector = self._settings.centre == "vector"
        self.centre.collect(teacher if is_vector else teacher.sum(-1, keepdim=True))

    def health(self, batch: Batch) -> dict[str, Tensor]:
        """Of the targets, and how far the teacher is from the student."""
        student, teacher = self._logits(self.student.features(views_of(batch)), batch)
        found = health_of_targets(student, teacher, **self._sharpness(None))
        return {**found, **super().health(batch)}

    def after_backward(self, moment: Moment) -> None:
        """The last layer has no gradient in the first epochs: it neither moves nor decays."""
        if moment.epoch < self._settings.last_layer_epochs:
            for parameter in self.student.head.get_submodule("last_layer").parameters():
                parameter.grad = None

    def after_update(self, moment: Moment) -> None:
        """The teacher follows, and the centre moves."""
        settings = self._settings
        if settings.teacher == "moving":
            ends: dict[str, Any] = {"start": settings.momentum, "end": settings.final_momentum}
            share = self._between(moment.step - 1, moment.total, **ends)
            self.teacher.follow(self.student, share)
        self.centre.update()
        self.teacher_temperature.fill_(self.temperature_in(moment.epoch))

    def temperature_in(self, epoch: int) -> float:
        """The temperature of targets in an epoch from 0."""
        settings = self._settings
        ends = settings.first_teacher_temperature, settings.teacher_temperature
        return evenly(epoch, settings.teacher_temperature_epochs, *ends)

    def _logits(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of the student [V, B, K], and of the teacher [2, B, K], exact."""
        student = exact(self.student.project(features))
        return student, exact(self.teacher([batch["large_views"][:, :2]]))

    def _sharpness(self, moment: Moment | None) -> dict[str, Any]:
        """Temperatures and centre; without a moment those of the last step."""
        kept = self.teacher_temperature
        return {
            "temperature": self._settings.temperature,
            "teacher_temperature": self.temperature_in(moment.epoch) if moment else float(kept),
            "centre": self.centre.value,
        }


class Regression(Taught):
    """BYOL: predictions of both views, compared with what the teacher says of the other view."""

    def __init__(self, settings: BYOL, student: Student, quiet: Student) -> None:
        super().__init__(student, quiet, settings.momentum)
        self._settings, width = settings, settings.head.width
        self.predictor = Projector(width, width=width, **settings.predictor.model_dump())

    def compare(self, batch: Batch, gather: Gather, moment: Moment | None = None) -> Loss:
        """The mean over images of 2 − 2·cos of both views."""
        views = views_of(batch)
        projections = self.student(views)
        predictions = self.predictor(projections.flatten(0, 1)).unflatten(0, projections.shape[:2])
        targets = exact(self.teacher(views)).transpose(0, 1)
        compared = exact(predictions).transpose(0, 1), targets
        if self.says_each:
            each = regress_views(*compared, reduction="none")
            return Loss(each.mean(), {}, each)
        return Loss(regress_views(*compared), {})

    def after_update(self, moment: Moment) -> None:
        """The teacher follows."""
        ends = {"start": self._settings.momentum, "end": self._settings.final_momentum}
        self.teacher.follow(self.student, cosine_between(moment.step - 1, moment.total, **ends))


class Queueing(Taught):
    """MoCo: the teacher makes keys, of second views, which stay in a queue as negatives."""

    def __init__(self, settings: MoCo, student: Student, quiet: Student) -> None:
        super().__init__(student, quiet, settings.momentum)
        self._settings = settings
        self.queue = Queue(settings.queue, settings.head.width)

    def compare(self, batch: Batch, gather: Gather, moment: Moment | None = None) -> Loss:
        """The loss, and as `accuracy` the share of queries whose nearest candidate is their key.

        In training keys are collected.
        """
        [views] = views_of(batch)
        queries = exact(self.student([views[:, :1]]))[0]
        keys = normalized(exact(self.teacher([views[:, 1:]]))[0])
        if moment is not None:
            self.queue.collect(keys)
        with torch.autocast(queries.device.type, enabled=False):
            found = contrast_queue(
                queries,
                keys,
                self.queue.keys,
                self.queue.valid,
                temperature=self._settings.temperature,
            )
        return Loss(found.loss, {"accuracy": found.accuracy})

    def after_update(self, moment: Moment) -> None:
        """The teacher follows, and the keys of the step enter the queue."""
        self.teacher.follow(self.student)
        self.queue.update()


class Contrasting(Learner):
    """SimCLR and SupCon: cosines of projections of all views of the batch of all workers."""

    def __init__(self, settings: SimCLR | SupCon, student: Student) -> None:
        super().__init__(student)
        self._settings = settings

    def compare(self, batch: Batch, gather: Gather, moment: Moment | None = None) -> Loss:
        """The loss, and the share of anchors whose nearest view is a positive, as `accuracy`."""
        settings = self._settings
        projections = gather(exact(self.student(views_of(batch))).transpose(0, 1).contiguous())
        labels = gather(batch["labels"]) if isinstance(settings, SupCon) else None
        with torch.autocast(projections.device.type, enabled=False):
            found = contrast_labels(
                projections,
                labels,
                temperature=settings.temperature,
                base_temperature=settings.base_temperature,
                anchors=settings.anchors,
            )
        return Loss(found.loss, {"accuracy": found.accuracy})


def views_of(batch: Batch) -> list[Tensor]:
    """The large views of a batch, then the small ones if there are any."""
    return [batch[name] for name in ("large_views", "small_views") if name in batch]
