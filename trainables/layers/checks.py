"""Checks of the arguments of layers, with their error messages."""

from __future__ import annotations

from collections.abc import Collection


def check_choice(field: str, value: str, allowed: Collection[str]) -> None:
    """Raises LookupError if a name is none of those allowed."""
    if value not in allowed:
        raise LookupError(f"{field} must be one of {', '.join(allowed)}, got {value!r}")


def check_heads(width: int, heads: int) -> None:
    """Raises ValueError if heads do not divide a width."""
    if width % heads:
        raise ValueError(f"heads must divide width ({width}), got {heads}")
