r"""Sweeps of the family detr as the log of their author has them: E01 to E26, one seed a point.

They want COCO, and a GPU a trial. As it was, pictures of the test select, and 1 is added to the
logits of padding; both are put right behind the name of a sweep, such as

    raysearch search detr.E17 --gpus 1 cross.padding=masked data.selects_on=train2017

Those that are missing here were run by accident otherwise (`detr_accidents`: E07 to E11, E13), or
measure finished trials (`detr_measured`), such as

    raysearch search detr.E15
    raysearch search detr.E15_alpha
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raysearch.sweeps.sweep import Sweep, Trial, sweep
from search_spaces.detr_settings import (
    ADDED,
    ALPHA,
    AP,
    PUBLISHED,
    SHORT,
    SPARSEMAX,
    balances,
    detector,
)
from search_spaces.settings import Settings, choices, labelled, one_of, only
from trainables.detr.config import Detection


def logged(
    number: str,
    group: str,
    when: str,
    *,
    question: str,
    stated: int | None = 1,
    notes: str = "",
    repeats: int = 1,
    **tables: Mapping[str, Settings],
) -> Callable[[Callable[[Any], Any]], Sweep]:
    """A grid with its number, the name and the day of its runs, the tables of its choices."""
    return sweep(
        name=f"detr.{number}",
        sampler="grid",
        group=group,
        tags={"group": group, "date": when},
        stated=stated,
        question=question,
        notes=notes,
        repeats=repeats,
        metrics=AP,
        choices=choices(**tables),
    )


def published(*settings: Settings) -> Detection:
    """The published run with the published module of attention, and these settings."""
    return detector(PUBLISHED, ADDED, *settings)


# Softmax, sparsemax and 1.5-entmax -----------------------------------------------------------


@logged(
    "E01",
    "baseline",
    "2022-03-15",
    question="Does the refactored code learn as the original does?",
    stated=2,
    notes="Of the two codes there remains that one normalises behind each part, the other before.",
)
def original(trial: Trial) -> Detection:
    """Norm of the original and of the refactored code, eight pictures on each of six GPUs."""
    return detector(
        PUBLISHED,
        SHORT,
        {"training.batch_size": 48},
        one_of(trial, "transformer.norm", "post", "pre"),
    )


@logged("E02", "baseline_detr", "2022-03-24", question="How good is softmax, as torch has it?")
def baseline(trial: Trial) -> Detection:
    """Softmax, and no attention on padding."""
    return detector(PUBLISHED, one_of(trial, "cross.map.kind", "softmax"))


@logged(
    "E03",
    "baseline_detr_sparse-mha",
    "2022-03-25",
    question="Does softmax in a module of its own learn as in that of torch?",
    stated=2,
    notes="The module differs from that of torch in what it does to padding.",
)
def own_module(trial: Trial) -> Detection:
    """A short run and a whole one."""
    return published(one_of(trial, "training.epochs", 25, 300))


@logged(
    "E04",
    "decoder_sparsemax_cross-mha",
    "2022-03-26",
    question="How good is sparse attention to the picture?",
)
def sparsemax(trial: Trial) -> Detection:
    """Sparsemax."""
    return published(one_of(trial, "cross.map.kind", "sparsemax"))


@logged(
    "E05",
    "decoder_entmax_cross-mha",
    "2022-04-24",
    question="Is attention that is less sparse better?",
)
def entmax15(trial: Trial) -> Detection:
    """The 1.5-entmax."""
    return published(one_of(trial, "cross.map.kind", "entmax15"))


@logged(
    "E06",
    "tvmax",
    "2022-03-30",
    question="Is attention to whole regions better?",
    notes="It hung in the first backward pass. Half of the α of 0.1 of the package is λ.",
)
def tvmax(trial: Trial) -> Detection:
    """TVMax with λ of the package."""
    return published(one_of(trial, "cross.map.kind", "tvmax"), {"cross.map.weight": 0.1 / 2})


# The second runs -----------------------------------------------------------------------------


@logged(
    "E17",
    "v2",
    "2022-05-31",
    question="Which map is best, once the settings are right?",
    stated=3,
)
def second(trial: Trial) -> Detection:
    """Softmax, sparsemax and 1.5-entmax."""
    return published(one_of(trial, "cross.map.kind", "softmax", "sparsemax", "entmax15"))


THREES = only(balances("costs", "weights"), "threes")


@logged(
    "E18",
    "decoder_sparsemax_loss_hparams",
    "2022-06-22",
    question="Do boxes want other weights with sparsemax?",
    balance=THREES,
)
def loss_weights(trial: Trial) -> Detection:
    """3 for distances and 3 for overlaps, in costs and in losses."""
    return published(SPARSEMAX, labelled(trial, "balance", THREES))


@logged(
    "E19",
    "v2_decoder_a-entmax_alpha-lr=1e-3",
    "2022-06-22",
    question="How good is attention that learns how sparse it is?",
)
def alpha(trial: Trial) -> Detection:
    """α by head, ten times the rate, no weight decay."""
    return published(ALPHA, one_of(trial, "cross.map.kind", "entmax"))


@logged(
    "E20",
    "no-decay-alpha-entmax",
    "2022-07-04",
    question="Does the drop of its rate hurt α?",
    notes="It began at epoch 200 with a rate that had dropped, and so did nothing.",
)
def alpha_keeps_its_rate(trial: Trial) -> Detection:
    """As E19, but α keeps its rate."""
    return published(ALPHA, one_of(trial, "alpha.follows_schedule", False))


IDEAS: Mapping[str, Settings] = {
    "resnet18": {"backbone.name": "resnet18"},
    "resnet34": {"backbone.name": "resnet34"},
    "alpha_everywhere": {
        **ALPHA,
        **{
            f"{kind}.map.{path}": value
            for kind in ("encoder_self", "decoder_self")
            for path, value in (("kind", "entmax"), ("start", "normal"), ("form", "clamped"))
        },
        "alpha.follows_schedule": False,
    },
}


@logged(
    "E26",
    "ideas",
    "2022-07-03",
    question="What was thought of and never run?",
    stated=None,
    notes="Two more want no setting: PAIBB by head, and the norm of the gradient of α.",
    ideas=IDEAS,
)
def ideas(trial: Trial) -> Detection:
    """Backbones for GPUs of 12 GB, and α in all attention without a drop of its rate."""
    return published(labelled(trial, "ideas", IDEAS))
