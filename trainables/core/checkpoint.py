"""What is saved of a run, atomically, and how it comes back."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

FORMAT = 1
START = hashlib.sha256(b"").hexdigest()
"""The data order before the first step."""


@dataclass(frozen=True)
class Position:
    """Where a run is: steps made, and the chained SHA-256 of the examples they saw, in order."""

    step: int = 0
    data_order: str = START

    def after(self, examples: Tensor) -> Position:
        """The position one step further, which saw these examples [B] (indices, int64)."""
        seen = bytes.fromhex(self.data_order) + examples.cpu().numpy().tobytes()
        return Position(self.step + 1, hashlib.sha256(seen).hexdigest())


def save(
    path: Path, position: Position, model: nn.Module, optimizer: torch.optim.Optimizer
) -> Path:
    """Writes a checkpoint under a temporary name, forces it to disk, and renames it.

    It holds parameters, buffers, optimiser state and the position; all else of a run is a function
    of the configuration and the step. A kill at any moment leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    state = {
        "format": FORMAT,
        "step": position.step,
        "data_order": position.data_order,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with open(partial, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Position:
    """Restores model and, if given, optimiser; returns the position. Loads no code.

    Raises:
        ValueError: another format, or a model of another shape; names the file.
    """
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if state.get("format") != FORMAT:
        raise ValueError(
            f"{path} must be a checkpoint of format {FORMAT}, got {state.get('format')}"
        )
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise ValueError(f"{path} is a checkpoint of another model: {first}") from None
    if optimizer is not None:
        optimizer.load_state_dict(state["optimizer"])
    return Position(int(state["step"]), str(state["data_order"]))


def fingerprint(path: Path) -> str:
    """The SHA-256 over all that a checkpoint holds: parameters, optimiser state and data order.

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

    add(torch.load(path, map_location="cpu", weights_only=True))
    return digest.hexdigest()
