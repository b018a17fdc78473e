"""Named groups of parameters: each has its rate and its decay at a step, and its own log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainables import runs
from trainables.core import checkpoint, loop
from trainables.core.checkpoint import Position
from trainables.core.groups import GroupSettings, set_groups
from trainables.core.optimizers import SAM, adamw, lars, parameter_groups
from trainables.core.session import LocalSession
from trainables.core.training import Training
from trainables.ssl.config import Model, Supervised
from trainables.ssl.experiment import SupervisedExperiment

SMALL = Supervised(
    model=Model(patch_size=4, width=4, layers=1, mlp_ratio=1.0, dropout=0.1),
    training=Training(steps=4, batch_size=16, log_every=4, save_every=4, evaluate_every=4),
)
BEFORE = Path(__file__).parent / "written_before"


class Grouped(SupervisedExperiment):
    """The head at a rate of its own; decay falls by the step, from 0.4 to 0.1."""

    made: torch.optim.Optimizer
    decays: list[list[float]]

    def parameter_groups(self) -> list[dict[str, Any]]:
        named = dict(self.named_parameters())
        head = {name: one for name, one in named.items() if ".head." in name}
        rest = {name: one for name, one in named.items() if name not in head}
        return [*parameter_groups(rest.items(), 0.4), *parameter_groups(head.items(), 0.4, "head")]

    def group_settings(self, step: int, total: int) -> Mapping[str, GroupSettings]:
        rate, decay = self.learning_rate(step, total), 0.1 * (total + 1 - step)
        return {"main": GroupSettings(rate, decay), "head": GroupSettings(0.1 * rate)}

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        self.made, self.decays = super().optimizer(groups), []
        return self.made

    def after_update(self, step: int) -> None:
        self.decays.append([group["weight_decay"] for group in self.made.param_groups])


def run(config: Supervised, folder: Path, restored: Path | None = None) -> tuple[Grouped, Any]:
    """A run of `Grouped`, and what its session heard."""
    experiment, session = Grouped.create(config.to_json()), LocalSession(folder, restored)
    loop.train(experiment, session)
    return experiment, session


@pytest.mark.parametrize("kind", ["adamw", "lars", "sam"])
def test_each_group_has_its_rate_and_decay_at_each_step(tmp_path: Path, kind: str) -> None:
    config = SMALL.with_values({"optimizer.kind": kind, "schedule.kind": "constant"})
    experiment, session = run(config, tmp_path)
    peak = config.optimizer.lr
    rates = {group["name"]: group["lr"] for group in experiment.made.param_groups}
    assert rates == {"main": peak, "head": pytest.approx(0.1 * peak)}
    decays = {tuple(steps) for steps in zip(*experiment.decays, strict=True)}
    falling = next(steps for steps in decays if len(set(steps)) > 1)
    assert falling == pytest.approx((0.4, 0.3, 0.2, 0.1))
    assert decays - {falling} == {(0.4,) * 4, (0.0,) * 4}  # the head's, and what has none
    logged = {name: one for name, one in session.reports[4].items() if "_rate" in name}
    assert logged == {
        "train/learning_rate": peak,
        "train/learning_rate/head": pytest.approx(0.1 * peak),
    }
    assert session.reports[4]["train/weight_decay"] == pytest.approx(0.1)
    assert "train/weight_decay/head" not in session.reports[4]


@pytest.mark.parametrize("kind", ["adamw", "lars", "sam"])
def test_a_resumed_run_with_groups_equals_an_uninterrupted_one(tmp_path: Path, kind: str) -> None:
    config = SMALL.with_values({"optimizer.kind": kind, "training.save_every": 2})
    whole = run(config, tmp_path / "whole")[1]
    rest = run(config, tmp_path / "rest", whole.checkpoints[2])[1]
    assert (
        rest.reports[4].items()
        >= {
            name: value for name, value in whole.reports[4].items() if not name.startswith("train/")
        }.items()
    )
    prints = [checkpoint.fingerprint(one.checkpoints[4]) for one in (whole, rest)]
    assert prints[0] == prints[1]


def test_the_only_group_is_logged_without_its_name_whatever_that_is() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(2))], "name": "head"}]
    found = set_groups(adamw(groups, 1.0, 0.9, 0.999), {"head": GroupSettings(0.5, 0.25)})
    assert found == {"train/learning_rate": 0.5, "train/weight_decay": 0.25}


def test_a_group_without_settings_is_refused_with_a_sentence() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(2))], "name": "hed"}]
    settings = {"main": GroupSettings(0.5), "head": GroupSettings(0.1)}
    with pytest.raises(LookupError) as error:
        set_groups(adamw(groups, 1.0, 0.9, 0.999), settings)
    assert str(error.value) == (
        "group_settings must have each group of parameters, and 'hed' is not among main, head"
    )


def test_a_scale_that_would_do_nothing_is_refused() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(2))], "name": "head", "scale": 0.1}]
    with pytest.raises(ValueError, match="must not have `scale`, as 'head' has: give it a name"):
        set_groups(adamw(groups, 1.0, 0.9, 0.999), {"head": GroupSettings(1.0)})


def test_a_tensor_without_decay_keeps_none_and_one_that_was_given_none_gets_it() -> None:
    named = {"weight": nn.Parameter(torch.ones(2, 2)), "bias": nn.Parameter(torch.ones(2))}
    optimizer = SAM(lars(parameter_groups(named.items(), 0.0), 1.0, 0.9, 0.001), 0.05)
    set_groups(optimizer, {"main": GroupSettings(1.0, 0.3)})
    decays = {
        one.ndim: group["weight_decay"]
        for group in optimizer.param_groups
        for one in group["params"]
    }
    assert decays == {2: 0.3, 1: 0.0}


def test_names_are_in_no_checkpoint_and_stay_when_one_is_read(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    optimizer = adamw(parameter_groups(model.named_parameters(), 0.1, "head"), 1.0, 0.9, 0.999)
    path = checkpoint.save(tmp_path / "a.pt", Position(), model, optimizer)
    saved = checkpoint.read(path).optimizer["param_groups"]
    assert not any({"name", "decays"} & group.keys() for group in saved)
    checkpoint.load(path, model, optimizer)
    assert [group["name"] for group in optimizer.param_groups] == ["head", "head"]


@pytest.mark.parametrize(
    ("kind", "loss"), [("adamw", 2.301699638366699), ("lars", 2.2793467044830322)]
)
def test_a_checkpoint_from_before_groups_had_names_goes_on(
    tmp_path: Path, kind: str, loss: float
) -> None:
    """Told to stop after step 2 of 4, with training metrics that were not reported yet."""
    config = SMALL.with_values({"optimizer.kind": kind})
    rest = runs.run(config, tmp_path / "rest", BEFORE / f"{kind}.pt")
    whole = runs.run(config, tmp_path / "whole")
    assert rest.reports[4] == pytest.approx(whole.reports[4], rel=1e-4)
    assert rest.reports[4]["train/loss"] == pytest.approx(loss, rel=1e-4)
    states = [checkpoint.read(one.checkpoints[4]) for one in (rest, whole)]
    assert states[0].position == states[1].position
    for name, value in states[0].model.items():
        torch.testing.assert_close(value, states[1].model[name], rtol=1e-3, atol=1e-5)
