"""The one training loop."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainables.core import checkpoint
from trainables.core.experiment import Batch, Evaluated, Evaluation, Experiment
from trainables.core.randomness import derive
from trainables.core.session import Session


def train(experiment: Experiment, session: Session) -> None:
    """Trains an experiment to its last step, or until the session says stop.

    The step is the only clock. Each report carries training metrics averaged since the last one,
    the evaluations that are due, and a checkpoint: so nothing but model, optimiser and step needs
    to be saved, and a resumed run equals an uninterrupted one bit for bit.

    Raises:
        FloatingPointError: the loss of a step is not finite; names the step and each term.
    """
    settings = experiment.config.training

    # The data first: how long the run is depends on it.
    facts = experiment.load()
    total = settings.total_steps(experiment.num_examples)
    evaluations = experiment.evaluations()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    experiment.to(device)
    if settings.channels_last:
        for network in experiment.networks():
            network.to(memory_format=torch.channels_last)

    # Then where we are: at the start, or behind a checkpoint.
    groups = experiment.parameter_groups()
    optimizer = experiment.optimizer(groups)
    restored = session.restored()
    first = checkpoint.load(restored, experiment, optimizer) if restored else 0
    if settings.compile:
        for network in experiment.networks():
            network.compile()
    session.describe({**facts, **_facts(experiment, device)})
    averages = _Averages()

    for step in range(first + 1, total + 1):
        # One update: the gradient of the whole batch, in equal parts.
        experiment.train()
        rate = experiment.learning_rate(step, total)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        parts = split(experiment.batch(step), settings.num_micro_batches)
        for index, part in enumerate(parts):
            torch.manual_seed(derive(settings.seed, "dropout", step, index))
            with _precision(settings.precision, device):
                loss = experiment(_on(part, device), step)
            averages.add("train/loss", loss.total, len(parts))
            for name, term in loss.terms.items():
                averages.add(f"train/{name}", term, len(parts))
            if not math.isfinite(float(loss.total.detach())):
                raise FloatingPointError(_diverged(step, loss.total, loss.terms))
            (loss.total / len(parts)).backward()
        experiment.after_backward(step)
        averages.add("train/gradient_norm", _clip(experiment, settings.clip_norm))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        experiment.after_update(step)

        # What is due now is measured and said in one report; the last step does all of it.
        due = [one for one in evaluations if settings.is_due(one.every, step, _size(experiment))]
        saves = settings.is_due(settings.evaluate_every, step, _size(experiment))
        logs = settings.log_every > 0 and step % settings.log_every == 0
        if not (due or saves or logs):
            continue
        metrics = averages.take() | {
            "train/learning_rate": rate,
            "progress/epochs": step * settings.batch_size / _rounded(experiment),
            "progress/samples": float(step * settings.batch_size),
        }
        for evaluation in due:
            metrics |= _evaluate(experiment, evaluation, session, last=step == total)
        saved = None
        if saves:
            path = session.folder / "checkpoints" / f"step-{step:08d}.pt"
            saved = checkpoint.save(path, step, experiment, optimizer)
        session.report(step, metrics, saved)
        if session.should_stop():
            return


def evaluate_test(experiment: Experiment, session: Session) -> None:
    """Evaluates the session's checkpoint on the test split and reports `test/…` at its step.

    Raises:
        ValueError: the session has no checkpoint.
    """
    restored = session.restored()
    if restored is None:
        raise ValueError("the test split is evaluated from a checkpoint, and there is none")
    experiment.load()
    step = checkpoint.load(restored, experiment)
    experiment.to("cuda" if torch.cuda.is_available() else "cpu")
    evaluation = Evaluation("test", lambda last: experiment.test_evaluation())
    session.report(step, _evaluate(experiment, evaluation, session, last=True))


def split(batch: Batch, parts: int) -> list[Batch]:
    """A batch in equal parts along the first dimension of each tensor."""
    if parts == 1:
        return [batch]
    chunks = {name: tensor.chunk(parts) for name, tensor in batch.items()}
    return [{name: chunks[name][index] for name in batch} for index in range(parts)]


class _Averages:
    """Means of what is logged since the last report."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {}

    def add(self, name: str, value: torch.Tensor, parts: int = 1) -> None:
        total, weight = self._sums.get(name, (0.0, 0.0))
        self._sums[name] = (total + float(value.detach()) / parts, weight + 1 / parts)

    def take(self) -> dict[str, float]:
        means = {name: total / weight for name, (total, weight) in self._sums.items()}
        self._sums = {}
        return means


def _evaluate(
    experiment: Experiment, evaluation: Evaluation, session: Session, *, last: bool
) -> dict[str, float]:
    """Values as `name/value`; figures are written and announced, and never end a run."""
    experiment.eval()
    with torch.inference_mode():
        found: Evaluated = evaluation.function(last)
    for name, draw in found.figures.items():
        path = session.folder / "figures" / f"{evaluation.name}-{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draw(path)
        except Exception as error:  # a picture is not worth a run
            print(f"figure {path.name} was not drawn: {error!r}", file=sys.stderr)
            continue
        session.artifact(f"figures/{path.name}", path)
    return {f"{evaluation.name}/{name}": value for name, value in found.values.items()}


def _clip(experiment: nn.Module, bound: float) -> torch.Tensor:
    """The global norm of the gradient before clipping; clipped to `bound` if that is not 0."""
    parameters = [one for one in experiment.parameters() if one.grad is not None]
    return nn.utils.clip_grad_norm_(parameters, bound or math.inf, foreach=True)


def _precision(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    if precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def _on(batch: Batch, device: torch.device) -> Batch:
    if device.type == "cpu":
        return batch
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def _diverged(step: int, total: torch.Tensor, terms: Any) -> str:
    named = {"total": total, **terms}
    shown = ", ".join(f"{name} = {float(value.detach()):g}" for name, value in named.items())
    return f"the loss of step {step} must be finite, got {shown}"


def _size(experiment: Experiment) -> int:
    return experiment.num_examples


def _rounded(experiment: Experiment) -> int:
    """Examples that an epoch really sees: whole batches."""
    settings = experiment.config.training
    return settings.steps_an_epoch(experiment.num_examples) * settings.batch_size


def _facts(experiment: Experiment, device: torch.device) -> dict[str, object]:
    return {
        "parameters": count(experiment.parameters()),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
    }


def count(parameters: Iterable[torch.Tensor]) -> int:
    """How many numbers there are in the parameters."""
    return sum(parameter.numel() for parameter in parameters)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in an attempt's folder, oldest first."""
    return sorted((folder / "checkpoints").glob("step-*.pt"))
