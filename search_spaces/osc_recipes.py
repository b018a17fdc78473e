"""Sweeps of the family osc on networks, views and training: the other questions."""

from __future__ import annotations

from collections.abc import Mapping

from raysearch.sweeps.sweep import Trial, sweep
from search_spaces.osc_questions import asked, trained
from search_spaces.osc_settings import (
    DROPS,
    GLOBAL,
    HEAD_DROPS,
    IMAGES,
    MORE_GLOBAL,
    OBJECTS,
    crops,
    representation,
)
from search_spaces.settings import Settings, choices, labelled, one_of
from trainables.osc.config import SECOND_MICRO, Representation, second_generation
from trainables.osc.optimization import FLOOR
from trainables.osc.parts import TimmBackbone

# Sizes ---------------------------------------------------------------------------------------


@asked(
    name="osc.sizes",
    stated=48,
    repeats=1,
    question="Which widths, heads and batches fit on the GPU, and how fast are they?",
    tags={"question": "Q9"},
    notes="Said to be safe are 64 wide in batches of 64, 128 in 16, 256 in 8. Seconds a step and "
    "memory are costs of a trial; one that runs out of memory is infeasible.",
)
def sizes(trial: Trial) -> Representation:
    """Patches × width × heads × batch size, for fifty steps."""
    return trained(
        {"training.steps": 50, "training.evaluate_every": 50, "evaluation.scenes": 64},
        one_of(trial, "backbone.patch_size", 8, 4),
        one_of(trial, "backbone.width", 64, 128, 256),
        one_of(trial, "backbone.heads", 4, 8),
        one_of(trial, "training.batch_size", 8, 16, 32, 64),
    )


BATCHES: Mapping[str, Settings] = {
    "global_b16": {**GLOBAL, "training.batch_size": 16},
    "objects_b64": {
        "architecture": "obj_global",
        "loss.objects": "sim_img",
        "training.batch_size": 64,
    },
}


@sweep(
    name="osc.largest_batch",
    sampler="grid",
    stated=2,
    metrics=IMAGES,
    question="Do these batches of the largest pretrained network fit on the GPU?",
    tags={"question": "Q9"},
    choices=choices(batch=BATCHES),
)
def largest_batch(trial: Trial) -> Representation:
    """16 of images alone, 64 with objects, as was found, for twenty steps."""
    return representation(
        {"training.steps": 20, "training.evaluate_every": 20, "evaluation.scenes": 64},
        labelled(trial, "batch", BATCHES),
        start=second_generation(backbone=TimmBackbone(name="vit_base_patch8_224.augreg_in21k")),
    )


PATCHES: Mapping[str, Settings] = {
    f"p{patch}_b{batch}": {"backbone.patch_size": patch, "training.batch_size": batch}
    for patch, batch in ((8, 64), (8, 16), (4, 16), (4, 8))
}


@asked(
    name="osc.patches",
    stated=8,
    question="Are finer masks worth sixteen times the attention?",
    tags={"question": "Q12"},
    notes="Beside each trial's masks stand its seconds a step, among its costs.",
    choices=choices(patches=PATCHES),
)
def patches(trial: Trial) -> Representation:
    """Patches with a batch that fits × width; batches of 16 are there of both patches."""
    return trained(labelled(trial, "patches", PATCHES), one_of(trial, "backbone.width", 64, 128))


@asked(
    name="osc.attention_scale",
    stated=12,
    question="Does attention that is divided by the root of its width rank sizes otherwise?",
    tags={"question": "Q20"},
)
def attention_scale(trial: Trial) -> Representation:
    """Divided, or not as was published × width × heads."""
    return trained(
        one_of(trial, "backbone.attention_scale", "sqrt", "none"),
        one_of(trial, "backbone.width", 64, 128, 256),
        one_of(trial, "backbone.heads", 4, 8),
    )


@asked(
    name="osc.hidden_width",
    stated=9,
    question="How wide are hidden layers: 128 for 64, as in the paper on Slot Attention?",
    tags={"question": "hidden width"},
)
def hidden_width(trial: Trial) -> Representation:
    """64, 128 or 256 in the backbone × in Slot Attention."""
    return trained(
        one_of(trial, "backbone.mlp_ratio", 1.0, 2.0, 4.0),
        one_of(trial, "objects.mlp_ratio", 1.0, 2.0, 4.0),
    )


@asked(
    name="osc.pooling",
    stated=4,
    metrics=IMAGES,
    question="Is the vector of an image its class token, or the mean of its patches?",
    tags={"question": "pooling"},
)
def pooling(trial: Trial) -> Representation:
    """Without slots and beside them."""
    kind = one_of(trial, "architecture", "global", "global_obj")
    has_slots = kind["architecture"] != "global"
    return trained(
        kind if has_slots else GLOBAL, one_of(trial, "backbone.pool", "mean", "class_token")
    )


# Views ---------------------------------------------------------------------------------------

CROPS = crops(
    *((0.1, most) for most in (0.3, 0.5, 0.8, 0.9, 1.0)),
    *((0.3, most) for most in (0.5, 0.8, 0.9, 1.0)),
    *((0.5, most) for most in (0.8, 0.9, 1.0)),
    *((0.8, most) for most in (0.9, 1.0)),
    (0.9, 1.0),
)
"""Those of which there are published results."""


@asked(
    name="osc.crops",
    stated=45,
    question="How large are crops, and must two of an image overlap?",
    tags={"question": "Q13"},
    choices=choices(crop=CROPS),
)
def crop_sizes(trial: Trial) -> Representation:
    """Least and largest area × least overlap of two views."""
    return trained(
        {"loss.objects": "sim_img"},
        labelled(trial, "crop", CROPS),
        one_of(trial, "views.min_overlap", 0.0, 0.2, 0.4),
    )


@asked(
    name="osc.pipelines",
    stated=7,
    question="Do the views of SimCLR, or turned ones, teach objects better?",
    tags={"question": "Q19"},
    notes="Counts and properties of objects are among the questions of each trial's last step.",
)
def pipelines(trial: Trial) -> Representation:
    """Published, contrastive (strength × least area), or turned (strength), all of 128 × 128."""
    views = one_of(trial, "views.kind", "published", "contrastive", "turned")
    kind = views["views.kind"]
    if kind != "published":
        views |= one_of(trial, "views.strength", 0.5, 1.0)
    if kind == "contrastive":
        views |= one_of(trial, "views.min_area", 0.08, 0.3)
    elif kind == "turned":
        views |= {"views.small.count": 0}
    return trained({"views.size": 128}, views)


# Training ------------------------------------------------------------------------------------


@sweep(
    name="osc.schedules",
    sampler="grid",
    pruner="successive-halving:min=20,factor=2",  # the rate of the longest rises for 20 epochs
    metrics=OBJECTS,
    stated=30,
    question="How long is a training, how does its rate fall, and how far?",
    tags={"question": "Q14"},
)
def schedules(trial: Trial) -> Representation:
    """Epochs × decay (half a cosine to 0 or 3e-4, or exponential) × weight decay.

    Trials of 25 epochs and more meet at 20, 40 and 80, and the better half of them goes on.
    """
    decay = one_of(trial, "schedule.decay", "cosine", "exponential")
    if decay["schedule.decay"] == "cosine":
        decay |= one_of(trial, "schedule.floor", FLOOR, 0.0)
    return representation(
        MORE_GLOBAL,
        decay,
        one_of(trial, "training.epochs", 5, 10, 25, 50, 100),
        one_of(trial, "optimizer.weight_decay", 1e-4, 1e-3),
    )


def dropped(paths: Settings) -> dict[str, Settings]:
    """Nothing, or a fifth, at these paths."""
    return {"none": dict.fromkeys(paths, 0.0), "fifth": paths}


@asked(
    name="osc.dropout",
    stated=4,
    question="Does dropout help, in the backbone or in the heads?",
    tags={"question": "Q15"},
    choices=choices(backbone=dropped(DROPS), heads=dropped(HEAD_DROPS)),
)
def dropout(trial: Trial) -> Representation:
    """Backbone × heads."""
    return trained(
        labelled(trial, "backbone", dropped(DROPS)), labelled(trial, "heads", dropped(HEAD_DROPS))
    )


@asked(
    name="osc.norms",
    stated=40,
    question="Where are features normalised, and how?",
    tags={"question": "Q17"},
)
def norms(trial: Trial) -> Representation:
    """Before or behind each half of a block × of patches × at the output × of image and slots."""
    kinds = ("none", "l2", "squash", "improved_squash", "layer_norm")
    return trained(
        one_of(trial, "backbone.norm", "pre", "post"),
        one_of(trial, "backbone.patch_norm", False, True),
        one_of(trial, "backbone.output_norm", False, True),
        one_of(trial, "feature_norm", *kinds),
    )


NETWORKS = (
    "vit_tiny_patch16_224.augreg_in21k",
    "vit_small_patch8_224.dino",
    "vit_base_patch8_224.dino",
    "vit_base_patch8_224.augreg_in21k",
    "swin_tiny_patch4_window7_224.ms_in1k",
)
STARTS: Mapping[str, Settings] = {
    "frozen": {"backbone.pretrained": True, "backbone.frozen": True},
    "tuned": {"backbone.pretrained": True, "backbone.frozen": False},
    "scratch": {"backbone.pretrained": False, "backbone.frozen": False},
}


@asked(
    name="osc.pretrained",
    stated=16,
    question="Is a network better pretrained and frozen, tuned, or trained from scratch?",
    tags={"question": "Q16"},
    notes="Without small crops, which windows of Swin do not divide; positions are learned.",
    choices=choices(start=STARTS),
)
def pretrained(trial: Trial) -> Representation:
    """Networks × how they start, and a small one from scratch; of the second generation."""
    large = {"views.small.count": 0, "loss.small_crops": 0.0, "objects.positions": "learned"}
    if one_of(trial, "backbone.kind", "timm", "vit")["backbone.kind"] == "vit":
        return representation(large, start=second_generation(backbone=SECOND_MICRO))
    return representation(
        large,
        one_of(trial, "backbone.name", *NETWORKS),
        labelled(trial, "start", STARTS),
        start=second_generation(),
    )
