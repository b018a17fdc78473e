"""Sweeps of the family detr that were run with wrong settings, in April and May: E07 to E11, E13.

The accidents are points of them; `detr_questions` has the same questions with right settings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from raysearch.sweeps.sweep import Trial
from search_spaces.detr import logged, published
from search_spaces.detr_settings import DECAYED, DRAWN, FAULTY, POST, SHORT, SPARSEMAX, SWAPPED
from search_spaces.settings import Settings, labelled, one_of
from trainables.detr.config import Detection

# The files of 10 March ------------------------------------------------------------------------

START = 1 + 1 / (1 + math.exp(-1.5))
"""1 + σ(1.5), where the α of 27 April began."""
FORMS: Mapping[str, Settings] = {
    "27_april": {
        "cross.map.form": "unbounded",
        "cross.map.tied": "layer",
        "cross.map.start": "given",
        "cross.map.alpha": START,
    },
    **{
        day: {"cross.map.form": form, "cross.map.tied": "head", "cross.map.start": "normal_copied"}
        for day, form in (
            ("27_april_by_head", "unused"),
            ("28_april_once", "constant"),
            ("28_april", "sigmoid"),
            ("8_may", "clamped_sigmoid"),
        )
    },
}
"""By the day that brought it; the first of all raised, and was constant as that of 28 April."""


@logged(
    "E07",
    "entmax-alpha",
    "2022-04-27",
    question="Why does α not move?",
    stated=5,
    notes="α had the rate and the weight decay of the transformer; all layers began as the first.",
    forms=FORMS,
)
def forms(trial: Trial) -> Detection:
    """How α was held, with the rates, weight decay and losses of those days."""
    own = {f"alpha.{name}": FAULTY[f"optimizer.{name}"] for name in ("lr", "weight_decay")}
    return published(FAULTY, DRAWN, own, labelled(trial, "forms", FORMS))


@logged(
    "E08",
    "decoder_sparsemax_256queries",
    "2022-04-30",
    question="Do more queries help sparsemax?",
)
def more_queries(trial: Trial) -> Detection:
    """256, with the four faults."""
    return published(FAULTY, SPARSEMAX, one_of(trial, "num_queries", 256))


@logged(
    "E09",
    "decoder_sparsemax_256queries_lr",
    "2022-04-30",
    question="Do more queries want a higher rate?",
    notes="The file has 5e-5 for the transformer too, which was not read.",
)
def more_queries_rate(trial: Trial) -> Detection:
    """256 and five times the rate of the backbone, with the four faults."""
    rate = one_of(trial, "optimizer.backbone_lr", 5e-4)
    return published(FAULTY, SPARSEMAX, {"num_queries": 256}, rate)


@logged(
    "E10",
    "decoder_sparsemax_64queries",
    "2022-04-30",
    question="Are fewer queries enough for sparsemax?",
)
def fewer_queries(trial: Trial) -> Detection:
    """64, with the four faults."""
    return published(FAULTY, SPARSEMAX, one_of(trial, "num_queries", 64))


@logged(
    "E11",
    "entmax-alpha",
    "2022-05-08",
    question="Why is softmax on the branch of α not what it was?",
)
def softmax_on_branch(trial: Trial) -> Detection:
    """Softmax with the four faults."""
    return published(FAULTY, one_of(trial, "cross.map.kind", "softmax"))


# Repaired on 26 May --------------------------------------------------------------------------

ACCIDENTS: Mapping[str, Settings] = {
    label: {
        "optimizer.weight_decay": 1e-4,
        "optimizer.lr": 1e-4,
        "optimizer.backbone_lr": 1e-5,
        "transformer.norm": "pre",
        **wrong,
    }
    for label, wrong in {
        "a_decay_rates_norm": {**DECAYED, **SWAPPED, **POST},
        "b_rates_norm": {**SWAPPED, **POST},
        "c_none": {},
    }.items()
}
"""What was still wrong, of 26 May, with losses of all layers again."""


@logged(
    "E13",
    "decoder_sparsemax_retest-config",
    "2022-05-26",
    question="Which settings made sparsemax behave otherwise than in March?",
    stated=3,
    accidents=ACCIDENTS,
)
def accidents(trial: Trial) -> Detection:
    """Weight decay, rates and norm, one repaired after the other."""
    return published(SHORT, SPARSEMAX, labelled(trial, "accidents", ACCIDENTS))


@logged(
    "E13d",
    "decoder_sparsemax_retest",
    "2022-05-27",
    question="How far apart are five runs of one setting?",
    repeats=5,
    notes="There these were five states of the code and one seed: losses of 11.6 to 18.2.",
)
def same_again(trial: Trial) -> Detection:
    """Sparsemax, five times."""
    return published(SHORT, one_of(trial, "cross.map.kind", "sparsemax"))
