"""Four processes that read all of a set keep one copy of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainables.data import files

ROOT = Path(__file__).parents[3]
CODE = """
import sys
from pathlib import Path
from benchmarks.data_sharing import report
from trainables.data.catalog import MNIST
report(MNIST, Path(sys.argv[1]), 4)
"""


@pytest.mark.slow
def test_four_processes_keep_hardly_more_than_one(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "mnist", 6000, 100)
    program = [sys.executable, "-c", CODE, str(tmp_path)]  # its fork server is its own
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = {line[:12].strip(): line[12:].split() for line in done.stdout.splitlines()}
    alone, together = float(rows["one alone"][0]), float(rows["sum"][0])
    assert alone > 4.4 and together <= 1.1 * alone  # MiB: every page of the training file
    assert float(rows["sum"][1]) > 3.9 * alone  # so each of the four has them all
