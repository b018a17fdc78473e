"""The command line: its commands, and how results are shown in a terminal."""

from __future__ import annotations

from typing import Any


def main(arguments: list[str] | None = None) -> Any:
    """The `raysearch` command, where scripts of earlier installations look for it."""
    from raysearch.cli.application import main as run

    return run(arguments)
