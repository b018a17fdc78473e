"""Sweeps of the family slots: how the updates of Slot Attention are normalised, and what follows.

Slots are i.i.d. draws, so that a trained network takes any number of them: each sweep says what is
measured at the trained number (`val`) and at another (`more`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from raysearch.sweeps.sweep import Metric, Trial, sweep
from trainables.settings.scenes import Scenes
from trainables.slots.config import (
    Decoder,
    Dinosaur,
    Discovery,
    MaskEvaluations,
    SetPrediction,
)
from trainables.slots.parts import (
    SGD,
    Adam,
    AdamTF,
    Augmentation,
    Evaluations,
    Positions,
    RMSprop,
    Setting,
    Slots,
)

FOUR = ["mean", "layer_norm", "batch_norm", "constant"]
"""The normalisations that the paper compares (Krimmel et al. 2024)."""
TWO = ["none", "image_level"]
BOTH = ["mean", "constant"]

MORE = [Metric("more/foreground_ari", "maximize", reduce="mean(5)")]
"""At another number of slots or objects than trained, which is where normalisations differ.

Evaluations swing: the mean of the last five. All other metrics are in the tables too.
"""
TRAINED = [Metric("val/foreground_ari", "maximize", reduce="mean(5)")]
PRECISION = [Metric("val/ap/0.5", "maximize", reduce="mean(5)")]
SEEDS = 5

grid = partial(sweep, sampler="grid", repeats=SEEDS)


def normalized(trial: Trial, kinds: Sequence[str]) -> Any:
    """One of these normalisations of the updates."""
    return trial.suggest_categorical("slots.normalization", list(kinds))


# What is fixed: the tasks and their data -----------------------------------------------------


def clevr(most: int = 6, more: int | None = 10, slots: Slots | None = None) -> Discovery:
    """Object discovery on scenes of CLEVR with at most so many objects."""
    return Discovery(
        data=Scenes(max_objects=most),
        slots=slots or Slots(num_slots=most + 1),
        evaluation=Evaluations(more=Setting(num_slots=11, iterations=5, max_objects=more)),
    )


def properties(slots: Slots) -> SetPrediction:
    """Prediction of the properties of up to ten objects of CLEVR."""
    return SetPrediction(slots=slots)


def pieces(slots: Slots) -> Discovery:
    """Object discovery on Tetrominoes: 35 × 35 pixels, three pieces."""
    return Discovery(
        data=Scenes(name="tetrominoes", image_size=35, crop="none", max_objects=3),
        augmentation=Augmentation(flips=True, rotates=True),
        slots=slots,
        decoder=Decoder(kind="stationary"),
        evaluation=Evaluations(more=Setting(num_slots=6)),
    )


def movi(slots: Slots, name: str = "movi_c", most: int | None = None, more: int = 24) -> Dinosaur:
    """DINOSAUR on one of the MOVi sets."""
    return Dinosaur(
        data=Dinosaur().data.with_values({"name": name, "max_objects": most}),
        slots=slots,
        evaluation=MaskEvaluations(
            main=Setting(max_objects=most), more=Setting(num_slots=more, max_objects=23)
        ),
    )


def wide(**values: Any) -> Slots:
    """Slots of DINOSAUR: 128 wide."""
    return Dinosaur().slots.with_values(values)


# Set prediction ------------------------------------------------------------------------------


@grid(
    metrics=PRECISION,
    stated=4,
    question="Which normalisation predicts the objects of CLEVR best, with 10 and with 21 slots?",
    tags={"row": "E01", "data": "clevr"},
)
def properties_paper(trial: Trial) -> SetPrediction:
    """The four of the paper."""
    return properties(Slots(num_slots=10, normalization=normalized(trial, FOUR)))


@grid(
    metrics=PRECISION,
    stated=2,
    question="Do no normalisation, or that of a whole image, predict objects any better?",
    tags={"row": "E02", "data": "clevr"},
)
def properties_others(trial: Trial) -> SetPrediction:
    """The two that the paper leaves out."""
    return properties(Slots(num_slots=10, normalization=normalized(trial, TWO)))


@sweep(
    metrics=[Metric("val/ap/0.5", "maximize")],
    evaluates="slots.properties_paper",
    stated=4,
    question="How much does a rescaled weighted mean recover at 21 slots, without training?",
    tags={"row": "E02", "data": "clevr"},
)
def properties_rescaled(trial: Trial) -> SetPrediction:
    """The scaled mean is the weighted mean with `cardinality`."""
    count = trial.suggest_categorical("evaluation.main.num_slots", [10, 21])
    rescale = trial.suggest_categorical("evaluation.main.rescale", ["none", "cardinality"])
    main = Setting(num_slots=count, rescale=rescale)
    return SetPrediction(evaluation=Evaluations(main=main))


# Object discovery on CLEVR -------------------------------------------------------------------


@grid(
    metrics=MORE,
    stated=4,
    question="Which normalisation finds up to ten objects, trained on up to six?",
    tags={"row": "E03", "data": "clevr6"},
)
def clevr6_paper(trial: Trial) -> Discovery:
    """The four of the paper, 7 slots; measured with 7 on six objects, with 11 on ten."""
    return clevr(slots=Slots(normalization=normalized(trial, FOUR)))


@grid(
    metrics=MORE,
    stated=2,
    question="Do no normalisation, or that of a whole image, generalise to ten objects?",
    tags={"row": "E04", "data": "clevr6"},
)
def clevr6_others(trial: Trial) -> Discovery:
    """The two that the paper leaves out."""
    return clevr(slots=Slots(normalization=normalized(trial, TWO)))


@sweep(
    metrics=[Metric("val/foreground_ari", "maximize")],
    evaluates="slots.clevr6_paper",
    stated=9,
    question="How much of the gain does a rescaled update recover on trained networks?",
    tags={"row": "E04", "data": "clevr6"},
)
def clevr6_rescaled(trial: Trial) -> Discovery:
    """Rescaled by the number of slots (the scaled mean), or by the mass of each."""
    count = trial.suggest_categorical("evaluation.main.num_slots", [7, 11, 19])
    rescale = trial.suggest_categorical("evaluation.main.rescale", ["none", "cardinality", "mass"])
    main = Setting(num_slots=count, max_objects=10, rescale=rescale)
    return Discovery(evaluation=Evaluations(main=main))


@grid(
    metrics=MORE,
    stated=4,
    question="And trained on up to ten objects with 11 slots, measured with 19?",
    tags={"row": "E05", "data": "clevr10"},
)
def clevr10_paper(trial: Trial) -> Discovery:
    """The four of the paper; other numbers of slots by `slots.clevr10_evaluated`."""
    settings = clevr(10, slots=Slots(num_slots=11, normalization=normalized(trial, FOUR)))
    return settings.with_values({"evaluation.more.num_slots": 19})


@grid(
    metrics=MORE,
    stated=12,
    question="How many surplus slots does each normalisation bear in training?",
    tags={"row": "E06", "data": "clevr6"},
)
def clevr6_surplus(trial: Trial) -> Discovery:
    """Six objects, 9 to 15 slots."""
    count = trial.suggest_categorical("slots.num_slots", [9, 11, 15])
    return clevr(slots=Slots(num_slots=count, normalization=normalized(trial, FOUR)))


@grid(
    metrics=MORE,
    stated=16,
    question="From how few objects in training does each normalisation generalise to ten?",
    tags={"row": "E07", "data": "clevr"},
    choices={"choice.objects": ["data.max_objects", "slots.num_slots"]},
)
def clevr_limits(trial: Trial) -> Discovery:
    """At most 3, 4, 5 or 8 objects, and one slot more."""
    most = int(trial.suggest_categorical("choice.objects", ["3", "4", "5", "8"]))
    kind = normalized(trial, FOUR)
    return clevr(most, slots=Slots(num_slots=most + 1, normalization=kind))


def evaluated(trial: Trial) -> Discovery:
    """Slots × iterations; each on scenes of 3 to 10 objects, told apart in the metrics."""
    counts = [5, 7, 9, 11, 13, 15, 19, 24]
    main = Setting(
        num_slots=trial.suggest_categorical("evaluation.main.num_slots", counts),
        iterations=trial.suggest_categorical("evaluation.main.iterations", [1, 3, 5, 7]),
        min_objects=3,
        max_objects=10,
    )
    return Discovery(evaluation=Evaluations(main=main))


evaluation = partial(
    sweep, metrics=[Metric("val/foreground_ari", "maximize")], notes=evaluated.__doc__ or ""
)


@evaluation(
    evaluates="slots.clevr6_paper",
    stated=32,
    question="How do networks trained on six objects fare at other numbers of slots and steps?",
    tags={"row": "E08", "data": "clevr"},
)
def clevr6_evaluated(trial: Trial) -> Discovery:
    """Of networks trained with 7 slots."""
    return evaluated(trial)


@evaluation(
    evaluates="slots.clevr10_paper",
    stated=32,
    question="How do networks trained on ten objects fare at other numbers of slots and steps?",
    tags={"row": "E08", "data": "clevr"},
)
def clevr10_evaluated(trial: Trial) -> Discovery:
    """Of networks trained with 11 slots."""
    return evaluated(trial)


# Tetrominoes ---------------------------------------------------------------------------------


@grid(
    metrics=MORE,
    stated=6,
    question="Which normalisation finds three pieces with 4, and with 6 slots?",
    tags={"row": "E09", "data": "tetrominoes"},
)
def tetrominoes_paper(trial: Trial) -> Discovery:
    """The four of the paper and the two others; 8 slots by `slots.tetrominoes_evaluated`."""
    return pieces(Slots(num_slots=4, normalization=normalized(trial, [*FOUR, *TWO])))


@evaluation(
    evaluates="slots.tetrominoes_paper",
    stated=4,
    question="How far do surplus slots carry on Tetrominoes?",
    tags={"row": "E09", "data": "tetrominoes"},
)
def tetrominoes_evaluated(trial: Trial) -> Discovery:
    """4 to 10 slots."""
    count = trial.suggest_categorical("evaluation.main.num_slots", [4, 6, 8, 10])
    return pieces(Slots(num_slots=4)).with_values({"evaluation.main.num_slots": count})


# Code options on CLEVR6 ----------------------------------------------------------------------


@grid(
    metrics=MORE,
    stated=4,
    question="What does it cost to differentiate the last iteration only, on CLEVR6?",
    tags={"row": "E15", "data": "clevr6"},
)
def clevr6_implicit(trial: Trial) -> Discovery:
    """The four of the paper."""
    return clevr(slots=Slots(normalization=normalized(trial, FOUR), implicit="last_step"))


@grid(
    metrics=MORE,
    stated=6,
    question="Does the initialisation matter?",
    tags={"row": "E16", "data": "clevr6"},
)
def clevr6_initialization(trial: Trial) -> Discovery:
    """Of all linear layers, the prior and the recurrent cell."""
    init: Any = trial.suggest_categorical("slots.init", ["glorot", "keras", "torch"])
    return clevr(slots=Slots(normalization=normalized(trial, BOTH), init=init))


@grid(
    metrics=MORE,
    stated=6,
    question="Which decoder?",
    tags={"row": "E17", "data": "clevr6"},
)
def clevr6_decoder(trial: Trial) -> Discovery:
    """Three spatial broadcast decoders."""
    kinds = ["expanding", "up_convolve", "stationary"]
    kind = trial.suggest_categorical("decoder.kind", kinds)
    base = clevr(slots=Slots(normalization=normalized(trial, BOTH)))
    return base.with_values({"decoder.kind": kind})


@grid(
    metrics=MORE,
    stated=4,
    question="How are positions told?",
    tags={"row": "E18", "data": "clevr6"},
    choices={
        "choice.positions": [
            f"{part}.positions.{name}"
            for part in ("encoder", "decoder")
            for name in ("combines", "learned_width", "normalizes")
        ]
    },
)
def clevr6_positions(trial: Trial) -> Discovery:
    """Ramps added or concatenated, a learned map, or ramps and map normalised."""
    positions = {
        "add": Positions(),
        "concatenate": Positions(combines="concatenate"),
        "learned": Positions(learned_width=64),
        "normalized": Positions(normalizes=True),
    }
    chosen = positions[trial.suggest_categorical("choice.positions", list(positions))].to_json()
    return clevr().with_values(
        {
            f"{part}.positions.{name}": chosen[name]
            for part in ("encoder", "decoder")
            for name in ("combines", "learned_width", "normalizes")
        }
    )


@grid(
    metrics=MORE,
    stated=4,
    question="Which optimiser?",
    tags={"row": "E19", "data": "clevr6"},
)
def clevr6_optimizer(trial: Trial) -> Discovery:
    """Each at the rate of the paper."""
    optimizers = {"adam_tf": AdamTF(), "adam": Adam(), "rmsprop": RMSprop(), "sgd": SGD()}
    kind = trial.suggest_categorical("optimizer.kind", list(optimizers))
    return Discovery.read({**clevr().to_json(), "optimizer": optimizers[kind].to_json()})
