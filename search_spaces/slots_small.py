"""Small versions of the sweeps of the family slots: minutes on two cores, on made scenes.

Each has the axes of the sweep that it is made of, with one seed, small networks and few steps. The
scenes come from

    raysearch data make clevr_with_masks --image-size 32 --scenes 2000
    raysearch data make tetrominoes --image-size 28 --scenes 2000
    raysearch data make movi_c --image-size 64 --scenes 24      # clips; and movi_d, movi_e
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from raysearch.sweeps.sweep import Sweep, Trial, bare
from search_spaces import slots, slots_movi, slots_questions
from trainables.slots.config import Dinosaur

_TRAINING = {
    "data.made": True,
    "training.steps": 200,
    "training.batch_size": 16,
    "training.log_every": 50,
    "training.evaluate_every": 16,  # thirteen times: the mean of five is over steps 144 to 200
    "training.save_every": 200,
    "schedule.warm_up": 50,
    "schedule.half_life": 1000,
    "optimizer.lr": 1e-3,
    "evaluation.main.scenes": 64,
    "evaluation.more.scenes": 64,
}
_CLEVR = {"data.image_size": 32, "encoder.channels": 16, "slots.width": 32}
_DECODER = {"decoder.channels": 16}
_MEASURED = {"data.made": True, "evaluation.main.scenes": 64}

PROPERTIES = {**_TRAINING, **_CLEVR}
DISCOVERY = {**_TRAINING, **_CLEVR, **_DECODER}
PIECES = {**DISCOVERY, "data.image_size": 28}
DECODERS = {
    **_TRAINING,
    "data.image_size": 64,
    "slots.width": 32,
    "slots.mlp_width": 64,
    "features.backbone": "test_vit",
    "features.pretrained": False,
    "features.image_size": 64,
    "evaluation.mask_size": 64,
}
FEATURES = {**DECODERS, "decoder.width": 128}
PROPERTIES_MEASURED = {**_MEASURED, "data.image_size": 32}
DISCOVERY_MEASURED = PROPERTIES_MEASURED
PIECES_MEASURED = {**_MEASURED, "data.image_size": 28}
FEATURES_MEASURED = {**_MEASURED, "data.image_size": 64, "evaluation.mask_size": 64}


class _Listening:
    """A trial that remembers what it was asked for."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.names: set[str] = set()

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> float:
        self.names.add(name)
        return self._trial.suggest_float(name, low, high, **how)

    def suggest_int(self, name: str, low: int, high: int, **how: Any) -> int:
        self.names.add(name)
        return self._trial.suggest_int(name, low, high, **how)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.names.add(name)
        return self._trial.suggest_categorical(name, choices)


def small(large: Sweep, attribute: str, values: Mapping[str, object]) -> Sweep:
    """A sweep with other values wherever the large one samples none; found as this attribute."""

    def function(trial: Trial) -> Any:
        heard = _Listening(trial)
        config = large(heard)
        sampled = {path for name in heard.names for path in large.choices.get(name, (bare(name),))}
        fixed = {path: value for path, value in values.items() if path not in sampled}
        return config.with_values(fixed)

    function.__name__ = function.__qualname__ = attribute
    function.__doc__ = large.function.__doc__
    return replace(
        large,
        name=f"{large.name}_small",
        function=function,
        repeats=1,
        fidelity="evaluations",  # several in each of the few epochs
        evaluates=large.evaluates and f"{large.evaluates}_small",
        tags={**large.tags, "size": "small"},
    )


properties_paper = small(slots.properties_paper, "properties_paper", PROPERTIES)
properties_others = small(slots.properties_others, "properties_others", PROPERTIES)
properties_rescaled = small(slots.properties_rescaled, "properties_rescaled", PROPERTIES_MEASURED)
properties_targets = small(slots_questions.properties_targets, "properties_targets", PROPERTIES)
properties_absent = small(slots_questions.properties_absent, "properties_absent", PROPERTIES)

clevr6_paper = small(slots.clevr6_paper, "clevr6_paper", DISCOVERY)
clevr6_others = small(slots.clevr6_others, "clevr6_others", DISCOVERY)
clevr6_rescaled = small(slots.clevr6_rescaled, "clevr6_rescaled", DISCOVERY_MEASURED)
clevr10_paper = small(slots.clevr10_paper, "clevr10_paper", DISCOVERY)
clevr6_surplus = small(slots.clevr6_surplus, "clevr6_surplus", DISCOVERY)
clevr_limits = small(slots.clevr_limits, "clevr_limits", DISCOVERY)
clevr6_evaluated = small(slots.clevr6_evaluated, "clevr6_evaluated", DISCOVERY_MEASURED)
clevr10_evaluated = small(slots.clevr10_evaluated, "clevr10_evaluated", DISCOVERY_MEASURED)
clevr6_implicit = small(slots.clevr6_implicit, "clevr6_implicit", DISCOVERY)
clevr6_initialization = small(slots.clevr6_initialization, "clevr6_initialization", DISCOVERY)
clevr6_decoder = small(slots.clevr6_decoder, "clevr6_decoder", DISCOVERY)
clevr6_positions = small(slots.clevr6_positions, "clevr6_positions", DISCOVERY)
clevr6_optimizer = small(slots.clevr6_optimizer, "clevr6_optimizer", DISCOVERY)
clevr6_constant = small(slots_questions.clevr6_constant, "clevr6_constant", DISCOVERY)
clevr6_batch_norm = small(slots_questions.clevr6_batch_norm, "clevr6_batch_norm", DISCOVERY)
clevr6_drawn = small(slots_questions.clevr6_drawn, "clevr6_drawn", DISCOVERY)
clevr6_iterations = small(slots_questions.clevr6_iterations, "clevr6_iterations", DISCOVERY)
clevr6_prior = small(slots_questions.clevr6_prior, "clevr6_prior", DISCOVERY)

tetrominoes_paper = small(slots.tetrominoes_paper, "tetrominoes_paper", PIECES)
tetrominoes_evaluated = small(slots.tetrominoes_evaluated, "tetrominoes_evaluated", PIECES_MEASURED)

movi_c_paper = small(slots_movi.movi_c_paper, "movi_c_paper", FEATURES)
movi_c_six = small(slots_movi.movi_c_six, "movi_c_six", FEATURES)
movi_c_surplus = small(slots_movi.movi_c_surplus, "movi_c_surplus", FEATURES)
movi_c_to_d = small(slots_movi.movi_c_to_d, "movi_c_to_d", FEATURES_MEASURED)
movi_c_six_to_d = small(slots_movi.movi_c_six_to_d, "movi_c_six_to_d", FEATURES_MEASURED)
movi_c_surplus_to_d = small(
    slots_movi.movi_c_surplus_to_d, "movi_c_surplus_to_d", FEATURES_MEASURED
)
movi_d_e = small(slots_movi.movi_d_e, "movi_d_e", FEATURES)
movi_c_implicit = small(slots_movi.movi_c_implicit, "movi_c_implicit", FEATURES)
movi_c_decoder = small(slots_movi.movi_c_decoder, "movi_c_decoder", DECODERS)


@slots_movi.trained(
    name="slots.movi_c_backbone_small",
    stated=12,
    repeats=1,
    question="Features of which network, before or behind its last norm?",
    tags={"row": "E20", "data": "movi_c", "size": "small"},
)
def movi_c_backbone(trial: Trial) -> Dinosaur:
    """As `slots.movi_c_backbone`, of three networks that are small enough, with random weights."""
    features = {
        "features.backbone": trial.suggest_categorical(
            "features.backbone", ["test_vit", "vit_tiny_patch16_224", "vit_small_patch16_224"]
        ),
        "features.final_norm": trial.suggest_categorical("features.final_norm", [True, False]),
    }
    kind = slots.normalized(trial, slots.BOTH)
    settings = slots.movi(slots.wide(normalization=kind))
    return settings.with_values({**FEATURES, **features})
