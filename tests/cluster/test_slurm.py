"""`cluster.slurm.sh` in a real Slurm of two nodes, whose time limit is shorter than the search."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.slurm import Slurm
from tests.cluster.walk import last_link
from tests.raysearch.command import ROOT, json_of, view_of

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]
SCRIPT = str(ROOT / "cluster.slurm.sh")
NODES = ["--cpus-per-task=1", "--output=log.txt"]
SHORT = ["--time=1", "--signal=B:TERM@20"]
"""Slurm counts in minutes and looks twice a minute: it signals 10 to 40 seconds after the start."""
LONG = ["--time=4", "--signal=B:TERM@10"]
STEPS = 64  # more than fit into a short job
SEARCH = ["tests.cluster.walk:walks", "--name", "walks", "--tracking-uri", "none"]
SEARCH += [f"steps={STEPS}", "pause=0.5"]


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    started = Slurm()
    yield started
    started.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with an environment, as that of this project is."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def submit(slurm: Slurm, folder: Path, limits: list[str], *arguments: str) -> str:
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment["RAYSEARCH_TMP"] = str(slurm.folder)
    return slurm.submit(folder, [*NODES, *limits, SCRIPT, *arguments], **environment)


def left_of(folder: Path) -> list[str]:
    """Processes of a job that was submitted from a folder."""
    found: list[str] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SLURM_SUBMIT_DIR") == str(folder):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def reported(folder: Path) -> int:
    """How many reports there are, of all trials."""
    if not (folder / "runs/walks").exists():
        return 0
    return sum(len(trial.reports) for trial in view_of(folder, "walks").trials.values())


def test_a_search_longer_than_its_job_goes_on_in_the_next_and_equals_an_uninterrupted_one(
    slurm: Slurm, project: Path
) -> None:
    job = submit(slurm, project, SHORT, *SEARCH)
    assert slurm.ended(job, 300)[1] == 124, (project / "log.txt").read_text()
    job = submit(slurm, project, LONG, *SEARCH)
    before = reported(project)
    while reported(project) <= before and slurm.about(job, "JobState") in ("PENDING", "RUNNING"):
        time.sleep(0.3)
    slurm.run("scancel", "--signal=TERM", "--batch", job)  # as Slurm does at the time limit
    statuses = [slurm.ended(job, 300)[1]]
    while statuses[-1] == 124 and len(statuses) < 5:
        job = submit(slurm, project, LONG, *SEARCH)
        statuses.append(slurm.ended(job, 400)[1])
    said = (project / "log.txt").read_text()
    assert statuses[0] == 124 and statuses[-1] == 0, said
    assert left_of(project) == [] and not list(slurm.folder.glob("ray.*")), said
    trials = view_of(project, "walks").trials
    ends = [project / f"runs/walks/{trial.last_checkpoint}" for trial in trials.values()]
    expected = {"step": STEPS, "chain": last_link(STEPS)}
    assert [json.loads(end.read_text()) for end in ends] == [expected] * 2
    steps = [[step for step, *_ in trial.reports] for trial in trials.values()]
    assert steps == [list(range(1, STEPS + 1))] * 2
    assert max(len(trial.attempts) for trial in trials.values()) >= 2
    assert json_of(project, "status", "walks")["state"] == "finished"


def test_a_search_without_a_name_is_refused(slurm: Slurm, project: Path) -> None:
    job = submit(slurm, project, SHORT, SEARCH[0])
    assert slurm.ended(job, 60) == ("FAILED", 2)
    assert "--name must be given" in (project / "log.txt").read_text()
    assert not (project / "runs").exists()
