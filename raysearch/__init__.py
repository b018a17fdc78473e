"""The service: a search over any experiment with Ray, Optuna and MLflow; knows no experiment."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raysearch.client import Client
    from raysearch.reporting import (
        active,
        artifact,
        checkpoint,
        config,
        describe,
        report,
        should_stop,
    )
    from raysearch.sweeps.program import Program, trainable

__all__ = [
    "Client",
    "Program",
    "active",
    "artifact",
    "checkpoint",
    "config",
    "describe",
    "report",
    "should_stop",
    "trainable",
]

_PLACES = {
    "Client": "raysearch.client",
    "Program": "raysearch.sweeps.program",
    "trainable": "raysearch.sweeps.program",
}
"""Where each name lives, if not in `raysearch.reporting`."""


def __dir__() -> list[str]:
    """What people use."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """`raysearch.Client`, `raysearch.report` and the like, imported when first asked for."""
    if name in __all__:
        return getattr(importlib.import_module(_PLACES.get(name, "raysearch.reporting")), name)
    raise AttributeError(f"module 'raysearch' has no attribute {name!r}")
