"""The same experiment under torchrun equals one process, and goes on in its folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainables.group_configs import TWENTY_STEPS
from trainables.core import checkpoint, launch

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
EXPERIMENT = "tests.trainables.groups:Precise"


def launched(folder: Path, workers: int, steps: int) -> list[dict[str, float]]:
    """All reports in the folder after the command."""
    config = folder / f"{steps}.json"
    values = {"training.steps": steps, "schedule.kind": "constant", "schedule.warm_up": 0.0}
    config.write_text(json.dumps(TWENTY_STEPS.with_values(values).to_json()))
    torchrun = ["-m", "torch.distributed.run", f"--nproc-per-node={workers}", "--standalone"]
    command = [sys.executable, *(torchrun if workers > 1 else [])]
    command += ["-m", "trainables.core.launch", EXPERIMENT, str(config), "--folder", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    lines = (folder / "reports.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_two_processes_under_torchrun_equal_one_and_go_on(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    alone = launched(one, 1, 20)
    launched(two, 2, 10)
    together = launched(two, 2, 20)
    assert [said["step"] for said in together] == list(range(1, 11)) + list(range(11, 21))
    for mine, other in zip(alone, together, strict=True):
        same = {name: other[name] for name in mine}  # its tenth step was a last one: it says more
        assert same == pytest.approx(mine, rel=1e-10, abs=1e-10)
    ends = [checkpoint.read(folder / "checkpoints/step-00000020.pt") for folder in (one, two)]
    assert ends[0].position == ends[1].position


def test_sigterm_asks_the_session_to_stop(tmp_path: Path) -> None:
    session = launch.FolderSession(tmp_path)
    assert session.restored() is None and not session.should_stop()
    session.stop = True
    assert session.should_stop()
