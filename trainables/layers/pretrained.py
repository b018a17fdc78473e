"""Reads pretrained weights as timm names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from timm.models import load_state_dict
from torch import Tensor, nn

from trainables.layers.weights import Weights


def read(weights: Weights, name: str) -> dict[str, Any]:
    """The tensors of a file by timm's names; whether all of network `name` are there is not asked.

    Raises:
        ValueError: the file holds no tensors by name, or the package another file.
    """
    package = weights.package
    if package and weights.sha256 != package.sha256:
        raise ValueError(
            f"pretrained needs the weights of {package.requirement}, got another file in "
            f"{weights.path}; install the package again"
        )
    try:
        found: Any = load_state_dict(str(weights.path), use_ema=False, weights_only=True)
    except MemoryError:
        raise
    except Exception:  # a file of another kind raises whatever the reader meets first
        found = None
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ValueError(f"weights_file must hold tensors by name, got {weights.path}")
    return _in_order(found, timm.create_model(name)) if package else dict(found)


def _in_order(found: Mapping[str, Tensor], network: nn.Module) -> dict[str, Any]:
    """The tensors under the names of a network whose tensors come in the same order."""
    own = network.state_dict()
    for there, here in zip(found, own, strict=True):
        assert there.rpartition(".")[2] == here.rpartition(".")[2], (there, here)
    return dict(zip(own, found.values(), strict=True))
