"""Sweeps of the family osc beyond those published: questions on losses and slots.

Losses, slots and masks are here, networks and training in `osc_recipes`. What is trained is the
default, for ten epochs, with the published weights `more_global`, but for what is said to be
otherwise; with three seeds a point, since published runs of one setting differ by ten points of IoU
and more.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from raysearch.sweeps.sweep import Trial, sweep
from search_spaces.osc_settings import (
    GLOBAL,
    IMAGES,
    MORE_GLOBAL,
    OBJECTS,
    WEIGHTS,
    lasts,
    representation,
)
from search_spaces.settings import Settings, choices, labelled, one_of, only
from trainables.osc.config import Representation

SEEDS = 3
STEPS_AN_EPOCH = 70_000 // 64
SIZES = (8, 16, 32, 64, 128)
COUNTS = (5, 7, 11, 16, 24)

asked = partial(sweep, sampler="grid", metrics=OBJECTS, repeats=SEEDS)
evaluation = partial(sweep, metrics=OBJECTS)


def trained(*settings: Settings) -> Representation:
    """The default networks, published weights, ten epochs; and these settings."""
    return representation(MORE_GLOBAL, lasts(2), *settings)


# Losses --------------------------------------------------------------------------------------

LENGTHS: Mapping[str, Settings] = {
    "epochs": {"training.steps": None, "training.evaluate_every": 0},
    "steps": {
        "training.steps": 10 * STEPS_AN_EPOCH,
        "training.evaluate_every": STEPS_AN_EPOCH,
    },
}
"""As many epochs, or as many steps, as batches of 64 have."""


def batch(trial: Trial, *scalings: str) -> Settings:
    """A batch size, how long, and the rule of the rate; at 64 all of them are one."""
    size = one_of(trial, "training.batch_size", *SIZES)
    if size["training.batch_size"] == 64:
        return size
    rule = one_of(trial, "optimizer.scaling", *scalings) if scalings else {}
    return {**size, **labelled(trial, "length", LENGTHS), **rule}


@asked(
    name="osc.batch_sizes",
    stated=50,
    question="Is contrast with the slots of all images sensitive to the batch size?",
    tags={"question": "Q1"},
    notes="Share of negatives of other images that show a like object: val/negatives/….",
    choices=choices(length=LENGTHS),
)
def batch_sizes(trial: Trial) -> Representation:
    """Two losses, one without negatives, × batch size × equal epochs or steps × rate by batch."""
    loss = one_of(trial, "loss.objects", "ctr_all", "sim_img")
    return trained(loss, batch(trial, "none", "linear", "sqrt"))


@asked(
    name="osc.slot_counts",
    stated=10,
    question="Is contrast within an image sensitive to the number of slots?",
    tags={"question": "Q2"},
    notes="The table of scenes of the last evaluation has the number of objects beside each score.",
)
def slot_counts(trial: Trial) -> Representation:
    """Two losses, one without negatives, × slots: 11 is one for each object and the background."""
    return trained(
        one_of(trial, "loss.objects", "ctr_img", "sim_img"),
        one_of(trial, "queries.num_slots", *COUNTS),
    )


@asked(
    name="osc.cosine_invariance",
    stated=45,
    question="Is the loss without negatives really indifferent to batch size and slots?",
    tags={"question": "Q3"},
    choices=choices(length=LENGTHS),
)
def cosine_invariance(trial: Trial) -> Representation:
    """Batch size × equal epochs or steps × slots."""
    slots = one_of(trial, "queries.num_slots", *COUNTS)
    return trained({"loss.objects": "sim_img"}, slots, batch(trial))


@asked(
    name="osc.negatives",
    stated=6,
    question="Which slots are the negatives of a slot?",
    tags={"question": "Q4"},
    notes="S − 1, 2 (S − 1) or 2BS − 2 of them; the authors found the second best.",
)
def negatives(trial: Trial) -> Representation:
    """Those of the other view, of both views, of all images × how slots are matched."""
    return trained(
        one_of(trial, "loss.objects", "ctr_aug", "ctr_img", "ctr_all"),
        one_of(trial, "loss.matching", "hungarian", "greedy"),
    )


@sweep(
    name="osc.collapse",
    sampler="qmc",
    trials=64,
    metrics=OBJECTS,
    question="When do slots become constant, and is it the weight of objects or the architecture?",
    tags={"question": "Q6"},
    notes="Every evaluation has val/collapse/… beside the masks; compare them by these settings.",
)
def collapse(trial: Trial) -> Representation:
    """Architecture × queries × weight of images × weight of objects, evenly spread."""
    weight = trial.suggest_float("loss.object_weight", 1e-3, 1.0, log=True)
    return trained(
        {"loss.object_weight": weight},
        one_of(trial, "loss.global_weight", 1.0, 0.1),
        one_of(trial, "architecture", "obj_global", "global_obj"),
        one_of(trial, "queries.kind", "learned", "sampled"),
    )


PROJECTIONS: Mapping[str, Settings] = {
    name: {"object_projection.width": width, "global_projection.width": width}
    for name, width in {"half": 32, "same": None, "twice": 128, "four_times": 256}.items()
}


@asked(
    name="osc.projections",
    stated=8,
    question="How wide are projections that are compared without negatives?",
    tags={"question": "Q18"},
    choices=choices(projections=PROJECTIONS),
)
def projections(trial: Trial) -> Representation:
    """Width of projections, beside 64 of features × slots alone, or images too, are compared so."""
    return trained(
        {"loss.objects": "sim_img"},
        one_of(trial, "loss.images", "ctr", "sim"),
        labelled(trial, "projections", PROJECTIONS),
    )


# Queries and slots ---------------------------------------------------------------------------


@asked(
    name="osc.positions",
    stated=14,
    question="Where are positions added: at the input, before blocks, at slots, in iterations?",
    tags={"question": "Q5"},
)
def positions(trial: Trial) -> Representation:
    """Of the backbone × for slots (none, its table, a copy, others) × once or in each iteration."""
    table = one_of(trial, "objects.positions", "none", "tied", "copied", "learned")
    if table["objects.positions"] != "none":
        table |= one_of(trial, "objects.positions_at", "once", "every_iteration")
    return trained(one_of(trial, "backbone.positions_at", "every_block", "input"), table)


@asked(
    name="osc.components",
    stated=7,
    question="Do sampled queries learn, and from how many Gaussians?",
    tags={"question": "Q10"},
)
def components(trial: Trial) -> Representation:
    """1 to 64."""
    count = one_of(trial, "queries.components", 1, 2, 4, 8, 16, 32, 64)
    return trained({"queries.kind": "sampled"}, count)


@evaluation(
    name="osc.components_evaluated",
    evaluates="osc.components",
    stated=4,
    question="Do sampled queries generalise to other numbers of slots?",
    tags={"question": "Q10"},
)
def components_evaluated(trial: Trial) -> Representation:
    """7 to 24 slots of networks trained with 11."""
    return representation(
        {"queries.kind": "sampled"}, one_of(trial, "evaluation.num_slots", 7, 11, 16, 24)
    )


@asked(
    name="osc.centroids",
    stated=10,
    question="Can centroids tell objects of one type apart?",
    tags={"question": "Q11"},
    notes="Scenes with several objects of one type are val/alike/…, all others val/unalike/iou. "
    "Positions that are added before each block are in what is clustered anyway.",
)
def centroids(trial: Trial) -> Representation:
    """Learned queries, centroids × distance × positions in it, × those of the backbone."""
    queries = one_of(trial, "queries.kind", "learned", "kmeans")
    if queries["queries.kind"] == "kmeans":
        queries |= one_of(trial, "queries.spherical", False, True)
        queries |= one_of(trial, "queries.sees_positions", False, True)
    return trained(one_of(trial, "backbone.positions_at", "every_block", "input"), queries)


# Masks and answers ---------------------------------------------------------------------------

WEIGHTS_WITH_IMAGES = only(WEIGHTS, "equal", "more_global", "more_objects", "zero_objects")


@asked(
    name="osc.global_vector",
    stated=9,
    question="Does the vector of an image with slots answer questions about objects, too?",
    tags={"question": "Q7"},
    metrics=IMAGES,
    notes="The same questions answered from slots are val/questions/slots/….",
    choices=choices(weights=WEIGHTS_WITH_IMAGES),
)
def global_vector(trial: Trial) -> Representation:
    """Without slots, and two architectures with them × weights."""
    kind = one_of(trial, "architecture", "global", "global_obj", "obj_global")
    if kind["architecture"] == "global":
        return trained(GLOBAL)
    return trained(kind, labelled(trial, "weights", WEIGHTS_WITH_IMAGES))


def masks(trial: Trial, *, has_heads: bool) -> Representation:
    """Layer or iteration × rule of masks × without the backbone, or with a rollout of it.

    Heads are reduced in the rollout, and where slots are looked for by several.
    """
    within = "evaluation.segmentation."
    rollout = one_of(trial, f"{within}through_backbone", False, True)
    is_whole = rollout[f"{within}through_backbone"]
    if has_heads or is_whole:
        rollout |= one_of(trial, f"{within}heads", "mean", "max")
    if is_whole:
        rollout |= one_of(trial, f"{within}adds_residual", True, False)
        if rollout[f"{within}adds_residual"]:
            rollout |= one_of(trial, f"{within}halves", True, False)
    return representation(
        one_of(trial, f"{within}source", "first", "mean", "last", "rollout"),
        one_of(trial, f"{within}rule", "otsu", "argmax"),
        rollout,
    )


@evaluation(
    name="osc.rollouts",
    evaluates="osc.negatives",
    stated=56,
    question="Which attention of Slot Attention, by which rule, are the masks of objects?",
    tags={"question": "Q8"},
)
def rollouts(trial: Trial) -> Representation:
    """Of three iterations with one head."""
    return masks(trial, has_heads=False)


@evaluation(
    name="osc.cross_rollouts",
    evaluates="osc.C",
    stated=64,
    question="Which cross attention, by which rule, are the masks of objects?",
    tags={"question": "Q8"},
)
def cross_rollouts(trial: Trial) -> Representation:
    """Of one, two and four layers with four heads."""
    return masks(trial, has_heads=True)
