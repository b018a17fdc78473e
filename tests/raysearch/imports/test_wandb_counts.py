"""Sweeps as people publish them: what W&B's own engine would run is what ours have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import bare
from tests.raysearch.imports.tools import SWEEPS, engine, imported, stated, wandb_runs

pytestmark = pytest.mark.slow  # the checks of a sweep import Optuna
NAMES = {
    "num_layers": "model.layers",
    "width": "model.width",
    "batch_size": "training.batch_size",
    "lr": "optimizer.lr",
    "dropout": "model.dropout",
    "epochs": "training.epochs",
    "workers": "",
    "data_artifact": "",
}
MAPPED: dict[str, dict[str, str]] = {"constants": NAMES}
GRIDS = {"doubled": 18, "constants": 36, "nested": 72, "many": 180}
SAMPLED = ["overrides", "hyperband", "capped"]


def space_of(folder: Path, name: str) -> Space:
    return Space(imported(folder, file=SWEEPS / f"{name}.yaml", mapped=MAPPED.get(name)))


def renamed(name: str, run: dict[str, Any]) -> dict[str, Any]:
    """A run of W&B by our paths, numbers as numbers."""
    names = MAPPED.get(name, {})
    paths = {each: names.get(each, each) for each in run}
    return {paths[each]: number(value) for each, value in run.items() if paths[each]}


def number(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        return round(float(value), 12)
    except ValueError:
        return value


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_has_the_points_that_wandb_enumerates(name: str, tmp_path: Path) -> None:
    theirs = [renamed(name, run) for run in wandb_runs(stated(name), 1000)]
    space = space_of(tmp_path, name)
    ours = [
        {path: number(point.config.value_at(path)) for path in theirs[0]}
        for point in space.points()
    ]
    assert len(ours) == len(theirs) == GRIDS[name] == space.sweep.stated
    assert sorted(map(repr, map(sorted, map(dict.items, ours)))) == sorted(
        map(repr, map(sorted, map(dict.items, theirs)))
    )


@pytest.mark.parametrize("name", SAMPLED)
def test_what_wandb_draws_lies_in_the_space(name: str, tmp_path: Path) -> None:
    space = space_of(tmp_path, name)
    for run in wandb_runs({**stated(name), "method": "random"}, 200):
        drawn = renamed(name, run)

        def answer(full: str, distribution: Any, drawn: dict[str, Any] = drawn) -> object:
            value = drawn[bare(full)]
            if isinstance(value, float) and value.is_integer() and not distribution.contains(value):
                value = int(value)
            assert distribution.contains(value), f"{full}={value} is not in {distribution}"
            return value

        config = space.run(answer).config
        assert {path: number(config.value_at(path)) for path in drawn} == drawn


def test_a_parameter_of_one_variant_is_asked_for_there_only(tmp_path: Path) -> None:
    theirs, space = wandb_runs(stated("variants"), 1000), space_of(tmp_path, "variants")
    count = space.count()
    assert len(theirs) == 12 and count.stated == 12
    assert count.points == 9  # with adamw W&B runs each rate twice, for a momentum that it ignores
    where = space.conditions()["optimizer.momentum"]
    assert where == [{"optimizer.kind": "sgd"}]


@pytest.mark.parametrize(
    ("stated", "pruner"),
    [
        ({"min_iter": 5}, "successive-halving:min=5,factor=3"),
        ({"min_iter": 2, "eta": 4}, "successive-halving:min=2,factor=4"),
        ({"max_iter": 27, "s": 2}, "successive-halving:min=3,factor=3"),
        ({"max_iter": 32, "s": 3, "eta": 2}, "successive-halving:min=4,factor=2"),
    ],
)
def test_early_termination_has_the_rungs_of_wandb(
    stated: dict[str, int], pruner: str, tmp_path: Path
) -> None:
    config: dict[str, Any] = {
        "method": "random",
        "metric": {"name": "val/loss"},
        "parameters": {"model.layers": {"min": 1, "max": 3}},
        "early_terminate": {"type": "hyperband", **stated},
    }
    run = engine.SweepRun(state=engine.RunState.running, sampledHistory=[{"val/loss": 1.0}])
    engine.stop_runs(config, [run])
    assert run.early_terminate_info is not None
    (tmp_path / "early.yaml").write_text(yaml.safe_dump(config))
    sweep = imported(tmp_path, file=tmp_path / "early.yaml")
    first, factor = (int(part.partition("=")[2]) for part in pruner.split(":")[1].split(","))
    bands = run.early_terminate_info["bands"][:4]
    assert sweep.pruner == pruner
    assert bands == [first * factor**rung for rung in range(len(bands))]


def test_all_that_a_sweep_states_is_there(tmp_path: Path) -> None:
    sweep = imported(tmp_path, file=SWEEPS / "hyperband.yaml", metric=None)
    assert (sweep.sampler, sweep.pruner) == ("tpe", "successive-halving:min=5,factor=3")
    assert [(m.name, m.direction, m.reduce) for m in sweep.metrics] == [
        ("val/accuracy", "maximize", "best")
    ]
    capped = imported(tmp_path, file=SWEEPS / "capped.yaml", out=tmp_path / "capped_here.py")
    assert (capped.sampler, capped.trials) == ("random", 50)
    assert capped.question == "What matters in fine tuning?"
