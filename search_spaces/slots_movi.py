"""Sweeps of the family slots on the MOVi sets: DINOSAUR, its normalisations, backbone, decoder."""

from __future__ import annotations

from functools import partial
from typing import Any

from raysearch.sweeps.sweep import Metric, Resources, Trial, sweep
from search_spaces.slots import BOTH, FOUR, TRAINED, grid, movi, normalized, wide
from trainables.slots.config import (
    AutoregressiveDecoder,
    Dinosaur,
    Features,
    MaskEvaluations,
    MlpDecoder,
    SlotMixerDecoder,
)
from trainables.slots.parts import Setting

# The first trial computes the features of a set, which takes hours, and says nothing meanwhile.
trained = partial(grid, metrics=TRAINED, resources=Resources(patience=12 * 3600.0))


@trained(
    name="slots.movi_c_paper",
    stated=4,
    question="Which normalisation segments MOVi-C best, with 11 and with 24 slots?",
    tags={"row": "E10", "data": "movi_c"},
)
def movi_c_paper(trial: Trial) -> Dinosaur:
    """The four of the paper; masks of the decoder and of attention."""
    return movi(wide(normalization=normalized(trial, FOUR)))


@trained(
    name="slots.movi_c_six",
    stated=4,
    question="And trained on clips with at most six objects?",
    tags={"row": "E11", "data": "movi_c"},
)
def movi_c_six(trial: Trial) -> Dinosaur:
    """7 slots; measured on all clips, with 7 slots (`val`) and with 11 (`more`)."""
    settings = movi(wide(num_slots=7, normalization=normalized(trial, FOUR)), most=6, more=11)
    return settings.with_values({"evaluation.main.max_objects": 23})


@trained(
    name="slots.movi_c_surplus",
    stated=8,
    question="How many surplus slots does each normalisation bear on MOVi-C?",
    tags={"row": "E12", "data": "movi_c"},
)
def movi_c_surplus(trial: Trial) -> Dinosaur:
    """15 and 24 slots; measured with as many, and with 11."""
    count = trial.suggest_categorical("slots.num_slots", [15, 24])
    return movi(wide(num_slots=count, normalization=normalized(trial, FOUR)), more=11)


def _transferred(trial: Trial) -> Dinosaur:
    """Another set and number of slots; objects are told apart by number in the metrics."""
    count = trial.suggest_categorical("evaluation.main.num_slots", [11, 15, 19, 24])
    main = Setting(num_slots=count, min_objects=0, max_objects=23)
    return Dinosaur(evaluation=MaskEvaluations(main=main, other_set="movi_d"))


transfer = partial(
    sweep,
    metrics=[Metric("val/foreground_ari", "maximize")],
    stated=4,
    notes=_transferred.__doc__ or "",
    question="How well do networks of MOVi-C segment MOVi-D, which they have never seen?",
    tags={"row": "E13", "data": "movi_d"},
)


@transfer(name="slots.movi_c_to_d", evaluates="slots.movi_c_paper")
def movi_c_to_d(trial: Trial) -> Dinosaur:
    """Of networks trained with 11 slots on all clips."""
    return _transferred(trial)


@transfer(name="slots.movi_c_six_to_d", evaluates="slots.movi_c_six")
def movi_c_six_to_d(trial: Trial) -> Dinosaur:
    """Of networks trained with 7 slots on clips with at most six objects."""
    return _transferred(trial)


@transfer(name="slots.movi_c_surplus_to_d", evaluates="slots.movi_c_surplus")
def movi_c_surplus_to_d(trial: Trial) -> Dinosaur:
    """Of networks trained with 15 and 24 slots."""
    return _transferred(trial)


@trained(
    name="slots.movi_d_e",
    stated=8,
    question="Which normalisation segments up to 23 objects best?",
    tags={"row": "E14", "data": "movi_d, movi_e"},
)
def movi_d_e(trial: Trial) -> Dinosaur:
    """MOVi-D and MOVi-E, 24 slots; measured with 24 and with 32."""
    name = trial.suggest_categorical("data.name", ["movi_d", "movi_e"])
    slots = wide(num_slots=24, normalization=normalized(trial, FOUR))
    return movi(slots, name=name, most=23, more=32)


@trained(
    name="slots.movi_c_implicit",
    stated=4,
    question="What does it cost to differentiate the last iteration only, on MOVi-C?",
    tags={"row": "E15", "data": "movi_c"},
)
def movi_c_implicit(trial: Trial) -> Dinosaur:
    """The four of the paper."""
    return movi(wide(normalization=normalized(trial, FOUR), implicit="last_step"))


@trained(
    name="slots.movi_c_backbone",
    stated=24,
    question="Features of which network, before or behind its last norm?",
    tags={"row": "E20", "data": "movi_c"},
)
def movi_c_backbone(trial: Trial) -> Dinosaur:
    """DINO in three sizes, DINOv2, a masked autoencoder, and a supervised network."""
    backbones = [
        "vit_base_patch8_224.dino",
        "vit_small_patch8_224.dino",
        "vit_base_patch16_224.dino",
        "vit_base_patch14_dinov2.lvd142m",
        "vit_base_patch16_224.mae",
        "vit_base_patch16_224.augreg_in21k_ft_in1k",
    ]
    features = Features(
        backbone=trial.suggest_categorical("features.backbone", backbones),
        final_norm=trial.suggest_categorical("features.final_norm", [True, False]),
        image_size=224,
    )
    settings = movi(wide(normalization=normalized(trial, BOTH)))
    return settings.with_values({f"features.{k}": v for k, v in features.to_json().items()})


@trained(
    name="slots.movi_c_decoder",
    stated=6,
    question="Which decoder of features?",
    tags={"row": "E21", "data": "movi_c"},
)
def movi_c_decoder(trial: Trial) -> Dinosaur:
    """Each slot by itself, patch after patch, or mixed first."""
    decoders: dict[str, Any] = {
        "mlp": MlpDecoder(),
        "autoregressive": AutoregressiveDecoder(),
        "slot_mixer": SlotMixerDecoder(),
    }
    kind = trial.suggest_categorical("decoder.kind", list(decoders))
    settings = movi(wide(normalization=normalized(trial, BOTH)))
    return Dinosaur.read({**settings.to_json(), "decoder": decoders[kind].to_json()})


@trained(
    name="slots.movi_c_store",
    stated=10,
    question="What do fewer frames, eight bits, or a smaller network cost?",
    tags={"data": "movi_c"},
)
def movi_c_store(trial: Trial) -> Dinosaur:
    """9 or 24 frames of a clip × float16, int8 × base or small; and live with mirrored images."""
    frames = trial.suggest_categorical("data.frames", [9, 24])
    store = trial.suggest_categorical("features.store", ["float16", "int8", "live"])
    names = ["vit_base_patch8_224.dino"]
    if store != "live":
        names.append("vit_small_patch8_224.dino")
    name = trial.suggest_categorical(f"features[{store != 'live'}].backbone", names)
    return movi(wide()).with_values(
        {
            "data.frames": frames,
            "features.store": store,
            "features.backbone": name,
            "augmentation.flips": store == "live",
        }
    )
