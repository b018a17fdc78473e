"""The linear probe of frozen features, fitted and scored."""

# N features, C their width, Q classes.

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor

from trainables.core.experiment import Experiment
from trainables.core.measuring import differentiable, learning
from trainables.metrics.classification import confusion, scores
from trainables.metrics.intervals import wilson
from trainables.metrics.knn import top_accuracy
from trainables.metrics.probe import fit_classifier
from trainables.metrics.probe_grid import fit_grid
from trainables.ssl.calibration import calibration
from trainables.ssl.evaluations import Probe
from trainables.ssl.features import BANK


class Answers(NamedTuple):
    """What was answered: values by name, and how often which class was taken for which [Q, Q].

    Of what says probabilities, these too: [N, Q], on the CPU.
    """

    values: dict[str, float]
    counts: Tensor
    probabilities: Tensor | None = None


class Fitted(NamedTuple):
    """A linear layer: logits [N, Q] of features [N, C], and the settings that were chosen for it
    among several.
    """

    logits: Callable[[Tensor], Tensor]
    chosen: dict[str, float]


def probed(
    experiment: Experiment,
    settings: Probe,
    split: str,
    classes: int,
    features: Callable[[str], Tensor],
    labels: Callable[[str], Tensor],
) -> Answers:
    """A linear layer `fitted` on the bank, on a split; features and labels come by their names.

    `probe_rate` and `probe_weight_decay` say which of several it is.
    """
    probe = fitted(experiment, settings, f"{split} probe", classes, features, labels)
    found = _answered(probe.logits(features(split)), labels(split))
    return Answers(found.values | probe.chosen, found.counts, found.probabilities)


def fitted(
    experiment: Experiment,
    settings: Probe,
    purpose: str,
    classes: int,
    features: Callable[[str], Tensor],
    labels: Callable[[str], Tensor],
) -> Fitted:
    """A linear layer fitted on the bank; of several the one that is best on validation images."""
    seen = {one: features(one) for one in (BANK, *(("val",) if settings.rates else ()))}
    known = labels(BANK).to(seen[BANK].device)
    with learning(experiment, purpose) as draw:
        seen = {name: differentiable(one) for name, one in seen.items()}
        if not settings.rates:
            steps = settings.steps
            return Fitted(
                fit_classifier(seen[BANK], known, classes, generator=draw, steps=steps), {}
            )
        grid = fit_grid(
            seen[BANK],
            known,
            classes,
            rates=settings.rates,
            weight_decays=settings.weight_decays,
            steps=settings.steps,
            batch_size=settings.batch_size,
            generator=draw,
        )
        place = grid.best(seen["val"], labels("val").to(known.device))
    rate, decay = grid.settings[place]
    chosen = {"probe_rate": rate, "probe_weight_decay": decay}
    return Fitted(partial(grid, place=place), chosen)


def _answered(logits: Tensor, labels: Tensor) -> Answers:
    """Of logits [N, Q]; all are above 0 for the sake of the first five."""
    logits = logits.detach().cpu()
    shown = logits - logits.amin(1, keepdim=True) + 1
    found, probabilities = scored("probe", logits.argmax(1), shown, labels), logits.softmax(1)
    values = found.values | calibration("probe", probabilities, labels)
    return Answers(values, found.counts, probabilities)


def scored(name: str, answers: Tensor, shown: Tensor, labels: Tensor) -> Answers:
    """The scores of answers [N], and of what was said of each class [N, Q] beside them, from 0 on.

    `<name>` is the accuracy, and so is recall with each class as often as it occurs;
    `<name>_precision`, `<name>_recall` and `<name>_f1` are means over classes, `…_weighted` means
    over images; `<name>_top5` is the share of images whose class is among the first five.
    """
    counts = confusion(answers, labels, shown.shape[1])
    found = scores(counts)
    values = {
        name: found.accuracy,
        f"{name}_precision": float(found.precision.mean()),
        f"{name}_recall": float(found.recall.mean()),
        f"{name}_f1": found.macro_f1,
        f"{name}_precision_weighted": found.weighted(found.precision),
        f"{name}_f1_weighted": found.weighted(found.f1),
        f"{name}_top5": top_accuracy(shown, labels),
    }
    return Answers(values, counts)


def bounds(name: str, values: dict[str, float], number: int) -> dict[str, float]:
    """`<name>_low` and `<name>_high`: between them the accuracy is with 95 %."""
    low, high = wilson(values[name], number)
    return {f"{name}_low": low, f"{name}_high": high}
