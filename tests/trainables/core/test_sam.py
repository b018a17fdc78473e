"""SAM in the loop: its second pass is the first again, somewhere else."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.trainables import groups, runs
from tests.trainables.group_configs import TWENTY_STEPS
from tests.trainables.runs import EVERYTHING
from trainables.core import checkpoint, loop
from trainables.core.choosing import Pass
from trainables.core.experiment import Batch, Loss
from trainables.core.optimizers import SAM
from trainables.core.session import LocalSession
from trainables.ssl.config import Supervised
from trainables.ssl.experiment import SupervisedExperiment

CPU = torch.device("cpu")
BASES = {
    "adamw": {},
    "sgd": {"optimizer.kind": "sgd", "optimizer.lr": 0.01, "optimizer.weight_decay": 0.01},
    "adamw in bfloat16": {"training.precision": "bfloat16"},
}


def around(values: dict[str, Any], rho: float) -> Supervised:
    """`EVERYTHING` with SAM around an optimiser with these values."""
    base = {"optimizer.base": values.get("optimizer.kind", "adamw"), "optimizer.rho": rho}
    return EVERYTHING.with_values({**values, "optimizer.kind": "sam", **base})


@pytest.mark.parametrize("values", BASES.values(), ids=BASES)
def test_with_radius_zero_it_is_its_base_bit_for_bit(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    """With dropout, drop path, mixing and two micro-batches: they are the same in both passes."""
    base = runs.run(EVERYTHING.with_values(values), tmp_path / "base")
    sam = runs.run(around(values, 0.0), tmp_path / "sam")
    assert {said.pop("train/sharpness") for said in sam.reports.values()} == {0.0}
    assert sam.reports == base.reports
    prints = [checkpoint.fingerprint(one.checkpoints[7]) for one in (sam, base)]
    assert prints[0] == prints[1]


def test_uphill_the_loss_is_larger(tmp_path: Path) -> None:
    reports = runs.run(around({}, 0.05), tmp_path).reports.values()
    assert all(said["train/sharpness"] > 0 for said in reports)


def stepped(**values: Any) -> list[Tensor]:
    """The change of all parameters by one step of SAM around SGD, in double precision."""
    settings = {
        "optimizer.kind": "sam",
        "optimizer.base": "sgd",
        "optimizer.lr": 1.0,
        "optimizer.weight_decay": 0.0,
        "model.layers": 1,
        **{name.replace("__", "."): value for name, value in values.items()},
    }
    experiment = SupervisedExperiment.create(Supervised().with_values(settings).to_json()).double()
    experiment.load()
    batch = experiment.batch(1)
    batch["images"] = batch["images"].double()
    torch.manual_seed(0)
    nn.init.normal_(experiment.network.get_parameter("head.weight"))
    optimizer = experiment.optimizer(experiment.parameter_groups())
    assert isinstance(optimizer, SAM)
    parameters = list(experiment.parameters())
    before = [one.detach().clone() for one in parameters]
    pass_ = Pass(experiment, experiment, batch, 1, CPU)
    loop._gradient(pass_, parameters)
    loop._step_sam(optimizer, pass_, parameters, None)
    return [one.detach() - was for one, was in zip(parameters, before, strict=True)]


def test_accumulated_it_is_that_of_the_whole_batch() -> None:
    whole, parts = stepped(), stepped(training__num_micro_batches=4)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_the_step_is_bounded_and_where_it_climbs_does_not_change() -> None:
    free, bounded = stepped(training__clip_norm=0.0), stepped(training__clip_norm=0.01)
    norms = [float(nn.utils.get_total_norm(one)) for one in (free, bounded)]
    assert norms[0] > 0.1 and norms[1] == pytest.approx(0.01, rel=1e-3)
    for one, other in zip(free, bounded, strict=True):
        torch.testing.assert_close(one / norms[0], other / norms[1], rtol=1e-4, atol=1e-7)


def test_running_statistics_see_the_first_pass_only(tmp_path: Path) -> None:
    values = {"model.kind": "timm", "model.name": "test_resnet", "optimizer.kind": "sam"}
    config = Supervised().with_values({**values, "training.steps": 3})
    session = runs.run(config, tmp_path)
    model = checkpoint.read(session.checkpoints[3]).model
    counts = [value for name, value in model.items() if name.endswith("num_batches_tracked")]
    assert counts and {int(count) for count in counts} == {3}


class Steep(SupervisedExperiment):
    """Its loss is infinite in the second pass of the second step."""

    calls = 0

    def forward(self, batch: Batch, step: int) -> Loss:
        loss = super().forward(batch, step)
        self.calls += 1
        return loss if self.calls < 4 else Loss(loss.total * float("inf"), loss.terms)


def test_a_run_that_diverges_uphill_ends_before_its_update(tmp_path: Path) -> None:
    values = {"optimizer.kind": "sam", "training.steps": 3, "training.log_every": 1}
    session = LocalSession(tmp_path)
    with pytest.raises(FloatingPointError, match="step 2 must be finite"):
        Steep.run(Supervised().with_values(values).to_json(), session)
    assert list(session.reports) == [1]


@pytest.mark.slow
def test_two_workers_equal_one(tmp_path: Path) -> None:
    """With a buffer that counts passes and one that follows a mean, and with two micro-batches."""
    values = {"optimizer.kind": "sam", "optimizer.rho": 0.5, "training.num_micro_batches": 2}
    data = TWENTY_STEPS.with_values(values).to_json()
    one = groups.run("comparing", data, None, 0, tmp_path / "one")
    work = partial(groups.run, "comparing", data, None, 0)
    two = groups.together(2, tmp_path / "two", work)[0]
    assert one["state"]["passes"] == 40 and len(one["reports"]) == 20
    for name, value in one["state"].items():
        torch.testing.assert_close(two["state"][name], value, rtol=1e-10, atol=1e-10)
    for step, said in one["reports"].items():
        assert two["reports"][step] == pytest.approx(said, rel=1e-10, abs=1e-10)
