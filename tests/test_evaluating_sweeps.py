"""Sweeps that evaluate: what is evaluated is the trained configuration as it is declared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Any

import pytest

from raysearch.errors import BadSetting
from raysearch.study.evaluations import Evaluations
from raysearch.sweeps import catalog
from raysearch.sweeps.search_spec import EvaluatedTrial
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Sweep, sweep
from tests.raysearch.toys import SCORE
from trainables.slots.config import Discovery
from trainables.slots.parts import SGD, Setting, Slots
from trainables.slots.parts import Evaluations as Measured

SWEEPS = catalog.sweeps(["search_spaces"])
EVALUATING = {name: one for name, one in SWEEPS.items() if one.evaluates is not None}


def trained(space: Space, count: int = 3) -> list[EvaluatedTrial]:
    """Trials of a sweep as if they had been finished."""
    found: list[EvaluatedTrial] = []
    for number, point in enumerate(islice(space.preview(count), count)):
        params = {name: d.to_json() for name, d in point.distributions.items()}
        config, path = point.config.to_json(), f"/{number}.pt"
        found.append(EvaluatedTrial("trained", number, config, point.params, params, path))
    return found


def leaves(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in plain.items():
        path = f"{prefix}{name}"
        found |= leaves(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return found


@pytest.mark.parametrize("name", EVALUATING)
def test_what_is_evaluated_is_what_is_declared_path_by_path(name: str) -> None:
    space, trials = Space(EVALUATING[name]), trained(Space(SWEEPS[str(EVALUATING[name].evaluates)]))
    settings = list(space.points())
    pairs = Evaluations(space, trials)
    pairs.check()
    declared = [(setting, trial) for setting in settings for trial in trials]
    evaluated = list(pairs.configurations())
    assert len(evaluated) == len(declared) == len(settings) * len(trials)
    for config, (setting, trial) in zip(evaluated, declared, strict=True):
        said, own = leaves(setting.config.to_json()), leaves(trial.config)
        for path, value in leaves(config.to_json()).items():
            assert value == (said if path.startswith("evaluation.") else own)[path], path


def discovery(function: Any) -> Sweep:
    return sweep(metrics=[SCORE], name="tests.measured", evaluates="tests.trained")(function)


def trial_of(config: Discovery) -> EvaluatedTrial:
    return EvaluatedTrial("trained", 0, config.to_json(), {}, {}, "/0.pt")


def test_a_constant_of_training_that_differs_is_refused_by_name() -> None:
    def function(trial: Any) -> Discovery:
        count = trial.suggest_categorical("evaluation.main.num_slots", [7, 9])
        main = Measured(main=Setting(num_slots=count))
        return Discovery(slots=Slots(iterations=5), evaluation=main)

    with pytest.raises(BadSetting) as error:
        Evaluations(Space(discovery(function)), [trial_of(Discovery())]).check()
    assert str(error.value) == (
        "tests.measured cannot evaluate trial 0 of trained: slots.iterations must be 3, as it was "
        "trained, got 5; only settings of evaluations may differ"
    )


def test_what_a_trial_decided_and_the_sweep_leaves_at_its_default_is_the_trials() -> None:
    def function(trial: Any) -> Discovery:
        return Discovery(
            evaluation=Measured(
                main=Setting(num_slots=trial.suggest_categorical("evaluation.main.num_slots", [9]))
            )
        )

    own = Discovery(slots=Slots(num_slots=5, iterations=2)).with_values(
        {"decoder.kind": "stationary", "evaluation.main.scenes": 3, "training.steps": 10}
    )
    (found,) = Evaluations(Space(discovery(function)), [trial_of(own)]).configurations()
    assert found.slots == own.slots and found.decoder == own.decoder
    assert found.training == own.training
    assert found.evaluation == Measured(main=Setting(num_slots=9))


def test_what_another_variant_leaves_at_its_default_is_the_trials_and_what_it_states_is_not() -> (
    None
):
    def function(trial: Any, **values: Any) -> Discovery:
        scenes = trial.suggest_categorical("evaluation.main.scenes", [9])
        measured = Measured(main=Setting(scenes=scenes))
        return Discovery(optimizer=SGD(**values), evaluation=measured)

    own = Discovery(optimizer=SGD(momentum=0.5))
    (found,) = Evaluations(Space(discovery(function)), [trial_of(own)]).configurations()
    assert found.optimizer == own.optimizer and found.evaluation.main.scenes == 9

    stated = discovery(partial(function, momentum=0.25))
    with pytest.raises(BadSetting, match=r"optimizer.momentum must be 0.5, as it was trained"):
        Evaluations(Space(stated), [trial_of(own)]).check()
