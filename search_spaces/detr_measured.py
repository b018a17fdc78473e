"""Sweeps of the family detr that measure finished trials, as the log of their author has them.

`detr.E12`, `E14` to `E16` and `E21` to `E24`: of the maps of `detr.E17`, and those with `_alpha` of
`detr.E19`. The protocols are those of their days, on trials of the same settings as measured then.
E25, networks as they are drawn, is the row `untrained` beside each of them. The published weights
of the original are those of `detr.E12_weights`, a trial of no steps:

    raysearch search detr.E12_weights weights_file=data/weights/detr-r50-e632da11.pth
    raysearch search detr.E12_original
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raysearch.sweeps.sweep import Sweep, Trial, sweep
from search_spaces.detr_settings import AP, POST, PUBLISHED, detector
from search_spaces.settings import Settings, choices, labelled, one_of
from trainables.detr.config import Detection


def measured(
    number: str,
    when: str,
    *,
    of: str = "E17",
    question: str,
    stated: int = 1,
    notes: str = "",
    **tables: Mapping[str, Settings],
) -> Callable[[Callable[[Any], Any]], Sweep]:
    """Settings with their number and day, for trials of another experiment."""
    return sweep(
        name=f"detr.{number}",
        evaluates=f"detr.{of}",
        group="measured",
        tags={"group": "measured", "date": when},
        stated=stated,
        question=question,
        notes=notes,
        metrics=AP,
        choices=choices(**tables),
    )


# Gini and zeros ------------------------------------------------------------------------------

PROTOCOLS: Mapping[str, Settings] = {
    label: {"evaluation.sparsity.protocol": protocol, "evaluation.sparsity.score_above": score}
    for label, (protocol, score) in {
        "26_april": ("rows_a", 0.7),
        "20_may": ("rows_b", 0.9),
        "25_may": ("rows_c", 0.9),
    }.items()
}
"""How Gini was measured, and of which queries, by day."""
PROTOCOL_QUESTION = "Why is softmax sparser than sparsemax, by Gini of rows?"


@measured("E12", "2022-05-25", question=PROTOCOL_QUESTION, stated=3, protocols=PROTOCOLS)
def protocols(trial: Trial) -> Detection:
    """Three protocols."""
    return detector(labelled(trial, "protocols", PROTOCOLS))


@measured(
    "E12_baseline",
    "2022-05-25",
    of="E02",
    question=PROTOCOL_QUESTION,
    stated=3,
    protocols=PROTOCOLS,
)
def protocols_of_baseline(trial: Trial) -> Detection:
    """Three protocols, of softmax as torch has it."""
    return detector(labelled(trial, "protocols", PROTOCOLS))


@sweep(
    name="detr.E12_weights",
    sampler="grid",
    group="measured",
    tags={"group": "measured", "date": "2022-05-25"},
    stated=1,
    question="What do the published weights of DETR reach here?",
    notes="It must have been got: dl.fbaipublicfiles.com/detr/detr-r50-e632da11.pth.",
    metrics=AP,
)
def original_weights(trial: Trial) -> Detection:
    """ResNet-50 after 500 epochs, with softmax and norms behind each part; no step more."""
    return detector(
        PUBLISHED,
        POST,
        {"training.steps": 0},
        one_of(trial, "weights_file", "data/weights/detr-r50-e632da11.pth"),
    )


@measured(
    "E12_original",
    "2022-05-25",
    of="E12_weights",
    question=PROTOCOL_QUESTION,
    stated=3,
    protocols=PROTOCOLS,
)
def protocols_of_original(trial: Trial) -> Detection:
    """Three protocols, of the published weights."""
    return detector(labelled(trial, "protocols", PROTOCOLS))


@measured("E14", "2022-05-27", question="How many weights of confident queries are zeros?")
def zeros_of_some(trial: Trial) -> Detection:
    """Queries above 0.9, by layer and head."""
    return detector(one_of(trial, "evaluation.sparsity.score_above", 0.9))


def zeros_of(trial: Trial) -> Detection:
    """Of all queries, and of confident ones; at 0 for maps that have zeros, at 1e-6 for softmax."""
    return detector(one_of(trial, "evaluation.sparsity.score_above", 0.0, 0.9))


ZEROS_QUESTION = "How many weights of all queries are zeros?"
ZEROS_NOTES = "Those of softmax above 0.9 were left open."


@measured(
    "E15",
    "2022-06-01",
    question=ZEROS_QUESTION,
    stated=2,
    notes=ZEROS_NOTES,
)
def zeros(trial: Trial) -> Detection:
    """All queries, and those above 0.9."""
    return zeros_of(trial)


@measured(
    "E15_alpha",
    "2022-07-03",
    of="E19",
    question=ZEROS_QUESTION,
    stated=2,
    notes=ZEROS_NOTES,
)
def zeros_alpha(trial: Trial) -> Detection:
    """All queries, and those above 0.9, of the α-entmax."""
    return zeros_of(trial)


DECADES: Mapping[str, Settings] = {
    "decades": {"evaluation.sparsity.thresholds": tuple(10.0**-power for power in range(10, 2, -1))}
}


@measured(
    "E16",
    "2022-06",
    question="From which weight on is a weight of softmax no zero?",
    stated=8,
    notes="Eight passes there, for 1e-3 to 1e-10, and one here.",
    thresholds=DECADES,
)
def thresholds(trial: Trial) -> Detection:
    """All of them at once."""
    return detector(labelled(trial, "thresholds", DECADES))


# Attention within boxes, and another set ------------------------------------------------------

WITHIN_QUESTION = "How much of the attention of a query is within the box of its object?"


@measured("E21", "2022-06-19", question=WITHIN_QUESTION)
def within_boxes(trial: Trial) -> Detection:
    """One picture at once, so that none is padded."""
    return detector(one_of(trial, "evaluation.images_at_once", 1))


@measured("E21_alpha", "2022-07-20", of="E19", question=WITHIN_QUESTION)
def within_boxes_alpha(trial: Trial) -> Detection:
    """One picture at once, of the α-entmax."""
    return detector(one_of(trial, "evaluation.images_at_once", 1))


@measured(
    "E22",
    "2022-06-10",
    question="Does attention within boxes depend on how many pictures are padded together?",
    notes="There padding was resized with the maps: 16 of 17 pairs of a picture were zeros.",
)
def within_boxes_together(trial: Trial) -> Detection:
    """Six at once."""
    return detector(one_of(trial, "evaluation.images_at_once", 6))


def unusual(trial: Trial, *settings: Settings) -> Detection:
    """UnRel, with its classes as they were numbered."""
    return detector(
        one_of(trial, "evaluation.data", "unrel"),
        {"evaluation.names": "as_numbered"},
        *settings,
    )


UNUSUAL_QUESTION = "Are objects in unusual relations found?"
UNUSUAL_NOTES = "Of 48 numbers only two are COCO's, so that no detector is above 0.042."


@measured("E23", "2022-09-01", question=UNUSUAL_QUESTION, notes=UNUSUAL_NOTES)
def unusual_relations(trial: Trial) -> Detection:
    """Average precision."""
    return unusual(trial)


@measured("E23_alpha", "2022-09-01", of="E19", question=UNUSUAL_QUESTION, notes=UNUSUAL_NOTES)
def unusual_relations_alpha(trial: Trial) -> Detection:
    """Average precision of the α-entmax."""
    return unusual(trial)


@measured("E24", "2022-09-01", question=WITHIN_QUESTION, notes=UNUSUAL_NOTES)
def within_unusual(trial: Trial) -> Detection:
    """One picture at once."""
    return unusual(trial, {"evaluation.images_at_once": 1})


@measured("E24_alpha", "2022-09-01", of="E19", question=WITHIN_QUESTION, notes=UNUSUAL_NOTES)
def within_unusual_alpha(trial: Trial) -> Detection:
    """One picture at once, of the α-entmax."""
    return unusual(trial, {"evaluation.images_at_once": 1})
