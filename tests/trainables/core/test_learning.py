"""Evaluations that learn leave no trace in training, draw the same each time, and say they live."""

from __future__ import annotations

import multiprocessing
import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainables import groups
from tests.trainables.group_configs import TWENTY_STEPS
from tests.trainables.groups import PROBED, Probed, together
from tests.trainables.runs import EVERYTHING, last, run
from trainables.core import checkpoint, distributed, liveness, measuring
from trainables.core.experiment import Evaluated, Evaluation
from trainables.core.session import LocalSession
from trainables.core.untouched import untouched
from trainables.ssl.config import Supervised
from trainables.ssl.experiment import SupervisedExperiment


def probed(config: Supervised, folder: Path) -> LocalSession:
    session = LocalSession(folder)
    Probed.run(config.to_json(), session)
    return session


def without_probe(reports: dict[int, dict[str, float]]) -> dict[int, dict[str, float]]:
    return {
        step: {name: value for name, value in metrics.items() if not name.startswith(PROBED)}
        for step, metrics in reports.items()
    }


def states(experiment: nn.Module) -> list[Any]:
    """All that an evaluation must leave as it was."""
    return [
        random.getstate(),
        np.random.get_state()[1].tolist(),  # pyright: ignore
        torch.get_rng_state().tolist(),
        [module.training for module in experiment.modules()],
        [(name, one.tolist()) for name, one in experiment.named_buffers()],
        [(name, id(one)) for name, one in experiment.named_buffers()],
        [(one.requires_grad, id(one.grad)) for one in experiment.parameters()],
        [one.tolist() for one in experiment.parameters()],
    ]


class Normalized(nn.Module):
    """A network with running statistics, dropout, a frozen part and a gradient that waits."""

    def __init__(self) -> None:
        super().__init__()
        self.config = Supervised()
        self.body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
        self.head = nn.Linear(6, 2).requires_grad_(False)
        self.body(torch.randn(8, 4)).sum().backward()

    def spoil(self) -> None:
        """Changes everything that may be changed."""
        self.train(not self.training)
        self.body[1].train()
        self.requires_grad_(True)
        self.head(self.body(torch.randn(8, 4))).square().sum().backward()
        self.body[0].requires_grad_(False)
        self.body[1].running_mean = torch.ones(6)  # pyright: ignore
        random.random()
        np.random.rand()


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("raises", [False, True])
def test_everything_is_as_it_was_however_it_ends(inference: bool, raises: bool) -> None:
    torch.manual_seed(0)
    experiment: Any = Normalized()
    gradients: list[Any] = [
        None if one.grad is None else one.grad.clone() for one in experiment.parameters()
    ]
    before = states(experiment)
    try:
        with torch.inference_mode(inference), measuring.learning(experiment, "probe"):
            experiment.spoil()
            assert states(experiment) != before
            if raises:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert states(experiment) == before
    for one, gradient in zip(experiment.parameters(), gradients, strict=True):
        assert one.grad is gradient is None or torch.equal(one.grad, gradient)


def test_features_of_inference_mode_can_be_learned_from_only_by_a_copy() -> None:
    experiment: Any = Normalized().eval()
    with torch.inference_mode():
        features, plain = experiment.body(torch.randn(8, 4)), torch.nn.Linear(6, 1)
        with measuring.learning(experiment, "probe"):
            probe = nn.Linear(6, 1)
            with pytest.raises(
                RuntimeError, match="Inference tensors cannot be saved for backward"
            ):
                probe(features)
            taken = measuring.differentiable(features)
            probe(taken).sum().backward()
            assert torch.equal(taken, features) and probe.weight.grad is not None
            assert measuring.differentiable(taken) is taken
        assert torch.is_inference_mode_enabled() and plain.weight.is_inference()


def test_draws_depend_on_the_seed_of_the_run_and_on_the_purpose_alone() -> None:
    def drawn(purpose: str, seed: int = 0) -> list[float]:
        torch.manual_seed(len(seen))
        np.random.seed(len(seen))
        experiment: Any = Normalized()
        experiment.config = Supervised().with_seed(seed)
        with measuring.learning(experiment, purpose) as draw:
            numbers = [random.random(), np.random.rand(), *torch.rand(2).tolist()]
            return [*numbers, float(torch.rand((), generator=draw))]

    seen: list[list[float]] = []
    for purpose, seed in (("probe", 0), ("probe", 0), ("other", 0), ("probe", 1)):
        seen.append(drawn(purpose, seed))
    assert seen[0] == seen[1] and not {*seen[0]} & {*seen[2]} and not {*seen[0]} & {*seen[3]}


def test_a_changed_parameter_is_named() -> None:
    experiment: Any = Normalized()
    with (
        pytest.raises(RuntimeError, match=r"body.0.bias must not be changed by what only measures"),
        torch.inference_mode(),
        measuring.learning(experiment, "probe"),
        torch.no_grad(),
    ):
        experiment.body[0].bias.add_(1.0)


def test_a_run_with_an_evaluation_that_learns_is_the_run_without_it_bit_for_bit(
    tmp_path: Path,
) -> None:
    plain, with_probe = run(EVERYTHING, tmp_path / "plain"), probed(EVERYTHING, tmp_path / "probed")
    assert without_probe(with_probe.reports) == plain.reports
    ends = [checkpoint.fingerprint(last(one) or Path()) for one in (plain, with_probe)]
    assert ends[0] == ends[1]
    found = [report for report in with_probe.reports.values() if f"{PROBED}/loss" in report]
    assert len(found) == 3 and all(one[f"{PROBED}/gradient"] > 0 for one in found)


def test_a_resumed_run_finds_what_an_uninterrupted_one_found(tmp_path: Path) -> None:
    whole = probed(EVERYTHING, tmp_path / "whole")
    session = LocalSession(tmp_path / "rest", whole.checkpoints[4])
    Probed.run(EVERYTHING.to_json(), session)
    assert session.reports == {step: whole.reports[step] for step in (5, 6, 7)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["precise", "normalizing"])
def test_rank_0_may_learn_while_the_others_wait(tmp_path: Path, kind: str) -> None:
    data = TWENTY_STEPS.to_json()
    plain, with_probe = (
        together(2, tmp_path / name, partial(groups.run, f"{name}{kind}", data, None, 0))
        for name in ("", "probed ")
    )
    assert without_probe(with_probe[0]["reports"]) == plain[0]["reports"]
    for rank in (0, 1):
        for name, value in plain[rank]["state"].items():
            assert torch.equal(value, with_probe[rank]["state"][name]), (rank, name)


def test_files_of_any_kind_are_written_and_announced(tmp_path: Path) -> None:
    session = probed(EVERYTHING, tmp_path)
    path = session.artifacts[f"files/{PROBED}-weights.npz"]
    assert path == tmp_path / f"files/{PROBED}-weights.npz"
    with np.load(path) as found:
        assert found["weight"].shape == (10, 8)
    assert f"figures/{PROBED}-weights.npz" not in session.artifacts


def test_a_file_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        raise OSError("no room")

    session, experiment = LocalSession(tmp_path), SupervisedExperiment.create(EVERYTHING.to_json())
    found = Evaluated({"loss": 1.0}, files={"maps.npz": fails, "notes.txt": _noted})
    made = measuring.made(experiment, Evaluation("e", "val", lambda _: found), session, last=True)
    assert made == {"e/loss": 1.0} and list(session.artifacts) == ["files/e-notes.txt"]
    assert session.artifacts["files/e-notes.txt"].read_text() == "seen"


def _noted(path: Path) -> None:
    path.write_text("seen")


def test_an_evaluation_is_heard_by_its_session_and_nothing_is_outside(tmp_path: Path) -> None:
    session, experiment = LocalSession(tmp_path), SupervisedExperiment.create(EVERYTHING.to_json())

    def long(is_last: bool) -> Evaluated:
        for _ in range(3):
            liveness.alive()
        return Evaluated({})

    liveness.alive()
    measuring.made(experiment, Evaluation("e", "val", long), session, last=True)
    assert session.signs_of_life == 3
    measuring.references(
        experiment, [Evaluation("e", "val", long, references=lambda: long(True) and {})], session
    )
    assert session.signs_of_life == 9
    liveness.alive()
    assert session.signs_of_life == 9


class Deaf(LocalSession):
    """A session that only its own process may speak to."""

    def alive(self) -> None:
        raise RuntimeError("a session belongs to the trial's own process")


def test_a_process_that_an_evaluation_forks_says_nothing(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=liveness.alive)
    with liveness.heard_by(Deaf(tmp_path)):
        process.start()
        process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("name", ["val", "reference/val"])
def test_our_evaluations_say_that_they_live(tmp_path: Path, name: str) -> None:
    session = LocalSession(tmp_path)
    experiment = SupervisedExperiment.create(EVERYTHING.to_json())
    experiment.load()
    [val] = [one for one in experiment.evaluations() if one.name == "val"]
    if name == "val":
        measuring.made(experiment, val, session, last=False)
    else:
        measuring.references(experiment, [val], session)
    assert session.signs_of_life == -(-len(experiment._data.val) // 512)  # pyright: ignore[reportPrivateUsage]


def _waits(seconds: float, folder: Path) -> float:
    """How often the others were told, while rank 0 was busy longer than a collective may take."""
    import time

    heard = 0
    if distributed.rank():
        while not distributed.first(True):
            heard += 1
        return heard
    with liveness.heard_by(LocalSession(folder)):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(0.05)
            liveness.alive()
    return 0


@pytest.mark.slow
def test_the_wait_of_the_other_workers_begins_anew_with_each_sign(tmp_path: Path) -> None:
    """Each wait is limited to two seconds, and rank 0 is busy for five."""
    work = partial(groups.limited, 2.0, 0.5, partial(_waits, 5.0))
    told = together(2, tmp_path, work)
    assert told[0] == 0 and 5 <= told[1] <= 10


def test_a_block_without_changes_costs_no_buffer_its_version() -> None:
    experiment = Normalized()
    versions = [one._version for one in experiment.buffers()]
    with untouched(experiment):
        pass
    assert [one._version for one in experiment.buffers()] == versions
