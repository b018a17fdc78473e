"""Checkpoints: everything a run needs to resume, written atomically and restored."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from trainables.core import groups
from trainables.core.files import written
from trainables.core.training import ExperimentConfig

FORMAT = 2
"""What is written. Format 1, which is read too, does not hold the configuration."""
START = hashlib.sha256(b"").hexdigest()
"""The data order before the first step."""
ONLY_EVALUATIONS = "of a trained network only settings of evaluations may differ"

_READABLE = (1, 2)
_MEMBERS = {"step", "data_order", "model", "optimizer"}
_ABOUT = ("format", "experiment", "config")
Configuration = TypeVar("Configuration", bound=ExperimentConfig)


class Unreported(NamedTuple):
    """Training metrics since the last report: their sums, over how many steps, and in how many of
    these each was not a number (none: not there).
    """

    sums: dict[str, Tensor]
    steps: int
    missing: dict[str, int] = {}


@dataclass(frozen=True)
class Position:
    """Where a run is: steps made, and the chained SHA-256 of the examples they saw, in order.

    `unreported` is there where a run was asked to end between two reports.
    """

    step: int = 0
    data_order: str = START
    unreported: Unreported | None = None

    def after(self, examples: Tensor) -> Position:
        """The position one step further, which saw these examples [B] (indices, int64)."""
        seen = bytes.fromhex(self.data_order) + examples.cpu().numpy().tobytes()
        return Position(self.step + 1, hashlib.sha256(seen).hexdigest())


@dataclass(frozen=True)
class Saved:
    """What the checkpoint at `path` holds: states, and the name and configuration of the experiment
    that was trained (empty and None in a file of format 1).
    """

    path: Path
    position: Position
    model: dict[str, Any]
    optimizer: dict[str, Any]
    experiment: str = ""
    config: dict[str, Any] | None = None

    def configuration(self, kind: type[Configuration]) -> Configuration:
        """The configuration that was trained with.

        Raises:
            ValueError: it is of another experiment, not there, or no configuration any more.
        """
        if self.config is None:
            raise ValueError(
                f"{self.path} does not hold its configuration, since an earlier version wrote it; "
                f"resume its run, or train again, to have a checkpoint that does"
            )
        if self.experiment != kind.name:
            raise ValueError(
                f"{self.path} must be a checkpoint of {kind.name}, got one of {self.experiment}"
            )
        try:
            return kind.read(self.config)
        except (LookupError, ValueError) as error:
            raise ValueError(
                f"{self.path} holds a configuration that {kind.name} has no more: {error}"
            ) from None

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Position:
        """Loads the states into a model and, if given, an optimiser; returns the position.

        Raises:
            ValueError: the model has other tensors; names the first, with both shapes.
        """
        self.check(model)
        model.load_state_dict(self.model)
        if optimizer is not None:
            groups.load_state(optimizer, self.optimizer)
        return self.position

    def check(self, model: nn.Module) -> None:
        """Raises ValueError if the model has other tensors; names the first, with both shapes."""
        own = model.state_dict()
        for name in dict.fromkeys([*own, *self.model]):
            here, there = _described(own.get(name)), _described(self.model.get(name))
            if here != there:
                raise ValueError(
                    f"{self.path} is a checkpoint of another model: {name} is {there} in it and "
                    f"{here} here; {ONLY_EVALUATIONS}"
                )


def save(
    path: Path,
    position: Position,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    config: ExperimentConfig | None = None,
) -> Path:
    """Writes a checkpoint under a temporary name, forces it to disk, and renames it.

    It holds parameters, buffers, optimiser state, the position and, if given, the configuration;
    all else of a run is a function of the configuration and the step. Without an optimiser no run
    can go on from it, but networks are in it. A kill at any moment leaves
    the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    state: dict[str, Any] = {
        "format": FORMAT,
        "step": position.step,
        "data_order": position.data_order,
        "model": model.state_dict(),
        "optimizer": {} if optimizer is None else groups.without_ours(optimizer.state_dict()),
    }
    if config is not None:
        state |= {"experiment": config.name, "config": config.to_json()}
    if position.unreported is not None:
        state["unreported"] = list(position.unreported[: 3 if position.unreported.missing else 2])
    with written(path) as file:
        torch.save(state, file)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path


def read(path: Path) -> Saved:
    """What a checkpoint holds. Loads no code.

    Raises:
        ValueError: there is no such file, it is no checkpoint, or one of another format.
    """
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"{path} must be a checkpoint: {error.strerror or error}") from None
    except MemoryError:
        raise
    except Exception:  # a file of another kind raises whatever the reader meets first
        state = None
    if not isinstance(state, dict) or "format" not in state:
        raise ValueError(
            f"{path} must be a checkpoint that a run has saved, got a damaged file or another kind"
        )
    if state["format"] not in _READABLE or not state.keys() >= _MEMBERS:
        raise ValueError(
            f"{path} must be a checkpoint of format {' or '.join(map(str, _READABLE))}, "
            f"got {state['format']}"
        )
    unreported = Unreported(*state["unreported"]) if "unreported" in state else None
    position = Position(int(state["step"]), str(state["data_order"]), unreported)
    experiment, config = state.get("experiment", ""), state.get("config")
    return Saved(path, position, state["model"], state["optimizer"], experiment, config)


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Position:
    """Restores model and, if given, optimiser; returns the position.

    Raises:
        ValueError: no checkpoint, another format, or a model of another shape; names the file.
    """
    return read(path).restore(model, optimizer)


def _described(value: Any) -> str:
    """Type and shape of a tensor of a state."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return "absent" if value is None else type(value).__name__


def fingerprint(path: Path) -> str:
    """The SHA-256 over the state in a checkpoint: parameters, optimiser state and data order.

    Over names, shapes, types and bits, in an order of its own: equal states have equal prints,
    whatever else their files contain.
    """
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Tensor):
            digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
            plain = value.detach().contiguous().view(-1).view(torch.uint8)
            digest.update(bytes(plain.numpy()))
        elif isinstance(value, dict):
            for key in sorted(value, key=str):
                digest.update(repr(key).encode())
                add(value[key])
        elif isinstance(value, list | tuple):
            for item in value:
                add(item)
        else:
            digest.update(repr(value).encode())

    state = torch.load(path, map_location="cpu", weights_only=True)
    add({name: value for name, value in state.items() if name not in _ABOUT})
    return digest.hexdigest()
