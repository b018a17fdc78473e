"""Methods that see labels at work: classifiers, and contrasts with a centre for each class."""

# B images, V views, C classes, D width of features, P of projections, N rows of all workers.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainables.core.experiment import Batch, Loss
from trainables.layers.queue import Queue
from trainables.losses.classification import (
    adjusted,
    class_balanced_weights,
    focal,
    smoothed,
    soft_cross_entropy,
)
from trainables.losses.parametric import Candidates, multi_task, parametric_contrast
from trainables.losses.similarity import normalized
from trainables.ssl.labelled_methods import CrossEntropy, Focal, GPaCo, MultiTask, PaCo
from trainables.ssl.learners import Distillation, Gather, Learner, Moment, Taught, views_of
from trainables.ssl.methods import Dino
from trainables.ssl.students import Student, exact


class Classifier(nn.Linear):
    """Logits [..., C] of features [..., D], exact; it knows how often classes are trained on.

    `counts` int64 [C] and the `weights` [C] of classes, of mean 1, are in no checkpoint: they are
    those of the training split.
    """

    counts: Tensor
    weights: Tensor

    def __init__(self, width: int, classes: int, balance: float = 0.0) -> None:
        super().__init__(width, classes)
        self._balance = balance
        self.register_buffer("counts", torch.ones(classes, dtype=torch.int64), persistent=False)
        self.register_buffer("weights", torch.ones(classes), persistent=False)

    def prepare(self, counts: Tensor) -> None:
        """Takes the counts [C].

        Raises:
            ValueError: a class has no training image.
        """
        if int(counts.min()) < 1:
            raise ValueError(
                f"data must have a training image of each class for a classifier, got none of "
                f"class {int(counts.argmin())}; raise data.limit or data.long_tail.factor, or "
                f"lower data.labels_from.least_confidence"
            )
        self.counts.copy_(counts)
        self.weights.copy_(class_balanced_weights(counts, self._balance))

    def forward(self, input: Tensor) -> Tensor:
        """Logits, in single precision at least."""
        return exact(super().forward(input))


class Classifying(Learner):
    """Cross-entropy or focal loss of the classes of all views."""

    def __init__(self, settings: CrossEntropy | Focal, student: Student, classes: int) -> None:
        super().__init__(student)
        self._settings = settings
        self.classifier = Classifier(student.backbone.width, classes, settings.class_balance)

    def prepare(self, counts: Tensor) -> None:
        """The classifier takes them."""
        self.classifier.prepare(counts)

    def classes_of(self, images: Tensor) -> Tensor:
        """Without what is added to logits while they are learned."""
        return self.classifier(self.student.embed(images))

    def compare(self, batch: Batch, gather: Gather, moment: Moment | None = None) -> Loss:
        """The mean over images and views, and the share that is named right, as `accuracy`."""
        logits = self.classifier(self.student.features(views_of(batch)))
        labels = batch["labels"].repeat(len(logits))
        each = self._each(logits.flatten(0, 1), labels).unflatten(0, logits.shape[:2]).mean(0)
        return Loss(each.mean(), {"accuracy": _accuracy(logits, batch["labels"])}, each)

    def _each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The losses [N] of logits [N, C]."""
        settings, counts = self._settings, self.classifier.counts
        weights = self.classifier.weights.to(logits.dtype) if settings.class_balance else None
        given: Any = {"weights": weights, "reduction": "none"}
        with torch.autocast(logits.device.type, enabled=False):
            seen = adjusted(logits, counts, settings.adjustment)
            if isinstance(settings, Focal):
                return focal(seen, labels, gamma=settings.gamma, **given)
            targets = smoothed(
                *(labels, len(counts), settings.label_smoothing),
                share=settings.smoothing_share,
                dtype=logits.dtype,
            )
            return soft_cross_entropy(seen, targets, **given)


class _Parametric(Learner):
    """What PaCo, GPaCo and both tasks side by side have in common."""

    def _begin(self, settings: PaCo | GPaCo | MultiTask, width: int, classes: int) -> None:
        balance = settings.class_balance if isinstance(settings, MultiTask) else 0.0
        self._ways = settings
        self.classifier = Classifier(width, classes, balance)
        self.queue: Queue | None = None
        if settings.queue:
            self.queue = Queue(settings.queue, settings.head.width, has_labels=True)

    def prepare(self, counts: Tensor) -> None:
        """The classifier takes them."""
        self.classifier.prepare(counts)

    def classes_of(self, images: Tensor) -> Tensor:
        """Without what is added to logits while they are learned."""
        return self.classifier(self.student.embed(images))

    def _loss(
        self, rows: Tensor, logits: Tensor, batch: Batch, gather: Gather, moment: Moment | None
    ) -> Loss:
        """Of rows [V, B, P], the second of which are keys, and of logits [A, B, C] of anchors."""
        labels = batch["labels"]
        if moment is not None and self.queue is not None:
            self.queue.collect(normalized(rows[1]), labels)
        seen, kinds = _of_all(logits, gather), gather(labels)
        with torch.autocast(rows.device.type, enabled=False):
            total = self._contrast(_of_all(rows, gather), kinds.repeat(len(rows)), seen)
        return Loss(total, {"accuracy": _accuracy(seen.unflatten(0, (len(logits), -1)), kinds)})

    def _contrast(self, rows: Tensor, labels: Tensor, logits: Tensor) -> Tensor:
        """Of rows [2N, P] and their labels, those with logits [A, C] first."""
        settings, queue, found = self._ways, self.queue, self.classifier
        given: dict[str, Any] = {
            "temperature": settings.temperature,
            "alpha": settings.alpha,
            "counts": found.counts if settings.adjustment else None,
            "adjustment": settings.adjustment,
        }
        former = None if queue is None else Candidates(queue.keys, queue.labels, queue.valid)
        if isinstance(settings, MultiTask):
            weights = found.weights.to(logits.dtype) if settings.class_balance else None
            return multi_task(rows, labels, logits, former, weights=weights, **given)
        smoothing = settings.label_smoothing if isinstance(settings, GPaCo) else 0.0
        given |= {"beta": settings.beta, "gamma": settings.gamma, "smoothing": smoothing}
        return parametric_contrast(rows, labels, logits, former, **given)

    def after_update(self, moment: Moment) -> None:
        """The keys of the step enter the queue."""
        if self.queue is not None:
            self.queue.update()


class OfOneNetwork(_Parametric):
    """GPaCo, and both tasks side by side: both views of one network are anchors."""

    def __init__(self, settings: GPaCo | MultiTask, student: Student, classes: int) -> None:
        super().__init__(student)
        self._begin(settings, student.backbone.width, classes)

    def compare(self, batch: Batch, gather: Gather, moment: Moment | None = None) -> Loss:
        """The loss, and the share of anchors that are named right; in training keys are collected.

        Keys are projections of second views, without gradient once they are in the queue.
        """
        features = self.student.features(views_of(batch))
        rows = exact(self.student.project(features))
        return self._loss(rows, self.classifier(features), batch, gather, moment)


class OfTwoNetworks(_Parametric, Taught):
    """PaCo: first views are anchors, and a moving average makes keys of second ones."""

    def __init__(self, settings: PaCo, student: Student, quiet: Student, classes: int) -> None:
        Taught.__init__(self, student, quiet, settings.momentum)
        self._begin(settings, student.backbone.width, classes)

    def compare(self, batch: Batch, gather: Gather, moment: Moment | None = None) -> Loss:
        """As `OfOneNetwork`, but that keys have no gradient at all, and no logits."""
        [views] = views_of(batch)
        features = self.student.features([views[:, :1]])
        keys = exact(self.teacher([views[:, 1:]]))
        rows = torch.cat([exact(self.student.project(features)), keys])
        return self._loss(rows, self.classifier(features), batch, gather, moment)

    def after_update(self, moment: Moment) -> None:
        """The teacher follows, and the keys of the step enter the queue."""
        self.teacher.follow(self.student)
        super().after_update(moment)


class DistillationWithLabels(Distillation):
    """DINO, and beside it the focal loss of a linear layer on the student's large views."""

    def __init__(
        self, settings: Dino, student: Student, quiet: Student, classes: int, *, is_official: bool
    ) -> None:
        super().__init__(settings, student, quiet, is_official=is_official)
        self._term = settings.focal
        self.classifier = Classifier(student.backbone.width, classes)

    def prepare(self, counts: Tensor) -> None:
        """The classifier takes them."""
        self.classifier.prepare(counts)

    def classes_of(self, images: Tensor) -> Tensor:
        """Of the student, on whose features the layer stands."""
        return self.classifier(self.student.embed(images))

    def compare(self, batch: Batch, gather: Gather, moment: Moment | None = None) -> Loss:
        """Both losses; terms are `distillation`, `focal`, and `accuracy`, the share named right."""
        features = self.student.features(views_of(batch))
        distilled = self._compared(features, batch, moment)
        logits = self.classifier(features[: batch["large_views"].shape[1]])
        labels, weight = batch["labels"], self._term.weight
        with torch.autocast(logits.device.type, enabled=False):
            each = focal(
                logits.flatten(0, 1),
                labels.repeat(len(logits)),
                gamma=self._term.gamma,
                reduction="none",
            )
        each = each.unflatten(0, logits.shape[:2]).mean(0)
        terms = {"distillation": distilled.total, "focal": each.mean()}
        return Loss(
            distilled.total + weight * each.mean(),
            {**terms, "accuracy": _accuracy(logits, labels)},
            None if distilled.each is None else distilled.each + weight * each,
        )


def _of_all(values: Tensor, gather: Gather) -> Tensor:
    """Rows [V · N, …] of all workers of this one's [V, B, …], by views."""
    return gather(values.transpose(0, 1).contiguous()).transpose(0, 1).flatten(0, 1)


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of logits [V, B, C] whose largest is that of the label [B]."""
    return (logits.argmax(-1) == labels).float().mean()
