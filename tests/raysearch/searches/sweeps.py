"""Sweeps over the small experiments of the tests."""

from __future__ import annotations

from raysearch.sweeps.sweep import Metric, Resources, Trial, sweep
from tests.raysearch.searches.config import Chain

SCORE = [Metric("val/score", "maximize", reduce="best")]


@sweep(metrics=SCORE, sampler="tpe", pruner="median:warmup=2,startup=3", trials=12)
def chain(trial: Trial) -> Chain:
    """A continuous and an integer parameter."""
    return Chain(
        x=trial.suggest_float("x", 0.0, 1.0),
        y=trial.suggest_int("y", 0, 6),
        steps=8,
        pause=0.01,
    )


@sweep(metrics=SCORE, sampler="grid")
def chain_grid(trial: Trial) -> Chain:
    """Nine cells."""
    return Chain(
        x=trial.suggest_categorical("x", [0.1, 0.3, 0.5]),
        y=trial.suggest_int("y", 2, 4),
        pause=0.01,
    )


WAYS = ["well", "raise", "nan", "hang", "exit", "segv", "killed", "memory", "host"]


@sweep(metrics=SCORE, sampler="grid", resources=Resources(patience=3.0))
def ways(trial: Trial) -> Chain:
    """One trial for each way to end."""
    return Chain(way=trial.suggest_categorical("way", WAYS), pause=0.02)


@sweep(metrics=SCORE, sampler="grid", resources=Resources(memory="1500M"))
def growing(trial: Trial) -> Chain:
    """Two that grow past their memory and one that does not."""
    return Chain(
        way=trial.suggest_categorical("way", ["grow", "well"]), y=trial.suggest_int("y", 3, 4)
    )


@sweep(metrics=SCORE, sampler="random", trials=30)
def broken(trial: Trial) -> Chain:
    """Code with a bug: every trial fails in the same way."""
    return Chain(x=trial.suggest_float("x", 0.0, 1.0), way="raise")


@sweep(metrics=SCORE, sampler="random", trials=6)
def slow(trial: Trial) -> Chain:
    """Long enough to be stopped by hand."""
    return Chain(x=trial.suggest_float("x", 0.0, 1.0), steps=400, pause=0.1)


@sweep(metrics=SCORE, sampler="random", trials=2, resources=Resources(cpus=4096))
def hungry(trial: Trial) -> Chain:
    """More CPUs than any machine has."""
    return Chain(x=trial.suggest_float("x", 0.0, 1.0))


@sweep(metrics=SCORE, sampler="random", trials=2, resources=Resources(gpus=64))
def greedy(trial: Trial) -> Chain:
    """More GPUs than any machine has."""
    return Chain(x=trial.suggest_float("x", 0.0, 1.0))
