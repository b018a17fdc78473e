"""The one training loop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainables.core import checkpoint, distributed, measuring
from trainables.core.averages import Averages, PartMeans
from trainables.core.base_experiment import BaseExperiment, Batch
from trainables.core.checkpoint import Position
from trainables.core.choosing import Chosen, Pass, most_risen, of_examples
from trainables.core.costs import Costs
from trainables.core.groups import set_groups
from trainables.core.prefetching import ahead
from trainables.core.randomness import derive, seed_dropout
from trainables.core.sam import SAM
from trainables.core.session import Follower, Session, hears_costs


def train(experiment: BaseExperiment, session: Session) -> None:
    """Trains an experiment to its last step, or until the session says stop.

    The step is the only clock. Each report carries training metrics averaged since the last one,
    and the evaluations and the checkpoint that are due: so nothing but model, optimiser and
    position needs to be saved, and a resumed run equals an uninterrupted one bit for bit. Told to
    stop, it saves after the step that it is in.

    In a group of workers each rank has its share of each batch; gradients, buffers and training
    metrics are averaged, rank 0 alone evaluates, saves and reports while the others wait for it.

    Raises:
        FloatingPointError: the loss or the gradient of a step is not finite; names step and terms.
        ValueError: the batch cannot be cut in equal parts for all ranks, or not be made ahead.
        LookupError: a group of parameters has no settings.
    """
    settings = experiment.config.training
    session = Follower(session) if distributed.rank() else session

    # The data first: how long the run is depends on it.
    facts = experiment.load()
    examples = experiment.num_examples
    total = settings.total_steps(examples)
    evaluations = [one for one in experiment.evaluations() if one.split != "test"]

    # Then where we are: at the start, or behind a checkpoint.
    device = measuring.device_of_runs()
    experiment.to(device)
    optimizer = experiment.optimizer(experiment.parameter_groups())
    restored = session.restored()
    if not restored:  # later attempts know it from the first
        facts |= measuring.references(experiment, evaluations, session)
    position = checkpoint.load(restored, experiment, optimizer) if restored else Position()
    costs = Costs(settings.batch_size, device, _fixed_costs(experiment, session))
    measuring.prepare(experiment.networks(), settings)
    session.describe({**facts, **measuring.facts_of(experiment, device)})
    if not total:
        return _leave_untrained(session, position, experiment, optimizer, costs)
    model = distributed.wrap(experiment)

    if not position.step:
        _keep(session, position, experiment)

    parameters = [one for one in experiment.parameters() if one.requires_grad]
    averages = Averages(position.unreported, device)
    experiment.train()
    steps = range(position.step + 1, total + 1)
    batches = islice(experiment.batches(position.step + 1), len(steps))
    with ahead(batches, settings.prefetch) as ready:
        for step, batch in zip(steps, costs.timed(ready), strict=False):
            # One update: the gradient of the whole batch, bounded, at the rates of this step.
            pass_ = Pass(experiment, model, batch, step, device)
            each = [] if isinstance(optimizer, SAM) and optimizer.example_share < 1 else None
            terms = _gradient(pass_, parameters, each)
            rates = set_groups(optimizer, experiment.group_settings(step, total))
            if isinstance(optimizer, SAM):
                terms["sharpness"] = _step_sam(optimizer, pass_, parameters, each) - terms["loss"]
            else:
                optimizer.step()
            optimizer.zero_grad()
            experiment.after_update(step)
            averages.add(terms)
            examples_seen = distributed.whole(batch["examples"], settings.num_micro_batches)
            position = position.after(examples_seen)
            _keep(session, position, experiment)
            costs.end_step()

            # What is due now is measured and saved; the last step does all of it.
            due = [one for one in evaluations if settings.is_due(one.every, step, examples)]
            saves = settings.is_due(settings.save_every, step, examples)
            if not (due or saves or settings.is_due(settings.log_every, step, examples)):
                if distributed.first(session.should_stop()):
                    return _leave(session, averages.left(position), experiment, optimizer)
                continue
            metrics = averages.take() | rates | measuring.progress(settings, step, examples)
            for evaluation in due:
                metrics |= measuring.made(experiment, evaluation, session, last=step == total)
            saved = _save(session, position, experiment, optimizer) if saves else None

            # All of it is said in one report, and the answer may be to end here.
            session.report(step, metrics, saved, **_told(costs, session))
            if distributed.first(session.should_stop()):
                return None if saves else _leave(session, position, experiment, optimizer)


def _save(
    session: Session, position: Position, experiment: BaseExperiment, optimizer: Optimizer
) -> Path | None:
    """Saves on rank 0; None on the others, which have the same to save."""
    if distributed.rank():
        return None
    path = session.folder / "checkpoints" / f"step-{position.step:08d}.pt"
    return checkpoint.save(path, position, experiment, optimizer, experiment.config)


def _keep(session: Session, position: Position, experiment: BaseExperiment) -> None:
    """Writes the weights alone where nothing deletes them, at the steps for which that is asked."""
    every = experiment.config.training.weights_every
    if not every or position.step % every or distributed.rank():
        return
    path = session.folder / "weights" / f"step-{position.step:08d}.pt"
    checkpoint.save(path, position, experiment, None, experiment.config)


def _leave(
    session: Session, position: Position, experiment: BaseExperiment, optimizer: Optimizer
) -> None:
    """Saves where no checkpoint was due; its report says nothing else."""
    session.report(position.step, {}, _save(session, position, experiment, optimizer))


def _fixed_costs(experiment: BaseExperiment, session: Session) -> dict[str, float]:
    """What the networks cost by themselves, where it is said."""
    is_said = hears_costs(session) and not distributed.rank()
    return experiment.costs() if is_said else {}


def _told(costs: Costs, session: Session) -> dict[str, Any]:
    """The costs since the last report, for sessions that hear them."""
    return {"costs": costs.take()} if hears_costs(session) else {}


def _leave_untrained(
    session: Session,
    position: Position,
    experiment: BaseExperiment,
    optimizer: Optimizer,
    costs: Costs,
) -> None:
    """Measures and saves the networks as they start: all that a run without steps does."""
    settings, examples = experiment.config.training, experiment.num_examples
    metrics = measuring.progress(settings, position.step, examples)
    for evaluation in experiment.evaluations():
        if evaluation.split != "test":
            metrics |= measuring.made(experiment, evaluation, session, last=True)
    saved = _save(session, position, experiment, optimizer)
    session.report(position.step, metrics, saved, **_told(costs, session))


def backward(
    experiment: BaseExperiment,
    batch: Batch,
    step: int,
    device: torch.device,
    model: nn.Module | None = None,
    *,
    each: list[Tensor] | None = None,
    chosen: Chosen | None = None,
) -> dict[str, Tensor]:
    """Adds the gradient of a batch's loss, made of equal micro-batches, to the parameters.

    In a group the batch is this rank's share, and `model` the experiment as wrapped for the group.
    Returns the loss as `loss` and its terms, means over micro-batches and ranks, detached. Of a
    term, not of the loss, what is not a number is left out. The loss of each example is put into
    `each`, if it is given; with `chosen` examples the loss is the mean of theirs alone.

    Raises:
        ValueError: the loss of each example is asked for, and the experiment does not say it.
    """
    settings, model = experiment.config.training, model or experiment
    parts = split(_on(batch, device, settings.channels_last), settings.num_micro_batches)
    means, total = PartMeans(len(parts)), torch.zeros(())
    for index, part in enumerate(parts):
        seed_dropout(device, settings.seed, step, index, distributed.rank())
        part, marks = (part, None) if chosen is None else chosen.of(part, index, len(parts))
        with distributed.apart(model) if index + 1 < len(parts) else nullcontext():
            with _precision(settings.precision, device):
                loss = model(part, step)
            share = loss.total / len(parts) if len(parts) > 1 else loss.total
            if chosen is not None and marks is not None:
                share = chosen.mean(of_examples(loss, experiment), marks)
            share.backward()
        if each is not None:
            each.append(of_examples(loss, experiment).detach())
        distributed.synchronize_buffers(experiment)
        value = share.detach()
        total = total + value if index else value
        means.add(loss.terms)
    return distributed.mean({"loss": total, **means.take()}, whole=("loss",))


@torch.no_grad()
def losses(pass_: Pass) -> Tensor:
    """The loss of each example of this rank [B], as its gradient would be computed."""
    settings, found = pass_.experiment.config.training, list[Tensor]()
    batch = _on(pass_.batch, pass_.device, settings.channels_last)
    for index, part in enumerate(split(batch, settings.num_micro_batches)):
        seed_dropout(pass_.device, settings.seed, pass_.step, index, distributed.rank())
        with _precision(settings.precision, pass_.device):
            found.append(of_examples(pass_.model(part, pass_.step), pass_.experiment))
    return torch.cat(found)


def _gradient(
    pass_: Pass,
    parameters: list[nn.Parameter],
    each: list[Tensor] | None = None,
    chosen: Chosen | None = None,
) -> dict[str, Tensor]:
    """Adds the gradient of a batch, bounded; returns the terms of the loss, and its norm before."""
    experiment, model, batch, step, device = pass_
    terms = backward(experiment, batch, step, device, model, each=each, chosen=chosen)
    experiment.after_backward(step)
    terms["gradient_norm"] = _clip(parameters, experiment.config.training.clip_norm)
    _check(step, terms)
    return terms


def _step_sam(
    optimizer: SAM, pass_: Pass, parameters: list[nn.Parameter], each: list[Tensor] | None
) -> Tensor:
    """SAM's update, with the second gradient of the same micro-batches and dropout, bounded too.

    With the losses of `each` example it is that of those whose loss rises most. Buffers, such as
    running statistics, see the first pass only. Returns the loss uphill, of all examples.
    """
    experiment, found = pass_.experiment, dict[str, Tensor]()
    buffers = [(one, one.clone()) for one in experiment.buffers()]

    def uphill() -> None:
        if each is None:
            found.update(_gradient(pass_, parameters))
            return
        there = losses(pass_)
        chosen = most_risen(there - torch.cat(each), optimizer.example_share)
        _gradient(pass_, parameters, chosen=chosen)
        found.update(distributed.mean({"loss": there.mean()}))

    optimizer.step(uphill, derive(experiment.config.seed, "weights uphill", pass_.step))
    for buffer, value in buffers:
        buffer.copy_(value)
    return found["loss"]


def split(batch: Batch, parts: int) -> list[Batch]:
    """A batch in equal parts along the first dimension of each tensor."""
    if parts == 1:
        return [batch]
    chunks = {name: tensor.chunk(parts) for name, tensor in batch.items()}
    return [{name: chunks[name][index] for name in batch} for index in range(parts)]


def _check(step: int, terms: Mapping[str, Tensor]) -> None:
    """Ends a diverged run before its update. The gradient can be infinite where the loss is not."""
    if math.isfinite(terms["loss"].item()) and math.isfinite(terms["gradient_norm"].item()):
        return
    shown = ", ".join(f"{name} = {float(term):g}" for name, term in terms.items())
    raise FloatingPointError(f"loss and gradient of step {step} must be finite, got {shown}")


def _clip(parameters: list[nn.Parameter], bound: float) -> Tensor:
    """The global norm of the gradient; the gradient is scaled down to `bound` if that is not 0."""
    gradients = [one.grad for one in parameters if one.grad is not None]
    norm = nn.utils.get_total_norm(gradients, foreach=True)
    if bound:
        nn.utils.clip_grads_with_norm_(parameters, bound, norm, foreach=True)
    return norm


def _precision(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    if precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def _on(batch: Batch, device: torch.device, channels_last: bool) -> Batch:
    """The batch on a device, its images and views in the asked layout."""
    if device.type != "cpu":
        batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
    if not channels_last:
        return batch
    return {name: _channels_last(name, tensor) for name, tensor in batch.items()}


def _channels_last(name: str, tensor: Tensor) -> Tensor:
    """Images [B, C, H, W], or views [B, V, C, H, W] so that they are it as images [B·V, C, H, W].

    Whatever else has five dimensions, such as a video, stays as it is.
    """
    if tensor.ndim == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    if tensor.ndim != 5 or not (name == "views" or name.endswith("_views")):
        return tensor
    images = tensor.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return images.unflatten(0, tensor.shape[:2])
