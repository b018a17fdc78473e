"""Means of terms: what is not a number is left out, and all else is as it was, bit for bit."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.trainables import groups, runs
from tests.trainables.runs import Asked
from trainables.core import checkpoint, distributed
from trainables.core.averages import Averages, PartMeans
from trainables.core.checkpoint import Position, Unreported
from trainables.core.experiment import Batch, Loss
from trainables.core.session import LocalSession
from trainables.core.training import Training
from trainables.ssl.config import Model, Supervised
from trainables.ssl.experiment import SupervisedExperiment

NAN = float("nan")
SMALL = Supervised(
    model=Model(patch_size=4, width=8, layers=1, mlp_ratio=1.0),
    training=Training(steps=5, batch_size=16, num_micro_batches=2, log_every=5),
)


def terms(value: float) -> dict[str, Tensor]:
    """One term."""
    return {"a": torch.tensor(value)}


@pytest.mark.parametrize(
    ("values", "mean"),
    [([1.0, NAN, 3.0], 2.0), ([NAN, 5.0], 5.0), ([7.0], 7.0), ([NAN, NAN], NAN), ([0.0, NAN], 0)],
)
def test_a_mean_leaves_out_what_is_not_a_number(values: list[float], mean: float) -> None:
    averages, parts = Averages(), PartMeans(len(values))
    for value in values:
        averages.add(terms(value))
        parts.add(terms(value))
    assert averages.take()["train/a"] == pytest.approx(mean, nan_ok=True)
    assert float(parts.take()["a"]) == pytest.approx(mean, nan_ok=True)


def test_without_any_it_is_the_sum_over_the_count_bit_for_bit() -> None:
    drawn = torch.rand(7, generator=torch.Generator().manual_seed(0)) - 0.5
    averages, parts = Averages(), PartMeans(7)
    total, share = drawn[0], drawn[0] / 7
    for place, value in enumerate(drawn):
        averages.add({"a": value})
        parts.add({"a": value})
        total, share = (total + value, share + value / 7) if place else (total, share)
    assert averages.take()["train/a"] == float(total) / 7
    assert torch.equal(parts.take()["a"], share)


def test_infinity_is_a_number_and_spoils_the_mean() -> None:
    averages = Averages()
    for value in (1.0, math.inf):
        averages.add(terms(value))
    assert averages.take()["train/a"] == math.inf


class Sometimes(SupervisedExperiment):
    """A term that only some micro-batches have: in steps 2 and 4 the second, in step 3 none."""

    calls = 0

    def forward(self, batch: Batch, step: int) -> Loss:
        loss = super().forward(batch, step)
        part, self.calls = self.calls % 2, self.calls + 1
        lacks = step == 3 or (step in (2, 4) and part == 0)
        return Loss(loss.total, {**loss.terms, "kept": torch.tensor(NAN if lacks else step + part)})


def test_a_term_that_some_micro_batches_and_steps_lack(tmp_path: Path) -> None:
    session = LocalSession(tmp_path)
    Sometimes.run(SMALL.to_json(), session)
    of_steps = [1.5, 3.0, 5.0, 5.5]  # means over the micro-batches that have it
    assert session.reports[5]["train/kept"] == pytest.approx(sum(of_steps) / 4)
    plain = runs.run(SMALL, tmp_path / "plain").reports[5]
    assert plain.items() <= session.reports[5].items()


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_run_that_was_told_to_stop_counts_on(tmp_path: Path, step: int) -> None:
    whole, told = LocalSession(tmp_path / "whole"), Asked(tmp_path / "told", step)
    Sometimes.run(SMALL.to_json(), whole)
    Sometimes.run(SMALL.to_json(), told)
    rest = LocalSession(tmp_path / "rest", told.checkpoints[step])
    Sometimes.run(SMALL.to_json(), rest)
    assert rest.reports == whole.reports


def test_what_was_lacking_is_saved_only_if_anything_was(tmp_path: Path) -> None:
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters())
    for value, saved in ((1.0, 2), (NAN, 3)):
        averages = Averages()
        averages.add(terms(value))
        path = checkpoint.save(tmp_path / "a.pt", averages.left(Position(1)), model, optimizer)
        assert len(torch.load(path, weights_only=True)["unreported"]) == saved
        unreported = checkpoint.read(path).position.unreported
        assert unreported == Unreported(
            {"a": torch.tensor(0.0 if math.isnan(value) else value)},
            1,
            {"a": 1} if saved == 3 else {},
        )


class Lost(SupervisedExperiment):
    """The loss of the first of two micro-batches of step 2 is not a number; its gradient is one."""

    calls = 0

    def forward(self, batch: Batch, step: int) -> Loss:
        loss = super().forward(batch, step)
        self.calls += 1
        lost = loss.total.detach() * NAN if self.calls == 3 else 0.0
        return Loss(loss.total + lost, loss.terms)


def test_a_loss_that_is_not_a_number_ends_the_run_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="step 2 must be finite, got loss = nan, accuracy"):
        Lost.run(SMALL.to_json(), LocalSession(tmp_path))


def of_ranks(folder: Path) -> dict[str, float]:
    """Means over ranks of terms that rank 1, both, or none of them lack."""
    rank = distributed.rank()
    given = {"one": NAN if rank else 3.0, "all": NAN, "none": rank + 0.5, "loss": 1.0}
    return _mean(given) | {
        f"lost {name}": one for name, one in _mean(given | {"loss": given["one"]}).items()
    }


def _mean(given: dict[str, float]) -> dict[str, float]:
    found = {name: torch.tensor(value) for name, value in given.items()}
    return {name: float(one) for name, one in distributed.mean(found, whole=("loss",)).items()}


@pytest.mark.slow
def test_a_term_that_some_ranks_lack(tmp_path: Path) -> None:
    for found in groups.together(2, tmp_path, partial(of_ranks)):
        assert found == pytest.approx(
            {
                **{"one": 3.0, "all": NAN, "none": 1.0, "loss": 1.0},
                **{"lost one": 3.0, "lost all": NAN, "lost none": 1.0, "lost loss": NAN},
            },
            nan_ok=True,
        )
