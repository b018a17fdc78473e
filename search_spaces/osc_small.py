r"""Small versions of sweeps of the family osc: minutes on two cores, on made scenes.

    raysearch data get fashion_mnist
    raysearch data make garments --image-size 64 --scenes 4000
    raysearch data make digit_grids --image-size 48 --scenes 2000

What was found by a search is told apart by seeds and more steps, with the winner's values:

    raysearch search osc.negatives_small --sampler grid --pruner none --repeats 3 \
        queries.num_slots=6 loss.object_weight=0.3 optimizer.lr=0.001 \
        training.steps=3000 training.evaluate_every=300
    raysearch search osc.architectures_small --repeats 3 training.steps=1500 \
        training.evaluate_every=150
"""

from __future__ import annotations

from functools import partial

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.osc_settings import (
    OBJECTS,
    WEIGHTS,
    crops,
    representation,
)
from search_spaces.settings import Settings, choices, labelled, one_of, only
from trainables.osc.config import Representation

TRIALS = 24
SMALL: Settings = {
    "backbone.width": 64,
    "backbone.layers": 2,
    "queries.num_slots": 6,
    "objects.iterations": 1,
    "optimizer.lr": 1e-3,
    "training.steps": 1000,
    "training.batch_size": 16,
    "training.log_every": 100,
    "training.evaluate_every": 100,  # ten times
    "training.save_every": 1000,
    "evaluation.scenes": 200,
}
"""What is common to all of them. Their size is set here."""
SCENES: Settings = {
    "data.name": "garments",
    "data.made": True,
    "data.image_size": 64,
    "data.crop": "none",
    "data.interpolation": "nearest",
    "views.size": 64,
}
"""2 to 5 garments of Fashion-MNIST that hide one another, of 64 × 64 pixels."""
DIGITS: Settings = {
    "data.name": "digit_grids",
    "data.made": True,
    "data.image_size": 48,
    "data.crop": "none",
    "data.interpolation": "nearest",
    "views.kind": "frames",
    "views.size": 48,
}
"""2 to 6 digits, of which two frames are two arrangements."""

small = partial(sweep, sampler="grid", metrics=OBJECTS, fidelity="evaluations")


def on_scenes(*settings: Settings) -> Representation:
    """Small networks on made scenes; objects weigh less than images."""
    return representation(SMALL, SCENES, {"loss.object_weight": 0.3}, *settings)


@small(
    name="osc.negatives_small",
    sampler="tpe",
    pruner="successive-halving:min=2,factor=2",
    trials=TRIALS,
    question="Which slots are the negatives of a slot, if any, and at which weight and rate?",
    tags={"question": "Q4", "size": "small"},
)
def negatives(trial: Trial) -> Representation:
    """Loss × slots × weight of objects × rate."""
    return on_scenes(
        one_of(trial, "loss.objects", "ctr_aug", "ctr_img", "ctr_all", "sim_img"),
        one_of(trial, "queries.num_slots", 6, 9),
        {
            "loss.object_weight": trial.suggest_float("loss.object_weight", 0.01, 1.0, log=True),
            "optimizer.lr": trial.suggest_float("optimizer.lr", 3e-4, 3e-3, log=True),
        },
    )


WEIGHTS_OF_DIGITS = only(WEIGHTS, "equal", "more_global")


@small(
    name="osc.negatives_digits_small",
    metrics=[Metric("val/right_matches", "maximize")],
    stated=8,
    question="Which negatives match the same digits of two arrangements?",
    tags={"question": "Q4", "size": "small"},
    choices=choices(weights=WEIGHTS_OF_DIGITS),
)
def negatives_digits(trial: Trial) -> Representation:
    """Loss × weights, on clips whose true match is known."""
    return representation(
        SMALL,
        DIGITS,
        one_of(trial, "loss.objects", "ctr_aug", "ctr_img", "ctr_all", "sim_img"),
        labelled(trial, "weights", WEIGHTS_OF_DIGITS),
    )


@small(
    name="osc.queries_small",
    stated=7,
    question="Where do slots start from?",
    tags={"question": "Q10", "size": "small"},
)
def queries(trial: Trial) -> Representation:
    """Learned, drawn from one or eight Gaussians or none, patches, centroids, templates."""
    kinds = ("learned", "sampled", "normal", "patch", "kmeans", "templates")
    start = one_of(trial, "queries.kind", *kinds)
    if start["queries.kind"] == "sampled":
        start |= one_of(trial, "queries.components", 1, 8)
    return on_scenes(start)


@small(
    name="osc.architectures_small",
    stated=16,
    question="Do slots become constant, and by which architecture, queries and weight?",
    tags={"question": "Q6", "size": "small"},
)
def architectures(trial: Trial) -> Representation:
    """Architecture × queries × weight of objects; look at val/collapse/slots/…."""
    return on_scenes(
        {"training.steps": 500, "training.evaluate_every": 50},
        one_of(trial, "architecture", "obj_global", "global_obj"),
        one_of(trial, "queries.kind", "learned", "sampled"),
        one_of(trial, "loss.object_weight", 1e-3, 1e-2, 0.1, 1.0),
    )


CROPS = crops((0.1, 0.3), (0.3, 1.0), (0.8, 1.0))


@small(
    name="osc.crops_small",
    stated=6,
    question="How large are crops, and must two of an image overlap?",
    tags={"question": "Q13", "size": "small"},
    choices=choices(crop=CROPS),
)
def crop_sizes(trial: Trial) -> Representation:
    """Least and largest area × least overlap of two views, of which slots have no negatives."""
    return on_scenes(
        {"loss.objects": "sim_img"},
        labelled(trial, "crop", CROPS),
        one_of(trial, "views.min_overlap", 0.0, 0.3),
    )


@small(
    name="osc.recipe_made",
    stated=3,
    question="What does a published recipe reach, as a whole, on made scenes?",
    tags={"question": "Q4"},
)
def recipe(trial: Trial) -> Representation:
    """Loss of objects, with the published networks, crops and steps: hours on two cores.

    Patches of 8, width 64, four layers, 11 learned queries, three iterations; five epochs of the
    70,000 scenes of CLEVR are 5,465 steps of 64.
    """
    return representation(
        one_of(trial, "loss.objects", "ctr_img", "sim_img", "ctr_all"),
        {
            "data.made": True,
            "data.image_size": 128,
            "data.crop": "centre",
            "data.interpolation": "nearest",
            "training.steps": 5465,
            "training.log_every": 50,
            "training.evaluate_every": 500,
            "training.save_every": 100,
            "evaluation.scenes": 500,
        },
    )
