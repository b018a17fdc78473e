"""The sweep of the family detr that looks for the best of all settings together."""

from __future__ import annotations

from collections.abc import Mapping

from raysearch.sweeps.sweep import Trial, sweep
from search_spaces.detr_alpha import start
from search_spaces.detr_questions import SEEDS
from search_spaces.detr_settings import ACTIVATIONS, AP, RATES, balances, detector
from search_spaces.settings import Settings, choices, labelled, merged, one_of
from trainables.detr.config import Detection

FIFTH: Settings = {"training.epochs": 60, "schedule.epochs": (40,)}
"""Of the published length, with the drop of the rate behind two thirds of it, as there."""
BALANCES = balances("costs", "weights")


@sweep(
    name="detr.suggested",
    metrics=AP,
    trials=64,
    pruner="successive-halving:min=10,factor=2",  # sparsemax is about ten epochs behind softmax
    repeats=SEEDS,
    question="Which map, where, and with which network, losses and rates, finds most?",
    tags={"question": "all"},
    notes="Swapped rates and a decay of 0.1 are the accidents that were published.",
    choices={
        **choices(rates=RATES, balance=BALANCES),
        "choice.alpha_rate": ["alpha.lr"],
    },
)
def suggested(trial: Trial) -> Detection:
    """Trials meet at 10, 20 and 40 epochs; the best three are told apart by seeds."""
    depth = trial.suggest_int("transformer.decoder_layers", 1, 6)
    rates = labelled(trial, "rates", RATES)
    return detector(
        FIFTH,
        rates,
        {"transformer.decoder_layers": depth},
        attention(trial, depth, rates),
        network(trial),
        losses(trial, depth),
    )


def attention(trial: Trial, depth: int, rates: Settings) -> Settings:
    """The map of attention to the picture, with what it needs, and its layers of `depth`."""
    kind = one_of(trial, "cross.map.kind", *ACTIVATIONS, "tvmax")
    name = kind["cross.map.kind"]
    if name == "entmax":
        kind |= learned(trial, detector(rates).optimizer.lr)
    elif name == "tvmax":
        kind |= one_of(trial, "cross.map.weight", 0.05, 0.01, 0.2)
    return kind if name == "softmax" else merged(kind, some_layers(trial, depth))


def some_layers(trial: Trial, depth: int) -> Settings:
    """Those that have the map; the first three are all, where there are no more."""
    if depth == 1:
        return {}
    if depth <= 3:
        return one_of(trial, "cross[few].layers", "all", "last", "alternate")
    return one_of(trial, "cross[many].layers", "all", "last", "first_three", "alternate")


def learned(trial: Trial, lr: float) -> dict[str, object]:
    """Where α starts, what shares it, and its rate, a multiple of `lr`."""
    multiples: Mapping[str, Settings] = {
        f"x{times}": {"alpha.lr": times * lr} for times in (10, 1, 3, 30)
    }
    return merged(
        start(trial, 1.5, 1.05, 1.25, 1.75),
        one_of(trial, "cross.map.tied", "head", "layer", "global"),
        labelled(trial, "alpha_rate", multiples),
        one_of(trial, "alpha.follows_schedule", True, False),
    )


def network(trial: Trial) -> Settings:
    """Backbone and transformer, but for its depth."""
    return merged(
        one_of(trial, "backbone.name", "resnet50", "resnet34", "resnet18"),
        one_of(trial, "num_queries", 100, 50, 64, 256),
        one_of(trial, "transformer.norm", "pre", "post"),
        one_of(trial, "transformer.positions", "sine", "learned"),
        {"transformer.dropout": trial.suggest_float("transformer.dropout", 0.0, 0.2)},
    )


def losses(trial: Trial, depth: int) -> Settings:
    """Weights of losses and of parameters; a single layer has no others to compare."""
    return merged(
        labelled(trial, "balance", BALANCES),
        one_of(trial, "loss.eos_coef", 0.1, 0.05, 0.2),
        one_of(trial, "optimizer.weight_decay", 1e-4, 0.1),
        one_of(trial, "loss.aux_loss", True, False) if depth > 1 else {},
    )
