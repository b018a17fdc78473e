"""Sweeps of the family slots beyond those of the paper: what scales, what costs, what tells."""

from __future__ import annotations

from raysearch.sweeps.sweep import Metric, Trial, sweep
from search_spaces.slots import (
    BOTH,
    FOUR,
    MORE,
    PRECISION,
    TRAINED,
    clevr,
    evaluation,
    grid,
    normalized,
    properties,
)
from trainables.core.training import Training
from trainables.settings.scenes import Scenes
from trainables.settings.schedules import HalfLives
from trainables.slots.config import Decoder, Discovery, Encoder, SetPrediction
from trainables.slots.parts import (
    Adam,
    Augmentation,
    Evaluations,
    Setting,
    Slots,
)


@sweep(
    name="slots.tetrominoes_search",
    metrics=[Metric("val/foreground_ari", "maximize", reduce="mean(5)")],
    sampler="tpe",
    pruner="successive-halving:min=6,factor=2",  # 600 steps: before that nothing is told apart
    fidelity="evaluations",
    trials=32,
    question="Which small network finds three pieces whose colours may be equal?",
    tags={"data": "made tetrominoes, 28 x 28"},
    notes=(
        "Make them by `raysearch data make tetrominoes --image-size 28 --scenes 31000 "
        "--equal-colors --train 30000 --val 500 --test 500`. Pixels of equal colour taken for one "
        "piece score 0.80."
    ),
)
def tetrominoes_search(trial: Trial) -> Discovery:
    """Rate, warm-up, normalisation, iterations, start, and how the networks see and draw."""
    slots = Slots(
        num_slots=4,
        width=64,
        normalization=normalized(trial, [*FOUR, "learned_scale"]),
        iterations=trial.suggest_int("slots.iterations", 2, 4),
        init=trial.suggest_categorical("slots.init", ["glorot", "torch"]),
    )
    doublings = trial.suggest_int("decoder.doublings", 1, 2)
    kernel_size = trial.suggest_categorical("decoder.kernel_size", [3, 5])
    return small_pieces(
        slots,
        encoder=Encoder(channels=16, halvings=trial.suggest_int("encoder.halvings", 0, 1)),
        decoder=Decoder(channels=16, doublings=doublings, kernel_size=kernel_size),
        optimizer=Adam(lr=trial.suggest_float("optimizer.lr", 1e-3, 1e-2, log=True)),
        warm_up=trial.suggest_categorical("schedule.warm_up", [100, 400]),
        steps=3000,
    )


@grid(
    name="slots.tetrominoes_four",
    metrics=MORE,
    stated=4,
    repeats=3,
    question="Which normalisation finds three pieces with more slots than trained?",
    tags={"data": "made tetrominoes, 28 x 28"},
)
def tetrominoes_four(trial: Trial) -> Discovery:
    """The four of the paper, 4 slots and 2,500 steps; measured with 4 and with 8."""
    settings = small_pieces(
        Slots(num_slots=4, normalization=normalized(trial, FOUR)),
        encoder=Encoder(channels=16, halvings=1),
        decoder=Decoder(channels=16, doublings=2, kernel_size=3),
        optimizer=Adam(lr=2e-3),
        warm_up=400,
        steps=2500,
    )
    return settings.with_values({"evaluation.more.num_slots": 8, "evaluation.more.scenes": 160})


@evaluation(
    name="slots.tetrominoes_four_evaluated",
    evaluates="slots.tetrominoes_four",
    stated=7,
    question="How far do surplus slots carry?",
    tags={"data": "made tetrominoes, 28 x 28"},
)
def tetrominoes_four_evaluated(trial: Trial) -> Discovery:
    """3 to 12 slots, on 500 scenes."""
    counts = [3, 4, 5, 6, 8, 10, 12]
    count = trial.suggest_categorical("evaluation.main.num_slots", counts)
    return Discovery(evaluation=Evaluations(main=Setting(num_slots=count, scenes=500)))


def small_pieces(
    slots: Slots, *, encoder: Encoder, decoder: Decoder, optimizer: Adam, warm_up: int, steps: int
) -> Discovery:
    """Made Tetrominoes of 28 × 28 pixels, in batches of 32."""
    return Discovery(
        data=Scenes(name="tetrominoes", made=True, image_size=28, crop="none", max_objects=3),
        augmentation=Augmentation(flips=False),
        encoder=encoder,
        slots=slots,
        decoder=decoder,
        optimizer=optimizer,
        schedule=HalfLives(warm_up=warm_up, half_life=2000),
        training=Training(
            steps=steps,
            batch_size=32,
            clip_norm=1.0,
            channels_last=True,
            log_every=100,
            evaluate_every=100,
            save_every=500,
        ),
        evaluation=Evaluations(main=Setting(scenes=160)),
    )


@grid(
    name="slots.clevr6_constant",
    metrics=MORE,
    stated=13,
    question="Is the number of tokens the best constant to divide a weighted sum by?",
    tags={"data": "clevr6"},
)
def clevr6_constant(trial: Trial) -> Discovery:
    """Weighted sums · 2^−6 … 2^6 / N."""
    factors = [2.0**power for power in range(-6, 7)]
    factor = trial.suggest_categorical("slots.constant_factor", factors)
    return clevr(slots=Slots(normalization="constant", constant_factor=factor))


@grid(
    name="slots.clevr6_batch_norm",
    metrics=MORE,
    stated=13,
    question="Does batch norm gain by its scale, its centring or its noise?",
    tags={"data": "clevr6"},
)
def clevr6_batch_norm(trial: Trial) -> Discovery:
    """Momentum × iterations with statistics of their own × shared by workers; a learnt scale."""
    kind = normalized(trial, ["batch_norm", "learned_scale"])
    if kind == "learned_scale":
        return clevr(slots=Slots(normalization=kind))
    slots = Slots(
        normalization=kind,
        momentum=trial.suggest_categorical("slots.momentum", [0.01, 0.1, 0.5]),
        own_statistics=trial.suggest_categorical("slots.own_statistics", [1, 3]),
        synchronizes=trial.suggest_categorical("slots.synchronizes", [True, False]),
    )
    return clevr(slots=slots)


@grid(
    name="slots.clevr6_resolution",
    metrics=MORE,
    stated=12,
    question="Does the best normalisation depend on the number of tokens?",
    tags={"data": "clevr6"},
)
def clevr6_resolution(trial: Trial) -> Discovery:
    """Tokens of a side of 128, 64 and 32, of one image."""
    halvings = trial.suggest_categorical("encoder.halvings", [0, 1, 2])
    settings = clevr(slots=Slots(normalization=normalized(trial, FOUR)))
    return settings.with_values({"encoder.halvings": halvings})


@grid(
    name="slots.clevr6_drawn",
    metrics=MORE,
    stated=8,
    question="Is a random number of slots in training a substitute for normalisation?",
    tags={"data": "clevr6"},
)
def clevr6_drawn(trial: Trial) -> Discovery:
    """11 slots, or 5 … 11 drawn in each step."""
    least = trial.suggest_categorical("slots.least_slots", [5, 11])
    kind = normalized(trial, FOUR)
    return clevr(slots=Slots(num_slots=11, least_slots=least, normalization=kind))


@grid(
    name="slots.clevr6_iterations",
    metrics=MORE,
    stated=8,
    question="How many iterations in training?",
    tags={"data": "clevr6"},
)
def clevr6_iterations(trial: Trial) -> Discovery:
    """1 to 7; other numbers in evaluations by `slots.clevr6_iterations_evaluated`."""
    count = trial.suggest_categorical("slots.iterations", [1, 2, 3, 5])
    return clevr(slots=Slots(iterations=count, normalization=normalized(trial, BOTH)))


@evaluation(
    name="slots.clevr6_iterations_evaluated",
    evaluates="slots.clevr6_iterations",
    stated=4,
    question="Are more iterations in evaluation helpful or harmful?",
    tags={"data": "clevr6"},
)
def clevr6_iterations_evaluated(trial: Trial) -> Discovery:
    """1 to 7."""
    count = trial.suggest_categorical("evaluation.main.iterations", [1, 3, 5, 7])
    return Discovery(evaluation=Evaluations(main=Setting(iterations=count, max_objects=10)))


@grid(
    name="slots.clevr6_prior",
    metrics=TRAINED,
    stated=5,
    question="Where do slots start from, and must that be trained?",
    tags={"data": "clevr6"},
)
def clevr6_prior(trial: Trial) -> Discovery:
    """Gaussian or quasi-Monte-Carlo; with the last iteration differentiated, trained or frozen."""
    implicit = trial.suggest_categorical("slots.implicit", ["none", "last_step"])
    trains = False
    if implicit == "last_step":
        trains = trial.suggest_categorical("slots.trains_prior", [False, True])
        prior = trial.suggest_categorical("slots.prior", ["gaussian"])
    else:
        kinds = ["gaussian", "quasi_monte_carlo", "learned"]
        prior = trial.suggest_categorical("slots[free].prior", kinds)
    more = None if prior == "learned" else 11
    return clevr().with_values(
        {
            "slots.implicit": implicit,
            "slots.trains_prior": trains,
            "slots.prior": prior,
            "evaluation.more.num_slots": more,
        }
    )


@sweep(
    name="slots.clevr6_rate",
    metrics=[Metric("more/foreground_ari", "maximize", reduce="mean(5)")],
    sampler="tpe",
    pruner="successive-halving:min=20",
    trials=64,
    question="Is one rate fair to all normalisations?",
    tags={"data": "clevr6"},
)
def clevr6_rate(trial: Trial) -> Discovery:
    """Rate × normalisation: sums are larger than means by the number of tokens."""
    settings = clevr(slots=Slots(normalization=normalized(trial, [*FOUR, "none"])))
    rate = trial.suggest_float("optimizer.lr", 1e-5, 3e-3, log=True)
    return settings.with_values({"optimizer.lr": rate})


@grid(
    name="slots.clevr6_cost",
    metrics=MORE,
    stated=8,
    question="What is the cheapest setting that ranks normalisations as the paper's does?",
    tags={"data": "clevr6"},
    choices={"choice.batch": ["training.batch_size", "optimizer.lr"]},
)
def clevr6_cost(trial: Trial) -> Discovery:
    """Half precision, a larger batch at a larger rate, a fifth of the steps."""
    batch = int(trial.suggest_categorical("choice.batch", ["64", "256"]))
    settings = clevr()
    return settings.with_values(
        {
            "training.batch_size": batch,
            "optimizer.lr": settings.optimizer.lr * batch / 64,
            "training.precision": trial.suggest_categorical(
                "training.precision", ["float32", "bfloat16"]
            ),
            "training.steps": trial.suggest_categorical("training.steps", [100_000, 500_000]),
        }
    )


@grid(
    name="slots.properties_targets",
    metrics=PRECISION,
    stated=8,
    question="Do the range of z and the padding change which normalisation predicts best?",
    tags={"data": "clevr"},
)
def properties_targets(trial: Trial) -> SetPrediction:
    """Range of z × padding, of two normalisations."""
    ranges = trial.suggest_categorical("target.coordinates", ["clevr6", "stretched"])
    padding = trial.suggest_categorical("target.padding", ["zeros", "normalized"])
    settings = properties(Slots(num_slots=10, normalization=normalized(trial, BOTH)))
    return settings.with_values({"target.coordinates": ranges, "target.padding": padding})


@grid(
    name="slots.properties_absent",
    metrics=PRECISION,
    stated=4,
    question="Does a loss that teaches surplus slots to be absent repair precision at 21 slots?",
    tags={"data": "clevr"},
)
def properties_absent(trial: Trial) -> SetPrediction:
    """Trained with 21 slots, with and without that loss, of two normalisations."""
    weight = trial.suggest_categorical("absent_weight", [0.0, 1.0])
    settings = properties(Slots(num_slots=21, normalization=normalized(trial, BOTH)))
    return settings.with_values({"absent_weight": weight})
