"""The service: a search over any experiment with Ray, Optuna and MLflow; knows no experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raysearch.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """`raysearch.Client`, imported when it is first asked for."""
    if name == "Client":
        from raysearch.client import Client

        return Client
    raise AttributeError(f"module 'raysearch' has no attribute {name!r}")
