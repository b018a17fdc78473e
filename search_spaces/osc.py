r"""Sweeps of the family osc as they were published: A to O, in their sizes, one seed a point.

They want a GPU a trial: `--gpus 1`. What their authors put into any of them is written behind the
name of the sweep (`osc_settings.DROP_INS` has it by name), such as

    raysearch search osc.O --gpus 1 queries.kind=learned
    raysearch search osc.E --gpus 1 global_function.dropout=0.2 \
        global_projection.dropout=0.2 object_projection.dropout=0.2
    raysearch search osc.I purpose=overfit data.limit=6400 evaluation.scenes=6400
    raysearch search osc.I purpose=debug --tracking-uri none training.epochs=3 \
        training.seed=42 data.limit=640 evaluation.scenes=640

Single runs, besides those of `osc.largest_batch`: the default, a small network that sees fine
patches, and one that learns few scenes by heart.

    raysearch train osc.representation
    raysearch train osc.representation backbone.width=64 backbone.patch_size=4 backbone.heads=8 \
        training.batch_size=16 backbone.dropout=0.2 backbone.attention_dropout=0.2
    raysearch train osc.representation purpose=overfit loss.objects=ctr_all data.limit=6400 \
        evaluation.scenes=6400
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raysearch.sweeps.sweep import Metric, Sweep, Trial, sweep
from search_spaces.osc_settings import (
    COARSE,
    CROSS,
    DROPS,
    FINE,
    GLOBAL,
    HEAD_DROPS,
    IMAGES,
    LEARNED,
    MORE_GLOBAL,
    OBJECTS,
    SLOT,
    WEIGHTS,
    crops,
    lasts,
    representation,
)
from search_spaces.settings import Settings, choices, labelled, one_of, only
from trainables.osc.config import Representation, second_generation
from trainables.osc.parts import TimmBackbone


def published(
    letter: str,
    group: str,
    *,
    stated: int,
    question: str,
    notes: str = "",
    metrics: Sequence[Metric] = OBJECTS,
    **tables: Mapping[str, Settings],
) -> Callable[[Callable[[Any], Any]], Sweep]:
    """A grid with its letter, the group of its runs, and the tables of its choices by name."""
    return sweep(
        name=f"osc.{letter}",
        sampler="grid",
        group=group,
        tags={"group": group},
        stated=stated,
        question=question,
        notes=notes,
        metrics=metrics,
        choices=choices(**tables),
    )


OBJECT_WEIGHTS = only(WEIGHTS, "more_objects", "more_global")
PUBLISHED_WEIGHTS = only(WEIGHTS, "equal", "more_global", "more_objects")
ALL_WEIGHTS = only(WEIGHTS, "more_global", "more_objects", "zero_objects")
HEADS: Mapping[str, Settings] = {
    "h4_b16": {"backbone.heads": 4, "training.batch_size": 16},
    "h8_b8": {"backbone.heads": 8, "training.batch_size": 8},
}
PATCHES: Mapping[str, Settings] = {
    "p4_b16": {**FINE, "training.batch_size": 16},
    "p8_b64": {**COARSE, "training.batch_size": 64},
}
CROPS = crops((0.1, 0.3), (0.1, 0.5), (0.1, 0.8), (0.3, 1.0))
SMALL_BATCH: Settings = {"backbone.heads": 4, "training.batch_size": 16}
NARROW: Settings = {"backbone.width": 64, "backbone.heads": 8, **DROPS}
ONE_ITERATION: Settings = {**SLOT, "objects.iterations": 1}


def any_queries(trial: Trial) -> Settings:
    """Learned, centroids, or draws from 1, 16 or 32 Gaussians."""
    kind = one_of(trial, "queries.kind", "learned", "kmeans", "sampled")
    if kind["queries.kind"] != "sampled":
        return kind
    return kind | one_of(trial, "queries.components", 1, 16, 32)


def either_function(trial: Trial, *, cross: Settings, slot: Settings) -> Settings:
    """Cross attention or Slot Attention, each with its own settings."""
    kind = one_of(trial, "objects.kind", "cross_attention", "slot_attention")
    return {**kind, **(cross if kind["objects.kind"] == "cross_attention" else slot)}


# Pretrained ----------------------------------------------------------------------------------


@published(
    "A",
    "pretrained_cross_decoder",
    stated=192,
    question="Which decoder makes slots of the patches of a frozen, supervised network?",
    notes="48 of the 192 differ only in whether a single layer is used again.",
    weights=PUBLISHED_WEIGHTS,
)
def pretrained_cross_decoder(trial: Trial) -> Representation:
    """Decay × heads × positions × reuse × weights × slots × layers, of the second generation."""
    decoder = one_of(trial, "objects.layers", 3, 1)
    if decoder["objects.layers"] > 1:
        decoder |= one_of(trial, "objects.reuses_layers", False, True)
    return representation(
        {"training.steps": 5_000, **LEARNED, **CROSS},
        one_of(trial, "schedule.decay", "cosine", "exponential"),
        one_of(trial, "objects.heads", 8, 4),
        one_of(trial, "objects.positions", "copied", "learned"),
        labelled(trial, "weights", PUBLISHED_WEIGHTS),
        one_of(trial, "queries.num_slots", 11, 24),
        decoder,
        start=second_generation(backbone=TimmBackbone(name="vit_tiny_patch16_224.augreg_in21k")),
    )


# A bunch of sweeps ---------------------------------------------------------------------------


@published(
    "B",
    "global.p44.d64.sweep_layers_heads",
    stated=9,
    question="How many layers and heads do representations of whole images want?",
    notes="Global only - 4x4 patch - sweep num_layers num_heads",
    metrics=IMAGES,
)
def global_layers_heads(trial: Trial) -> Representation:
    """Layers × heads, without slots."""
    return representation(
        {**GLOBAL, **lasts(5), **FINE, **DROPS, "backbone.width": 64, "training.batch_size": 8},
        one_of(trial, "backbone.layers", 4, 2, 6),
        one_of(trial, "backbone.heads", 8, 4, 2),
    )


def cross_layers(trial: Trial, *fixed: Settings) -> Representation:
    """Layers of the backbone × layers of the decoder."""
    return representation(
        {**MORE_GLOBAL, **LEARNED, **CROSS, **NARROW},
        *fixed,
        one_of(trial, "backbone.layers", 4, 2),
        one_of(trial, "objects.layers", 4, 2, 1),
    )


@published(
    "C",
    "p88.h8.d64.cross.sweep_layers_layers",
    stated=6,
    question="How many layers do backbone and decoder want, of coarse patches?",
    notes="Cross attn - 8x8 patch - 8 backbone heads - sweep num_layers num_layers",
)
def coarse_cross_layers(trial: Trial) -> Representation:
    """Layers × layers, patches of 8 × 8 in batches of 64."""
    return cross_layers(trial, COARSE, lasts(5), {"training.batch_size": 64})


@published(
    "D",
    "p44.h8.d64.cross.sweep_layers_layers",
    stated=6,
    question="How many layers do backbone and decoder want, of fine patches?",
    notes="Cross attn - 4x4 patch - 8 backbone heads - sweep num_layers num_layers",
)
def fine_cross_layers(trial: Trial) -> Representation:
    """Layers × layers, patches of 4 × 4 in batches of 8, for five epochs."""
    return cross_layers(trial, FINE, lasts(1), {"training.batch_size": 8})


@published(
    "E",
    "p44.h8.d64.slot.sweep_layers_iters",
    stated=6,
    question="How many layers and iterations does Slot Attention want, of fine patches?",
    notes="Slot attn - 4x4 patch - 8 backbone heads - sweep num_layers num_iters",
)
def fine_slot_iterations(trial: Trial) -> Representation:
    """Layers × iterations, patches of 4 × 4 in batches of 8."""
    return representation(
        {**MORE_GLOBAL, **LEARNED, **SLOT, **NARROW, **FINE, **lasts(5), "training.batch_size": 8},
        one_of(trial, "backbone.layers", 4, 2),
        one_of(trial, "objects.iterations", 4, 2, 1),
    )


# On a cluster --------------------------------------------------------------------------------


def slots_of_draws(trial: Trial, components: Settings) -> Representation:
    """Weights × width × heads × layers × iterations, of sampled queries; rates are the default."""
    return representation(
        {"queries.kind": "sampled", **SLOT, **lasts(5)},
        labelled(trial, "weights", OBJECT_WEIGHTS),
        components,
        one_of(trial, "backbone.width", 64, 128, 256),
        one_of(trial, "backbone.heads", 4, 8),
        one_of(trial, "backbone.layers", 2, 4, 6),
        one_of(trial, "objects.iterations", 1, 2, 4),
    )


@published(
    "F",
    "slurm_sweep_sampled",
    stated=324,
    question="How many Gaussians do sampled queries want, and which networks?",
    notes="Written down as 48.",
    weights=OBJECT_WEIGHTS,
)
def sampled_components(trial: Trial) -> Representation:
    """As O, of mixtures of 12, 24 and 48 Gaussians."""
    return slots_of_draws(trial, one_of(trial, "queries.components", 12, 24, 48))


@published(
    "G",
    "global_only_slurm",
    stated=12,
    question="How wide and deep do representations of whole images want to be?",
    notes="The twelve are six for each of two numbers of iterations, of slots that are not there.",
    metrics=IMAGES,
)
def global_width_layers(trial: Trial) -> Representation:
    """Width × layers, without slots."""
    return representation(
        {**GLOBAL, **lasts(2), **COARSE, "backbone.heads": 4, "training.batch_size": 32},
        one_of(trial, "backbone.width", 64, 128, 256),
        one_of(trial, "backbone.layers", 2, 4),
    )


@published(
    "H",
    "sim_all_query_fn",
    stated=80,
    question="Which queries and which function of objects, where nothing is contrasted?",
    heads=HEADS,
)
def query_function(trial: Trial) -> Representation:
    """Queries × function × width × patches × heads with their batch.

    The loss is called `sim_all` there, and is `sim_img`.
    """
    return representation(
        {**MORE_GLOBAL, **lasts(2), "loss.objects": "sim_img", "backbone.layers": 2},
        any_queries(trial),
        either_function(trial, cross={"objects.layers": 2}, slot={"objects.iterations": 1}),
        one_of(trial, "backbone.width", 256, 128),
        one_of(trial, "backbone.patch_size", 4, 8),
        labelled(trial, "heads", HEADS),
    )


@published(
    "I",
    "ctr_all_p44",
    stated=12,
    question="Which networks, where slots are contrasted with those of all images?",
)
def contrasted_with_all(trial: Trial) -> Representation:
    """Iterations × layers × width, patches of 4 × 4."""
    return representation(
        {**MORE_GLOBAL, **LEARNED, **SLOT, **FINE, **lasts(2), **SMALL_BATCH},
        {"loss.objects": "ctr_all"},
        one_of(trial, "objects.iterations", 1, 2),
        one_of(trial, "backbone.layers", 2, 4),
        one_of(trial, "backbone.width", 256, 128, 64),
    )


def shallow(trial: Trial, widths: Sequence[int], *settings: Settings) -> Representation:
    """Patches × width of two layers, slots without negatives."""
    return representation(
        {**MORE_GLOBAL, **LEARNED, **lasts(2), **SMALL_BATCH},
        {"loss.objects": "sim_img", "backbone.layers": 2},
        one_of(trial, "backbone.patch_size", 8, 4),
        one_of(trial, "backbone.width", *widths),
        *settings,
    )


@published(
    "J",
    "sim_img_crop",
    stated=16,
    question="How large are the crops that teach objects best?",
    crop=CROPS,
)
def crop_scale(trial: Trial) -> Representation:
    """Patches × crops × width, one iteration of Slot Attention."""
    return shallow(trial, (128, 64), ONE_ITERATION, labelled(trial, "crop", CROPS))


@published(
    "K",
    "sim_img_cross1",
    stated=4,
    question="Fine or coarse patches, narrow or wide, with one layer of cross attention?",
)
def one_cross_layer(trial: Trial) -> Representation:
    """Patches × width."""
    return shallow(trial, (128, 256), {**CROSS, "objects.layers": 1})


@published(
    "M",
    "sim_img_slot1",
    stated=4,
    question="Fine or coarse patches, narrow or wide, with one iteration of Slot Attention?",
)
def one_slot_iteration(trial: Trial) -> Representation:
    """Patches × width."""
    return shallow(trial, (128, 256), ONE_ITERATION)


@published(
    "N",
    "sweep_everything",
    stated=3_240,
    question="Which architecture, queries, function, size and weights of all?",
    patches=PATCHES,
    weights=ALL_WEIGHTS,
)
def everything(trial: Trial) -> Representation:
    """Components only where queries are sampled; crossed with all of them it would be 5,832."""
    return representation(
        {**lasts(2), **DROPS, **HEAD_DROPS},
        one_of(trial, "architecture", "obj_global", "global_obj"),
        any_queries(trial),
        either_function(trial, cross={}, slot={}),
        one_of(trial, "backbone.width", 64, 128, 256),
        one_of(trial, "backbone.layers", 2, 4, 6),
        one_of(trial, "backbone.heads", 4, 8, 16),
        labelled(trial, "patches", PATCHES),
        labelled(trial, "weights", ALL_WEIGHTS),
    )


@published(
    "O",
    "readme_slurm",
    stated=108,
    question="Which weights, width, heads, layers and iterations for sampled queries?",
    notes="Its group was renamed to p88.slot.sweep_loss_dim_layers_heads_iters.",
    weights=OBJECT_WEIGHTS,
)
def sampled_sizes(trial: Trial) -> Representation:
    """One Gaussian."""
    return slots_of_draws(trial, {"queries.components": 1})
