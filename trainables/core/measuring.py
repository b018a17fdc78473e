"""Measures networks: evaluations of a run, and of what is in a checkpoint."""

from __future__ import annotations

import logging
import math
import os
import platform
import random
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from trainables.core import checkpoint, distributed
from trainables.core.base_experiment import BaseExperiment, Evaluation, References
from trainables.core.checkpoint import ONLY_EVALUATIONS, Saved
from trainables.core.liveness import heard_by
from trainables.core.randomness import derive
from trainables.core.session import Session
from trainables.core.training import ExperimentConfig, Training
from trainables.core.untouched import untouched

SPLITS = ("val", "test", "all")
"""What may be evaluated: all but the test split, the test split, both."""

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "sklearn")
"""Whose versions are recorded, as far as a run has loaded them."""

FIGURES = "RAYSEARCH_FIGURES"
"""Environment variable: set to 0, evaluations draw no figures, which are most of a short run."""

UNTRAINED = "untrained"
"""The reference row of the networks as they were drawn."""

log = logging.getLogger(__name__)
Made = TypeVar("Made")


def test(experiment: BaseExperiment, session: Session) -> None:
    """Makes the evaluations on the test split from the session's checkpoint; one report.

    Raises:
        ValueError: the session has no checkpoint.
    """
    saved = _restored(session)
    experiment.load()
    experiment.to(device_of_runs())
    session.describe(references(experiment, _evaluations(experiment, "test"), session))
    position = saved.restore(experiment)
    session.report(position.step, _measured(experiment, session, "test"))


def evaluate(experiment: BaseExperiment, session: Session, split: str = "val") -> None:
    """Evaluates the networks in the session's checkpoint, as after the last step; one report.

    Args:
        experiment: that of the checkpoint; its settings of evaluations may be others.
        session: its checkpoint is read, nothing is saved.
        split: `val` for the evaluations that training makes, `test` for those on the test split,
            `all` for both.

    Raises:
        ValueError: there is no checkpoint; or it is of another experiment, or of a configuration
            that differs in more: names the first value or tensor that does.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}, got {split!r}")
    saved = _restored(session)
    if saved.config is not None:
        refuse_other(saved, experiment.config)
    saved.check(experiment)
    facts = experiment.load()
    settings, examples, device = (
        experiment.config.training,
        experiment.num_examples,
        device_of_runs(),
    )
    experiment.to(device)
    facts |= references(experiment, _evaluations(experiment, split), session)
    position = saved.restore(experiment)
    prepare(experiment.networks(), settings)
    session.describe({**facts, **facts_of(experiment, device)})
    metrics = _measured(experiment, session, split)
    session.report(position.step, progress(settings, position.step, examples) | metrics)


def refuse_other(saved: Saved, config: ExperimentConfig) -> None:
    """Raises ValueError if a network was trained with other values than those of evaluations."""
    difference = saved.configuration(type(config)).first_difference(config)
    if difference is not None:
        path, there, here = difference
        raise ValueError(
            f"{path} must be {there!r}, as in the checkpoint {saved.path}, got {here!r}; "
            f"{ONLY_EVALUATIONS}"
        )


def _restored(session: Session) -> Saved:
    path = session.restored()
    if path is None:
        raise ValueError("networks are evaluated from a checkpoint, and there is none")
    return checkpoint.read(path)


def _measured(experiment: BaseExperiment, session: Session, split: str) -> dict[str, float]:
    """The evaluations on a split, as after the last step."""
    metrics: dict[str, float] = {}
    for evaluation in _evaluations(experiment, split):
        metrics |= made(experiment, evaluation, session, last=True)
    return metrics


def _evaluations(experiment: BaseExperiment, split: str) -> list[Evaluation]:
    return [
        evaluation
        for evaluation in experiment.evaluations()
        if split in ("all", "test" if evaluation.split == "test" else "val")
    ]


def references(
    experiment: BaseExperiment, evaluations: Iterable[Evaluation], session: Session
) -> dict[str, References]:
    """What methods that learn nothing score, as the fact `reference/<evaluation>` of each.

    Of evaluations that state `references`: these rows, and `untrained`, the networks as they are
    now, on the same examples. Rows have the values that the evaluation has, those that are finite.
    Empty on ranks above 0. Nothing of it is kept: training goes on as if it had not been.
    """
    if distributed.rank():
        distributed.await_first()
        return {}
    found: dict[str, References] = {}
    with heard_by(session):
        for evaluation in evaluations:
            if evaluation.references is not None:
                rows = _rows(experiment, evaluation, evaluation.references)
                found[f"reference/{evaluation.name}"] = rows
    return found


def _rows(
    experiment: BaseExperiment, evaluation: Evaluation, known: Callable[[], References]
) -> References:
    with torch.inference_mode():
        experiment.eval()
        measure = evaluation.untrained or partial(evaluation.function, False)
        untrained = measure().values
        experiment.train()
        rows = {**known(), UNTRAINED: untrained}
    return {
        row: {name: values[name] for name in untrained if math.isfinite(values.get(name, math.nan))}
        for row, values in rows.items()
    }


def progress(settings: Training, step: int, examples: int) -> dict[str, float]:
    """How far a run is after `step` steps: `progress/epochs` and `progress/samples`."""
    return {
        "progress/epochs": settings.epochs_at(step, examples),
        "progress/samples": float(step * settings.batch_size),
    }


def made(
    experiment: BaseExperiment, evaluation: Evaluation, session: Session, *, last: bool
) -> dict[str, float]:
    """Values as `name/value`; files are written and announced, and never end a run.

    Rank 0 alone evaluates, all of the split: the same numbers as one worker's.
    """
    if distributed.rank():
        distributed.await_first()
        return {}
    experiment.eval()
    with heard_by(session):
        with torch.inference_mode():
            found = evaluation.function(last)
        experiment.train()
        figures = found.figures if os.environ.get(FIGURES) != "0" else {}
        for kind, ending, files in (
            ("figures", ".png", figures),
            ("records", ".csv", found.records),
            ("files", "", found.files),
        ):
            for name, write in files.items():
                _write(session, f"{kind}/{evaluation.name}-{name}{ending}", write)
    return {f"{evaluation.name}/{name}": value for name, value in found.values.items()}


def _write(session: Session, name: str, write: Callable[[Path], None]) -> None:
    path = session.folder / name

    def written() -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        return path

    if unless_it_fails(name, written) is not None:
        session.artifact(name, path)


def unless_it_fails(name: str, make: Callable[[], Made]) -> Made | None:
    """What is made for a picture of this name; None, and a warning with the reason, if it fails.

    A picture is not worth a run: evaluations compute so what only pictures need.
    """
    try:
        return make()
    except Exception:
        log.warning("%s was not written", name, exc_info=True)
        return None


@contextmanager
def learning(experiment: BaseExperiment, purpose: str) -> Generator[torch.Generator]:
    """Lets an evaluation learn, or differentiate the networks, and leaves no trace of it.

    Evaluations run in inference mode, where nothing has a gradient; in this block all has. Features
    that were computed before it are to be taken by `differentiable`: enabling gradients is not
    enough for them. Networks stay in evaluation mode unless they are told otherwise.

    All draws are functions of the seed of the run and of `purpose`, the same each time: those of
    the generator that is handed out, and those of the default ones, for initial weights and
    dropout. Behind the block the random states, and modes, buffers, gradients and `requires_grad`
    flags of the experiment, are what they were: training goes on as if it had not been.

    Raises:
        RuntimeError: a parameter of the experiment was changed: names it. A probe has its own.
    """
    seed = derive(experiment.config.seed, f"learning {purpose}")
    with untouched(experiment), torch.inference_mode(False), torch.enable_grad():
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def differentiable(features: Tensor) -> Tensor:
    """The same numbers for autograd: a copy of what was computed in inference mode, else itself."""
    if not features.is_inference():
        return features
    with torch.inference_mode(False):
        return features.clone()


def prepare(networks: Iterable[nn.Module], settings: Training) -> None:
    """Memory layout and compilation; after a restore, which knows neither."""
    for network in networks:
        if settings.channels_last:
            network.to(memory_format=torch.channels_last)
        if settings.compile:
            network.compile()


def device_of_runs() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def facts_of(experiment: nn.Module, device: torch.device) -> dict[str, object]:
    """Parameters, device, threads, workers, and the versions of the libraries in use.

    Where one network follows another, such as a teacher, those that are trained are counted apart,
    as `trained_parameters`.
    """
    loaded = {name: sys.modules[name] for name in LIBRARIES if name in sys.modules}
    versions = {name: str(module.__version__) for name, module in loaded.items()}
    return {
        "parameters": sum(parameter.numel() for parameter in experiment.parameters()),
        **_trained(experiment),
        "device": str(device),
        "threads": torch.get_num_threads(),
        **({"workers": distributed.size()} if distributed.size() > 1 else {}),
        "versions": {"python": platform.python_version(), **versions},
    }


def _trained(experiment: nn.Module) -> dict[str, int]:
    """How many parameters are trained, where a module says that it `follows_another`."""
    if not any(getattr(one, "follows_another", False) for one in experiment.modules()):
        return {}
    learned = (one.numel() for one in experiment.parameters() if one.requires_grad)
    return {"trained_parameters": sum(learned)}
