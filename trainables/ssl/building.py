"""Builders of learners by the method of a configuration."""

from __future__ import annotations

from trainables.ssl.config import Pretraining
from trainables.ssl.labelled import (
    Classifying,
    DistillationWithLabels,
    OfOneNetwork,
    OfTwoNetworks,
)
from trainables.ssl.labelled_methods import CrossEntropy, Focal, GPaCo, MultiTask, PaCo
from trainables.ssl.learners import Contrasting, Distillation, Learner, Queueing, Regression
from trainables.ssl.methods import BYOL, Dino, MoCo, SimCLR, SupCon
from trainables.ssl.students import build, build_quiet


def learner(config: Pretraining, channels: int, classes: int) -> Learner:
    """What learns by the method of a configuration, from images of so many channels and classes."""
    found = _alone(config, channels, classes) or _taught(config, channels, classes)
    found.says_each = config.optimizer.needs_each
    return found


def _alone(config: Pretraining, channels: int, classes: int) -> Learner | None:
    """A network that learns from no other; None if the method has two."""
    if config.method.has_teacher:
        return None
    student, method = build(config, channels), config.method
    if isinstance(method, SimCLR | SupCon):
        return Contrasting(method, student)
    if isinstance(method, CrossEntropy | Focal):
        return Classifying(method, student, classes)
    assert isinstance(method, GPaCo | MultiTask)
    return OfOneNetwork(method, student, classes)


def _taught(config: Pretraining, channels: int, classes: int) -> Learner:
    """A network, and its moving average."""
    student, quiet, method = build(config, channels), build_quiet(config, channels), config.method
    if isinstance(method, BYOL):
        return Regression(method, student, quiet)
    if isinstance(method, MoCo):
        return Queueing(method, student, quiet)
    if isinstance(method, PaCo):
        return OfTwoNetworks(method, student, quiet, classes)
    assert isinstance(method, Dino)
    is_official = config.compatibility == "official"
    if method.has_classifier:
        return DistillationWithLabels(method, student, quiet, classes, is_official=is_official)
    return Distillation(method, student, quiet, is_official=is_official)
