"""The `raysearch` command: all its commands, in the order in which its help lists them."""

from __future__ import annotations

from typing import Any

from raysearch.commands import (
    bringing,
    data,
    keeping,
    looking,
    reproducing,
    running,
    serving,
    submitting,
)
from raysearch.commands.options import app

__all__ = [
    "app",
    "bringing",
    "data",
    "keeping",
    "looking",
    "main",
    "reproducing",
    "running",
    "serving",
    "submitting",
]


def main(arguments: list[str] | None = None) -> Any:
    """The `raysearch` command."""
    return app(arguments)


if __name__ == "__main__":
    main()
