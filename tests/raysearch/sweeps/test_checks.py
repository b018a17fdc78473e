"""All that can be wrong with a sweep is found before any trial, in one clear sentence."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from raysearch.errors import BadSetting
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.space import Choice, Float, Int, Space
from raysearch.sweeps.sweep import Metric, Resources, bare
from raysearch.sweeps.walk import AskedTrial, from_params
from tests.raysearch.toys import (
    BRANCHING,
    CONDITIONAL,
    CONTINUOUS,
    GRID,
    LOSS,
    SCORE,
    TIED,
    Adam,
    Sgd,
    Toy,
    grid,
    swept,
)
from trainables.core.run import RunConfig


@pytest.mark.parametrize("sweep", [GRID, CONDITIONAL, BRANCHING, CONTINUOUS, TIED])
def test_a_sound_sweep_passes(sweep: Any) -> None:
    check_space(Space(sweep))


@pytest.mark.parametrize(
    "fixed",
    [
        {"optimizer.lr": 0.5},
        {"optimizer.kind": "sgd"},
        {"optimizer.kind": "sgd", "optimizer.momentum": 0.5},
        {"depth": 9},
        {"training.epochs": 7},
        {"width": 128, "heads": 8},
    ],
)
def test_given_values_that_have_an_effect_pass(fixed: dict[str, object]) -> None:
    check_space(Space(CONDITIONAL, fixed))


def misspelt(trial: Any) -> Toy:
    return Toy(depth=trial.suggest_int("dpeth", 1, 4))


def absent(trial: Any) -> Toy:
    trial.suggest_float("optimizer.momentum", 0.0, 0.9)
    return Toy(depth=trial.suggest_int("depth", 1, 2))


def dropped(trial: Any) -> Toy:
    trial.suggest_int("depth", 3, 6)
    return Toy()


def void(trial: Any) -> Toy:
    return Toy(
        heads=0, depth=trial.suggest_int("depth", 1, 2), slots=trial.suggest_int("slots", 1, 4)
    )


def invalid(trial: Any) -> Toy:
    return Toy(heads=trial.suggest_int("heads", 1, 4))


def two_ranges(trial: Any) -> Toy:
    if trial.suggest_categorical("optimizer.kind", ["adam", "sgd"]) == "adam":
        return Toy(optimizer=Adam(lr=trial.suggest_float("optimizer.lr", 0.1, 0.2)))
    return Toy(optimizer=Sgd(lr=trial.suggest_float("optimizer.lr", 0.1, 0.3)))


def undeclared(trial: Any) -> Toy:
    return Toy(patch={"a": 1, "b": 2}[trial.suggest_categorical("choice.size", ["a", "b"])])


def objects(trial: Any) -> Toy:
    return Toy(depth=len(trial.suggest_categorical("depth", [(1,), (1, 2)])))


def uneven(trial: Any) -> Toy:
    return Toy(rate=trial.suggest_float("rate", 0.0, 1.0, step=0.3))


def leaves(trial: Any) -> Toy:
    sys.exit(0)


def leaves_at_once(trial: Any) -> Toy:
    forked = os.fork()
    if forked:
        assert os.waitpid(forked, 0)[1] >> 8 == 3
    os._exit(0 if forked else 3)


def unnamed(trial: Any) -> Toy:
    return Toy(rate=trial.suggest_float("", 0.0, 1.0))


def a_dict(trial: Any) -> Any:
    return {"depth": trial.suggest_int("depth", 1, 2)}


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (misspelt, LookupError, "'dpeth' of sweep .* is no path .*did you mean 'depth'"),
        (absent, ValueError, "is asked for where its configuration has no optimizer.momentum: at"),
        (dropped, ValueError, "got 2 instead of . at depth"),
        (void, ValueError, "slots of sweep .* changes nothing: each value in 1 … 4"),
        (
            invalid,
            ValueError,
            r"no valid configuration: heads must divide width \(64\), got 3 \(.*py:\d+, at",
        ),
        (two_ranges, ValueError, r"got 0.1 … 0.. and 0.1 … 0..; .* optimizer\[variant\]\.lr"),
        (undeclared, LookupError, "choice.size .* must be declared with the paths it sets"),
        (objects, ValueError, r"depth must have strings, .* got \(1,\); make it a `choice.<name>`"),
        (uneven, ValueError, "rate must have high a whole number of steps .* try high=0.9"),
        (leaves, ValueError, "gives no valid configuration: SystemExit: 0 "),
        (leaves_at_once, ValueError, r"SystemExit: it called os\._exit\(0\) .*py:\d+"),
        (unnamed, LookupError, "'' of sweep .* is no path of its configuration"),
        (a_dict, ValueError, "must return a configuration of an experiment .*, got a dict"),
    ],
)
def test_what_is_wrong_is_named(function: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        check_space(Space(swept(function)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("choices", "error", "text"),
    [
        ({"choice.size": ("pach",)}, LookupError, "sets 'pach', .* did you mean 'patch'"),
        (
            {"choice.sise": ("patch",)},
            LookupError,
            "must be declared .* did you mean 'choice.sise'",
        ),
        ({"size": ("patch",)}, ValueError, "must map 'choice.<name>' to the paths it sets"),
        ({"choice.size": ()}, ValueError, "must map 'choice.<name>' to the paths it sets"),
    ],
)
def test_choices_are_declared_with_real_paths(choices: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        check_space(Space(swept(undeclared, choices=choices)))


@pytest.mark.parametrize(
    ("fixed", "error", "text"),
    [
        (
            {"optimizer.rl": 1},
            LookupError,
            "'optimizer.rl' is no path .*did you mean 'optimizer.lr'",
        ),
        ({"optimizer.lr": "fast"}, ValueError, "optimizer.lr must be a number, got 'fast'"),
        ({"optimizer.lr": True}, ValueError, "optimizer.lr must be a number, got True"),
        ({"depth": 2.5}, ValueError, "depth must be an integer, got 2.5"),
        ({"optimizer.kind": 3}, ValueError, "optimizer.kind must be one of 'adam', 'sgd', got 3"),
        ({"optimizer.decay": 0.1, "optimizer.kind": "sgd"}, ValueError, "has no effect"),
        ({"optimizer.kind": "lars"}, ValueError, r"can set, 'adam' \| 'sgd', got 'lars'"),
        ({"heads": 7}, ValueError, r"heads must divide width \(64\), got 7"),
    ],
)
def test_given_values_are_checked(fixed: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        check_space(Space(CONDITIONAL, fixed))


def test_a_label_that_is_given_must_exist() -> None:
    check_space(Space(TIED, {"choice.size": "large"}))
    with pytest.raises(ValueError, match="choice.size must be one of 'large', .*, got 'huge'"):
        check_space(Space(TIED, {"choice.size": "huge"}))


def test_a_parameter_that_matters_somewhere_is_not_void() -> None:
    def sweep(trial: Any) -> Toy:
        heads = trial.suggest_categorical("heads", [0, 4])
        return Toy(heads=heads, slots=trial.suggest_int("slots", 1, 3))

    check_space(Space(swept(sweep)))


@pytest.mark.parametrize(
    ("stated", "text"),
    [
        ({"metrics": []}, "must name at least one metric"),
        ({"metrics": [SCORE, SCORE]}, "must differ, got valid/score, valid/score"),
        ({"trials": 0}, "trials of sweep toys.grid must be at least 1, got 0"),
        ({"repeats": 0}, "repeats of sweep toys.grid must be at least 1, got 0"),
        ({"fidelity": "steps"}, "must be 'epochs', 'samples' or 'evaluations', got 'steps'"),
    ],
)
def test_what_a_sweep_states_is_checked_where_it_is_stated(stated: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        swept(grid, **stated)


def test_metrics_and_resources_are_checked_where_they_are_stated() -> None:
    assert [Metric("a", "maximize", how).reduce for how in ("last", "best", "mean(3)")]
    for wrong in ("mean(0)", "mean", "median", "mean(3) "):
        with pytest.raises(ValueError, match="must be 'last', 'best' or 'mean"):
            Metric("a", "maximize", wrong)
    direction: Any = "up"
    with pytest.raises(ValueError, match="must be 'maximize' or 'minimize', got 'up'"):
        Metric("a", direction)
    with pytest.raises(ValueError, match=r"resources.gpus must be at least 0, got -1"):
        Resources(gpus=-1)
    with pytest.raises(ValueError, match=r"resources.patience must be above 0 seconds, got 0"):
        Resources(patience=0)


def test_a_sweep_has_a_name_a_reference_and_a_budget() -> None:
    assert (GRID.name, GRID.reference, GRID.trials) == (
        "toys.grid",
        "tests.raysearch.toys:grid",
        None,
    )
    assert (CONDITIONAL.trials, swept(grid).trials, swept(grid, trials=5).trials) == (32, 32, 5)
    assert swept(grid, name="toys.B.1", metrics=[LOSS]).name == "toys.B.1"


def test_brackets_are_no_part_of_a_path() -> None:
    assert bare("optimizer[sgd].lr") == "optimizer.lr"
    assert bare("a[x].b[y]") == "a.b"
    assert bare("depth") == "depth"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Float(1.0, 0.0), "low at most high"),
        (lambda: Float(0.0, 1.0, log=True), "low above 0 on a log scale, got 0"),
        (lambda: Float(0.1, 1.0, log=True, step=0.1), "either log or a step"),
        (lambda: Float(0.0, 1.0, step=0.0), "a step above 0, got 0.0"),
        (lambda: Float(0.0, float("inf")), "finite numbers"),
        (lambda: Int(1, 4, step=2), "try high=3"),
        (lambda: Int(1, 2.5), "an integer as high, got 2.5"),  # pyright: ignore
        (lambda: Int(1, 8, log=True, step=2), "whole number of steps|either log or a step"),
        (lambda: Choice(()), "at least one choice"),
        (lambda: Choice((1, 1.0)), "choices that differ, got 1 and 1.0, which are equal"),
        (lambda: Choice(("a", "a")), "choices that differ, got 'a' twice"),
    ],
)
def test_ranges_that_cannot_be_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_ranges_know_their_edges() -> None:
    assert Float(0.1, 0.3).contains(0.3) and not Float(0.1, 0.3).contains(0.30001)
    assert Float(0.0, 1.0, step=0.25).contains(0.75) and not Float(0.0, 1.0, step=0.25).contains(
        0.7
    )
    assert Float(0.0, 0.3, step=0.1).contains(0.1 + 0.2), "which is above 0.3"
    assert not Float(0.1, 0.3).contains(0.1 + 0.2) and not Float(0.1, 0.3).contains(10**400)
    assert Int(1, 5, step=2).contains(5) and not Int(1, 5, step=2).contains(4)
    assert not Int(0, 1).contains(True) and not Choice((0, 2)).contains(False)


def test_an_asked_name_is_recorded_once_and_a_given_one_not_at_all() -> None:
    asking = AskedTrial(from_params({"depth": 2}), {"optimizer.lr": 1})
    assert asking.suggest_float("optimizer[sgd].lr", 0.0, 0.1) == 1.0
    assert asking.suggest_int("depth", 1, 4) == asking.suggest_int("depth", 1, 4) == 2
    assert asking.params == {"depth": 2}
    assert asking.answered == {"optimizer[sgd].lr": (1.0, Float(0.0, 0.1))}


class Kept(RunConfig):
    experiment = "tests:none"
    name = "tests.kept"
    x: float = 0.0
    where: str | Path = "a"


class Lacking(RunConfig):
    experiment = "tests:none"
    name = "tests.lacking"
    x: float


def lacking(trial: Any) -> Lacking:
    return Lacking(x=trial.suggest_float("x", 0, 1))


def test_a_field_without_a_default_is_named() -> None:
    with pytest.raises(BadSetting, match="each field of Lacking, .* a default .*: x: Field requir"):
        Space(swept(lacking)).default()


class Hiding(Toy):
    @property
    def seed(self) -> int:
        return 42


def kept(trial: Any) -> Kept:
    return Kept(x=trial.suggest_float("x", 0, 1), where=Path("a"))


def hiding(trial: Any) -> Hiding:
    return Hiding(depth=trial.suggest_int("depth", 1, 2))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (kept, r"where of Kept of sweep .* must have a type and value that JSON keeps: Posix"),
        (hiding, "Hiding of sweep .* must have its seed where with_seed puts it"),
    ],
)
def test_a_configuration_that_could_not_be_repeated_is_refused(function: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_space(Space(swept(function)))


def test_a_given_value_may_be_written_otherwise() -> None:
    space = Space(swept(lambda trial: Kept(x=trial.suggest_float("x", 0, 1))), {"seed": 3})
    check_space(space)
    assert space.default() is not None
