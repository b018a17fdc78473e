"""Sweeps of the family detr beyond those published: the questions that they left open.

What is trained is the default, with padding that is masked and pictures of training that select,
for 25 epochs, but for what is said to be otherwise; with three seeds a point, since published runs
of one setting differ by more than a third of their loss then. `training.epochs=300` gives the whole
length.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from raysearch.sweeps.sweep import Trial, sweep
from search_spaces.detr_settings import (
    ACTIVATIONS,
    AP,
    RATES,
    SHORT,
    balances,
    detector,
)
from search_spaces.settings import Settings, choices, labelled, one_of
from trainables.detr.config import Detection

SEEDS = 3
WHOLE: Settings = {"training.epochs": 300}
"""With the drop of the rate behind epoch 200."""

asked = partial(sweep, sampler="grid", metrics=AP, repeats=SEEDS)
evaluation = partial(sweep, metrics=AP)


def trained(*settings: Settings) -> Detection:
    """The default for 25 epochs; and these settings."""
    return detector(SHORT, *settings)


def activation(trial: Trial, *kinds: str) -> dict[str, object]:
    """One of these maps of attention to the picture, or of all that need no more settings."""
    return one_of(trial, "cross.map.kind", *(kinds or ACTIVATIONS))


# Faults and noise ----------------------------------------------------------------------------


@asked(
    name="detr.padding",
    stated=8,
    question="Does attention to padding change average precision, and how sparse attention is?",
    tags={"question": "Q1"},
)
def padding(trial: Trial) -> Detection:
    """Masked, or 1 added to its logits, × map."""
    return trained(one_of(trial, "cross.padding", "masked", "added"), activation(trial))


@asked(
    name="detr.queries",
    stated=8,
    question="How many queries, once rates, decay and losses are right?",
    tags={"question": "Q2"},
)
def queries(trial: Trial) -> Detection:
    """50 to 256 × softmax or sparsemax."""
    count = one_of(trial, "num_queries", 50, 64, 100, 256)
    return trained(count, activation(trial, "softmax", "sparsemax"))


@asked(
    name="detr.noise",
    stated=4,
    repeats=5,
    question="Is a map better than another, or is that noise?",
    tags={"question": "Q3"},
)
def noise(trial: Trial) -> Detection:
    """Four maps with five seeds each, to the end."""
    return detector(WHOLE, activation(trial))


@asked(
    name="detr.rates",
    stated=12,
    question="How bad is it to swap the rates, and do sparse maps want a faster backbone?",
    tags={"question": "Q5"},
    notes="Published, sparsemax was about ten epochs behind softmax.",
    choices=choices(rates=RATES),
)
def rates(trial: Trial) -> Detection:
    """Right, swapped or equal × map."""
    return trained(labelled(trial, "rates", RATES), activation(trial))


@asked(
    name="detr.norms",
    stated=8,
    question="Before or behind each part: which norm does each map want?",
    tags={"question": "Q6"},
)
def norms(trial: Trial) -> Detection:
    """Pre or post × map."""
    return trained(one_of(trial, "transformer.norm", "pre", "post"), activation(trial))


COSTS, WEIGHTS = balances("costs"), balances("weights")


@asked(
    name="detr.balance",
    stated=8,
    question="Is it what pairs cost or what losses weigh that changes with 3 and 3?",
    tags={"question": "Q7"},
    choices=choices(costs=COSTS, weights=WEIGHTS),
)
def balance(trial: Trial) -> Detection:
    """Costs × weights × softmax or sparsemax."""
    return trained(
        labelled(trial, "costs", COSTS),
        labelled(trial, "weights", WEIGHTS),
        activation(trial, "softmax", "sparsemax"),
    )


# Where, how sparse, and what it explains -----------------------------------------------------


@asked(
    name="detr.tvmax",
    stated=7,
    question="Is smoothed attention better, and for which weight of the variation?",
    tags={"question": "Q8"},
    notes="What it costs is the seconds a step, among the costs of a trial.",
)
def smoothed(trial: Trial) -> Detection:
    """Sparsemax, which has none, and three weights × fixed or learned from there."""
    kind = activation(trial, "sparsemax", "tvmax")
    if kind["cross.map.kind"] == "sparsemax":
        return trained(kind)
    return trained(
        kind,
        one_of(trial, "cross.map.weight", 0.05, 0.01, 0.2),
        one_of(trial, "cross.map.is_learned", False, True),
    )


PLACES: Mapping[str, tuple[str, ...]] = {
    "cross": ("cross",),
    "encoder": ("encoder_self",),
    "decoder": ("decoder_self",),
    "decoder_and_cross": ("decoder_self", "cross"),
    "everywhere": ("encoder_self", "decoder_self", "cross"),
}
KINDS_OF_PLACES = [f"{kind}.map.kind" for kind in PLACES["everywhere"]]


@asked(
    name="detr.layers",
    stated=24,
    question="Which layers profit from sparse attention, and which kinds of attention?",
    tags={"question": "Q9"},
    choices={"choice.sparse": KINDS_OF_PLACES, "choice.places": KINDS_OF_PLACES},
)
def layers(trial: Trial) -> Detection:
    """Three maps × kinds of attention; of that to the picture alone, some layers or all."""
    kind = trial.suggest_categorical("choice.sparse", ["sparsemax", "entmax15", "entmax"])
    place = trial.suggest_categorical("choice.places", list(PLACES))
    found: dict[str, object] = {f"{part}.map.kind": kind for part in PLACES[place]}
    if place == "cross":
        found |= one_of(trial, "cross.layers", "all", "last", "first_three", "alternate")
    return trained(found)


@asked(
    name="detr.explanations",
    stated=13,
    question="Does sparsity explain what is found, or does it only sharpen attention?",
    tags={"question": "Q10"},
    notes="Gini, zeros and attention within boxes, by layer and head, stand beside each score.",
)
def explanations(trial: Trial) -> Detection:
    """From softmax over five fixed α to sparsemax × all layers of the decoder, or the last."""
    kind = activation(trial, "softmax", "entmax", "sparsemax")
    if kind["cross.map.kind"] == "softmax":
        return trained(kind)
    if kind["cross.map.kind"] == "entmax":
        kind |= one_of(trial, "cross.map.alpha", 1.5, 1.05, 1.25, 1.75, 1.95)
        kind |= {"cross.map.is_learned": False}
    return trained(kind, one_of(trial, "cross.layers", "all", "last"))


def unusual(trial: Trial) -> Settings:
    """The set's own pictures, or UnRel's by right names and as numbered."""
    data = one_of(trial, "evaluation.data", "own", "unrel")
    if data["evaluation.data"] == "unrel":
        data |= one_of(trial, "evaluation.names", "mapped", "as_numbered")
    return data


@evaluation(
    name="detr.corners",
    evaluates="detr.padding",
    stated=6,
    question="Are corners attended to since padding was, and objects in unusual relations found?",
    tags={"question": "Q12"},
)
def corners(trial: Trial) -> Detection:
    """Three sets × pictures by themselves, without any padding, or four together."""
    return detector(unusual(trial), one_of(trial, "evaluation.images_at_once", 1, 4))


# Cheaper -------------------------------------------------------------------------------------


@asked(
    name="detr.backbones",
    stated=6,
    question="Do smaller backbones lose more with sparse attention?",
    tags={"question": "Q13"},
)
def backbones(trial: Trial) -> Detection:
    """ResNet-18, -34 and -50 × softmax or sparsemax."""
    name = one_of(trial, "backbone.name", "resnet50", "resnet34", "resnet18")
    return trained(name, activation(trial, "softmax", "sparsemax"))


@asked(
    name="detr.early_signal",
    stated=12,
    question="Does the order behind 10 or 25 epochs tell that behind 300?",
    tags={"question": "Q14"},
    notes="None is ended early: orders are compared by the reports of each epoch.",
    choices=choices(rates=RATES),
)
def early_signal(trial: Trial) -> Detection:
    """Rates × map, to the end."""
    return detector(WHOLE, labelled(trial, "rates", RATES), activation(trial))


FINE: Mapping[str, Settings] = {
    "halves": {
        "evaluation.sparsity.thresholds": tuple(
            digit * 10.0**-power for power in range(10, 0, -1) for digit in (1, 3)
        )
    }
}


@evaluation(
    name="detr.thresholds",
    evaluates="detr.noise",
    stated=3,
    question="Is there a threshold at which weights of softmax are zeros, or is Gini enough?",
    tags={"question": "Q15"},
    choices=choices(thresholds=FINE),
)
def thresholds(trial: Trial) -> Detection:
    """Two thresholds a decade from 1e-10 on × of all queries and of confident ones."""
    return detector(
        labelled(trial, "thresholds", FINE),
        one_of(trial, "evaluation.sparsity.score_above", 0.0, 0.5, 0.9),
    )
