"""The loop: gradients of parts, what is reported when, and how a run ends."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables import runs
from tests.trainables.runs import EVERYTHING
from trainables.core import loop
from trainables.core.averages import Averages
from trainables.core.experiment import Batch, Evaluated, Loss
from trainables.core.session import LocalSession
from trainables.core.training import Training
from trainables.data.images import Split
from trainables.ssl.config import Model, Supervised
from trainables.ssl.experiment import SupervisedExperiment

SMALL = Supervised(
    model=Model(patch_size=4, width=8, layers=1, mlp_ratio=1.0),
    training=Training(steps=4, batch_size=16),
)
CPU = torch.device("cpu")


def changed(**values: Any) -> Supervised:
    """`SMALL` with other values; a double underscore is a dot."""
    return SMALL.with_values({name.replace("__", "."): value for name, value in values.items()})


def gradients(config: Supervised) -> list[torch.Tensor]:
    """Of the first batch, in double precision."""
    experiment = SupervisedExperiment.create(config.to_json()).double()
    experiment.load()
    batch = experiment.batch(1)
    batch["images"] = batch["images"].double()
    torch.nn.init.normal_(experiment.network.get_parameter("head.weight"))
    loop.backward(experiment, batch, 1, CPU)
    return [one.grad for one in experiment.parameters() if one.grad is not None]


@pytest.mark.parametrize("parts", [2, 4, 16])
@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_micro_batches_average_to_the_gradient_of_the_batch(parts: int, mixup: float) -> None:
    torch.manual_seed(0)
    whole = gradients(changed(augmentation__mixup=mixup))
    torch.manual_seed(0)
    in_parts = gradients(changed(augmentation__mixup=mixup, training__num_micro_batches=parts))
    assert any(gradient.abs().max() > 1e-3 for gradient in whole)
    for one, other in zip(whole, in_parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_a_batch_is_split_in_order() -> None:
    parts = loop.split({"a": torch.arange(6)}, 3)
    assert [part["a"].tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]


def test_averages_are_means_since_the_last_report() -> None:
    averages = Averages()
    for value in (1.0, 2.0, 6.0):
        averages.add({"loss": torch.tensor(value)})
    assert averages.take() == {"train/loss": 3.0}
    averages.add({"loss": torch.tensor(5.0)})
    assert averages.take() == {"train/loss": 5.0}


def test_reports_come_when_something_is_due_and_carry_all_that_is(tmp_path: Path) -> None:
    session = runs.run(EVERYTHING, tmp_path)  # logs every 1, evaluates every 3, saves every 2
    assert list(session.reports) == [1, 2, 3, 4, 5, 6, 7]
    assert [step for step, said in session.reports.items() if "val/accuracy" in said] == [3, 6, 7]
    assert list(session.checkpoints) == [2, 4, 6, 7]


def test_nothing_is_reported_when_nothing_is_due(tmp_path: Path) -> None:
    config = changed(training__log_every=2, training__evaluate_every=3, training__save_every=100)
    assert list(runs.run(config, tmp_path).reports) == [2, 3, 4]


def test_without_a_step_the_networks_are_measured_and_saved_as_they_start(tmp_path: Path) -> None:
    config = changed(training__steps=0)
    said = runs.run(config, tmp_path / "first")
    untrained: Any = said.facts["reference/val"]
    assert list(said.reports) == [0] and said.reports[0]["progress/samples"] == 0
    for name, value in untrained["untrained"].items():
        assert said.reports[0][f"val/{name}"] == value
    state = SupervisedExperiment.create(config.to_json()).state_dict()
    saved = torch.load(said.checkpoints[0], weights_only=True)
    assert all(torch.equal(saved["model"][name], one) for name, one in state.items())
    again = LocalSession(tmp_path / "again", said.checkpoints[0])
    SupervisedExperiment.run(config.to_json(), again)
    assert again.reports == said.reports


def test_the_clocks_count_epochs_and_samples(tmp_path: Path) -> None:
    report = runs.run(changed(training__steps=30, training__batch_size=8), tmp_path).reports[30]
    assert report["progress/epochs"] == 30 / 149 and report["progress/samples"] == 240


def test_the_learning_rate_follows_its_schedule(tmp_path: Path) -> None:
    config = changed(
        training__log_every=1, schedule__kind="linear", schedule__warm_up=0.25, optimizer__lr=1.0
    )
    rates = [said["train/learning_rate"] for said in runs.run(config, tmp_path).reports.values()]
    assert rates == pytest.approx([0.5, 1.0, 2 / 3, 1 / 3])


def test_it_stops_when_it_is_told_to(tmp_path: Path) -> None:
    session = LocalSession(tmp_path)
    session.stop = True
    SupervisedExperiment.run(changed(training__log_every=1).to_json(), session)
    assert list(session.reports) == [1]


def test_facts_describe_the_run(tmp_path: Path) -> None:
    session = runs.run(SMALL, tmp_path)
    experiment = SupervisedExperiment.create(SMALL.to_json())
    assert session.facts["data.name"] == "digits"
    assert session.facts["data.split_sizes"] == {"train": 1197, "val": 300, "test": 300}
    assert session.facts["parameters"] == sum(one.numel() for one in experiment.parameters())
    assert (session.facts["threads"], session.facts["device"]) == (1, "cpu")
    versions = session.facts["versions"]
    assert isinstance(versions, dict) and versions["torch"] == torch.__version__


class Diverging(SupervisedExperiment):
    """Becomes infinite in the third step."""

    def forward(self, batch: Batch, step: int) -> Loss:
        loss = super().forward(batch, step)
        factor = torch.tensor(float("inf") if step == 3 else 1.0)
        return Loss(loss.total * factor, {**loss.terms, "other": loss.total.detach()})


def test_a_diverged_run_ends_with_step_and_terms(tmp_path: Path) -> None:
    session = LocalSession(tmp_path)
    with pytest.raises(FloatingPointError) as error:
        Diverging.run(changed(training__log_every=1).to_json(), session)
    assert list(session.reports) == [1, 2]
    for part in ("step 3", "loss = inf", "other = 2.", "accuracy = ", "gradient_norm = "):
        assert part in str(error.value)


class Clipped(SupervisedExperiment):
    """Keeps the global norm of the gradient that the optimiser saw."""

    seen: list[float]

    def after_update(self, step: int) -> None:
        gradients = [one.grad for one in self.parameters() if one.grad is not None]
        assert not gradients, "gradients are dropped after the update"

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        optimizer = super().optimizer(groups)
        self.seen = []

        def look(*_: object) -> None:
            gradients = [one.grad for one in self.parameters() if one.grad is not None]
            self.seen.append(float(torch.nn.utils.get_total_norm(gradients)))

        optimizer.register_step_pre_hook(look)
        return optimizer


@pytest.mark.parametrize("bound", [0.0, 0.01])
def test_the_gradient_is_bounded_by_its_global_norm(tmp_path: Path, bound: float) -> None:
    config = changed(training__clip_norm=bound, training__log_every=1)
    experiment = Clipped.create(config.to_json())
    session = LocalSession(tmp_path)
    loop.train(experiment, session)
    reported = [said["train/gradient_norm"] for said in session.reports.values()]
    assert min(reported) > 0.01
    assert experiment.seen == pytest.approx([bound] * 4 if bound else reported, rel=1e-3)


class BadPicture(SupervisedExperiment):
    """Its figure cannot be drawn."""

    def _classify(self, split: Split, title: str, last: bool) -> Evaluated:
        found = super()._classify(split, title, last)

        def fail(path: Path) -> None:
            raise RuntimeError("no paper")

        return Evaluated(found.values, {name: fail for name in found.figures})


@pytest.mark.usefixtures("figures")
def test_a_figure_never_ends_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    session = LocalSession(tmp_path)
    with caplog.at_level(logging.WARNING):
        BadPicture.run(SMALL.to_json(), session)
    assert list(session.reports) == [4] and not session.artifacts
    assert "figures/val-confusion.png was not written" in caplog.text and "no paper" in caplog.text


@pytest.mark.usefixtures("figures")
def test_the_test_split_is_evaluated_from_a_checkpoint_once(tmp_path: Path) -> None:
    path = runs.last(runs.run(SMALL, tmp_path / "run"))
    session = LocalSession(tmp_path / "test", restored=path)
    SupervisedExperiment.test(SMALL.to_json(), session)
    assert list(session.reports) == [4] and "test/accuracy" in session.reports[4]
    assert not any(name.startswith("val/") for name in session.reports[4])
    assert list(session.artifacts) == [
        f"figures/test-{one}.png" for one in ("confusion", "reliability", "wrong")
    ]


def test_the_test_split_needs_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="from a checkpoint, and there is none"):
        SupervisedExperiment.test(SMALL.to_json(), LocalSession(tmp_path))


def losses(config: Supervised, folder: Path) -> list[float]:
    """The training loss of each step."""
    config = config.with_values({"training.log_every": 1})
    return [said["train/loss"] for said in runs.run(config, folder).reports.values()]


def test_bfloat16_is_near_float32_and_not_equal(tmp_path: Path) -> None:
    full = losses(SMALL, tmp_path / "full")
    half = losses(changed(training__precision="bfloat16"), tmp_path / "half")
    assert half == pytest.approx(full, rel=0.01) and half != full


def test_channels_last_changes_the_layout_and_no_result(tmp_path: Path) -> None:
    config = changed(training__channels_last=True, model__patch_size=2)
    experiment = SupervisedExperiment.create(config.to_json())
    loop.train(experiment, LocalSession(tmp_path / "a"))
    weight = experiment.network.get_parameter("patches.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    plain = losses(changed(model__patch_size=2), tmp_path / "b")
    assert losses(config, tmp_path / "c") == pytest.approx(plain, rel=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_run_gives_the_same_losses_and_checkpoints(tmp_path: Path) -> None:
    config = changed(training__compile=True)
    assert losses(config, tmp_path / "a") == pytest.approx(losses(SMALL, tmp_path / "b"), rel=1e-3)
    saved = tmp_path / "a" / "checkpoints" / "step-00000004.pt"
    names = torch.load(saved, weights_only=True)["model"]
    assert set(names) == set(SupervisedExperiment.create(SMALL.to_json()).state_dict())


def test_hooks_are_called_around_the_update(tmp_path: Path) -> None:
    calls: list[str] = []

    class Hooked(SupervisedExperiment):
        def after_backward(self, step: int) -> None:
            calls.append(
                f"gradient {step} {self.network.get_parameter('patches.weight').grad is not None}"
            )

        def after_update(self, step: int) -> None:
            calls.append(f"update {step}")

    Hooked.run(SMALL.to_json(), LocalSession(tmp_path))
    steps = range(1, 5)
    pairs = [(f"gradient {step} True", f"update {step}") for step in steps]
    assert calls == list(itertools.chain.from_iterable(pairs))


@pytest.mark.parametrize("parts", [1, 2])
def test_views_are_channels_last_as_images_and_a_video_stays_as_it_is(parts: int) -> None:
    given = {
        "views": torch.rand(4, 2, 3, 8, 8),
        "small_views": torch.rand(4, 6, 3, 4, 4),
        "video": torch.rand(4, 5, 3, 8, 8),
        "images": torch.rand(4, 3, 8, 8),
    }
    for part in loop.split(loop._on(given, CPU, channels_last=True), parts):
        for name in ("views", "small_views"):
            images = part[name].flatten(0, 1)
            assert images.is_contiguous(memory_format=torch.channels_last)
            assert images.data_ptr() == part[name].data_ptr()
        assert part["images"].is_contiguous(memory_format=torch.channels_last)
        assert part["video"].is_contiguous()
    assert all(map(torch.equal, loop._on(given, CPU, channels_last=True).values(), given.values()))
    assert loop._on(given, CPU, channels_last=False) is given
