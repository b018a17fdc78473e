"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Several tests run at once, and threads that wait for one another's parts of small matrices cost
# most of the time. It is read when torch and numpy are imported: by none before this file.
os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ.setdefault("RAYSEARCH_FIGURES", "0")  # most of so small runs; see `figures`


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations draw their figures, as they do where nobody has said otherwise."""
    monkeypatch.delenv("RAYSEARCH_FIGURES")


@pytest.fixture(autouse=True)
def _the_current_folder_stays() -> Iterator[None]:
    """A test that left its process elsewhere would change what later ones find."""
    before = os.getcwd()
    yield
    assert os.getcwd() == before


LONG = 500
"""Lines above which a source file is mentioned: a hint that it may hold two ideas, no rule."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names the long source files, and forbids nothing."""
    root = Path(__file__).parents[1]
    for folder in ("raysearch", "search_spaces", "trainables"):
        for path in sorted((root / folder).rglob("*.py")):
            lines = path.read_text().count("\n")
            if lines > LONG:
                terminalreporter.write_line(f"long file: {path.relative_to(root)}, {lines} lines")
