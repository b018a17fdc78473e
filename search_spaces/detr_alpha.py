"""Sweeps of the family detr on a learned α: where it starts, how fast it is, where it ends."""

from __future__ import annotations

from raysearch.sweeps.sweep import Trial
from search_spaces.detr_questions import WHOLE, asked, trained
from search_spaces.detr_settings import detector
from search_spaces.settings import Settings, one_of
from trainables.detr.config import Detection

LEARNED: Settings = {"cross.map.kind": "entmax"}


def start(trial: Trial, *alphas: float) -> Settings:
    """Where α starts: drawn, or at one of these."""
    found = one_of(trial, "cross.map.start", "given", "normal")
    if found["cross.map.start"] == "given":
        found |= one_of(trial, "cross.map.alpha", *alphas)
    return found


@asked(
    name="detr.alpha_starts",
    stated=30,
    question="Where does α start, which heads share it, and what keeps it in its range?",
    tags={"question": "Q4"},
    notes="Each α is alpha/layer_…-head_…: how many stay at an end is counted there.",
)
def alpha_starts(trial: Trial) -> Detection:
    """Four values or a draw × by head, layer or for all × a smooth or a clamped range."""
    return trained(
        LEARNED,
        one_of(trial, "cross.map.form", "smooth", "clamped"),
        one_of(trial, "cross.map.tied", "head", "layer", "global"),
        start(trial, 1.5, 1.05, 1.25, 1.75),
    )


@asked(
    name="detr.alpha_rates",
    stated=8,
    question="How fast does α learn, and does the drop of its rate hurt?",
    tags={"question": "Q4"},
)
def alpha_rates(trial: Trial) -> Detection:
    """1, 3, 10 and 30 times the rate of the transformer × with its drop or without, to the end."""
    return detector(
        WHOLE,
        LEARNED,
        one_of(trial, "alpha.lr", 1e-4, 3e-4, 1e-3, 3e-3),
        one_of(trial, "alpha.follows_schedule", True, False),
    )


@asked(
    name="detr.dead_heads",
    stated=6,
    question="Do half of the heads prefer softmax, or are they dead at the end of the range?",
    tags={"question": "Q11"},
    notes="Published, 22 of 48 heads stood at 1.01 from a fifth of the training on.",
)
def dead_heads(trial: Trial) -> Detection:
    """Two forms with a gradient everywhere, and the clamped one × a start in the middle, or drawn.

    For a fifth of the published length.
    """
    return trained(
        {"training.epochs": 60},
        LEARNED,
        one_of(trial, "cross.map.form", "smooth", "sigmoid", "clamped"),
        start(trial, 1.5),
    )
