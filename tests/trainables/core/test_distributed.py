"""Several workers equal one with the same global batch, and go on after a kill bit for bit."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables import groups
from tests.trainables.group_configs import TWENTY_STEPS
from tests.trainables.groups import together
from tests.trainables.runs import EVERYTHING
from trainables.core import checkpoint, distributed
from trainables.core.randomness import seed_dropout
from trainables.core.training import ExperimentConfig
from trainables.data.augment import with_partners

pytestmark = pytest.mark.slow
ALONE = 1


def trained(
    size: int,
    folder: Path,
    kind: str = "precise",
    config: ExperimentConfig = TWENTY_STEPS,
    restored: Path | None = None,
    stop_at: int = 0,
    **changes: Any,
) -> list[dict[str, Any]]:
    """What each rank of a group found, or one worker alone, without a group."""
    values = {name.replace("__", "."): value for name, value in changes.items()}
    data = config.with_values(values).to_json()
    if size == ALONE:
        return [groups.run(kind, data, restored, stop_at, folder)]
    return together(size, folder, partial(groups.run, kind, data, restored, stop_at))


def equal_to(one: dict[str, Any], other: dict[str, Any], tolerance: float = 1e-10) -> None:
    """All reports and all parameters and buffers."""
    assert one["reports"].keys() == other["reports"].keys()
    for step, report in one["reports"].items():
        assert report == pytest.approx(other["reports"][step], rel=tolerance, abs=tolerance)
    for name, value in one["state"].items():
        torch.testing.assert_close(value, other["state"][name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("kind", ["precise", "comparing", "normalizing"])
def test_twenty_steps_of_two_workers_equal_those_of_one(
    tmp_path: Path, kind: str, parts: int
) -> None:
    changes: dict[str, Any] = {"kind": kind, "training__num_micro_batches": parts}
    one = trained(ALONE, tmp_path / "one", **changes)[0]
    two = trained(2, tmp_path / "two", **changes)
    assert len(one["reports"]) == 20 and one["reports"][20]["train/loss"] > 0
    equal_to(two[0], one)
    assert all(torch.equal(value, two[1]["state"][name]) for name, value in two[0]["state"].items())


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer.kind": "sgd", "optimizer.lr": 0.1, "optimizer.momentum": 0.9},
        {"optimizer.kind": "sam", "optimizer.base": "adamw"},
        {"training.clip_norm": 0.01},
        {"augmentation.mixup": 0.0, "augmentation.cutmix": 0.0, "training.batch_size": 6},
    ],
    ids=["sgd", "sam", "clipped", "unmixed"],
)
def test_three_workers_equal_one_as_well(tmp_path: Path, changes: dict[str, Any]) -> None:
    one = trained(ALONE, tmp_path / "one", **changes)[0]
    equal_to(trained(3, tmp_path / "three", **changes)[0], one)


def test_rank_0_alone_speaks_and_saves_what_one_worker_would_save(tmp_path: Path) -> None:
    one = trained(ALONE, tmp_path / "one")[0]
    first, second = trained(2, tmp_path / "two")
    assert not (second["reports"] or second["checkpoints"] or second["facts"])
    assert not (tmp_path / "two" / "rank-1").exists()
    assert first["facts"]["workers"] == 2 and "workers" not in one["facts"]
    saved, alone = (checkpoint.read(run["checkpoints"][20]) for run in (first, one))
    assert saved.position == alone.position  # the same examples in the same order
    assert saved.config == alone.config and saved.model.keys() == alone.model.keys()


@pytest.mark.parametrize("size", [2, 3])
def test_a_group_goes_on_from_any_checkpoint_bit_for_bit(tmp_path: Path, size: int) -> None:
    config = EVERYTHING.with_values({"training.batch_size": 12, "training.save_every": 3})
    whole = trained(size, tmp_path / "whole", "single", config)[0]
    rest = trained(size, tmp_path / "rest", "single", config, whole["checkpoints"][3])[0]
    assert list(rest["reports"]) == [4, 5, 6, 7]
    assert all(rest["reports"][step] == whole["reports"][step] for step in rest["reports"])
    ends = [checkpoint.fingerprint(run["checkpoints"][7]) for run in (rest, whole)]
    assert ends[0] == ends[1]


def test_a_checkpoint_of_one_worker_goes_on_with_two_and_back(tmp_path: Path) -> None:
    one = trained(ALONE, tmp_path / "one")[0]
    two = trained(2, tmp_path / "two", restored=one["checkpoints"][10])[0]
    back = trained(ALONE, tmp_path / "back", restored=two["checkpoints"][15])[0]
    assert list(back["reports"]) == [16, 17, 18, 19, 20]
    for step in back["reports"]:
        assert back["reports"][step] == pytest.approx(one["reports"][step], rel=1e-10)


def test_told_to_stop_all_ranks_leave_after_the_same_step(tmp_path: Path) -> None:
    seldom: dict[str, Any] = {f"training__{name}_every": 10 for name in ("log", "save")}
    whole = trained(2, tmp_path / "whole", **seldom)[0]
    told = trained(2, tmp_path / "told", stop_at=7, **seldom)[0]
    assert list(told["checkpoints"]) == [7]
    rest = trained(2, tmp_path / "rest", restored=told["checkpoints"][7], **seldom)[0]
    assert told["reports"] | rest["reports"] == whole["reports"]


def test_a_batch_that_cannot_be_shared_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distributed, "size", lambda: 3)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    assert distributed.places(12, 2).tolist() == [2, 3, 8, 9]
    with pytest.raises(ValueError) as error:
        distributed.places(16, 2)
    assert str(error.value) == (
        "training.batch_size must be a multiple of training.num_micro_batches (2) times the number "
        "of workers (3), got 16"
    )


@pytest.mark.parametrize("mixup", [0.0, 0.5])
@pytest.mark.parametrize("places", [[0, 1, 2], [3, 4, 5, 9, 10, 11], [7], list(range(16))])
def test_a_share_is_what_the_whole_batch_has_at_its_places(places: list[int], mixup: float) -> None:
    config = EVERYTHING.with_values({"augmentation.mixup": mixup, "augmentation.cutmix": mixup})
    experiment = groups.SupervisedExperiment.create(config.to_json())
    experiment.load()
    whole, share = experiment.batch(3), experiment.share(3, torch.tensor(places))
    assert all(torch.equal(whole[name][places], share[name]) for name in whole)


def test_a_rank_loads_its_share_and_one_partner_for_each_run_of_it() -> None:
    taken, own = with_partners(torch.tensor([0, 1, 2, 8, 9]), 16, mixes=True)
    assert taken.tolist() == [15, 0, 1, 2, 7, 8, 9] and own is not None
    assert taken[own].tolist() == [0, 1, 2, 8, 9]
    assert with_partners(torch.tensor([3, 4]), 16, mixes=False)[0].tolist() == [3, 4]
    assert with_partners(torch.arange(16), 16, mixes=True)[1] is None


def test_dropout_differs_between_ranks_and_rank_0_draws_as_one_worker_does() -> None:
    def mask(*rank: int) -> torch.Tensor:
        seed_dropout(torch.device("cpu"), 0, 1, 0, *rank)
        return torch.nn.functional.dropout(torch.ones(100))

    assert torch.equal(mask(), mask(0)) and not torch.equal(mask(0), mask(1))


def test_alone_everything_is_as_it_was() -> None:
    values, module = torch.ones(3, requires_grad=True), torch.nn.BatchNorm1d(3)
    assert (distributed.size(), distributed.rank()) == (1, 0)
    assert distributed.gather(values) is values and distributed.whole(values, 2) is values
    assert distributed.wrap(module) is module and distributed.first(True) is True
