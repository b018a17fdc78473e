"""`cluster.slurm.sh` in a real Slurm of two nodes, whose time limit is shorter than the search."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from raysearch.trial.session import PRELOAD
from tests.cluster.slurm import Slurm
from tests.cluster.walk import last_link
from tests.raysearch.command import ROOT, view_of

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]
SCRIPT = str(ROOT / "cluster.slurm.sh")
NODES = ["--cpus-per-task=1", "--output=log.txt"]
TOO_SHORT = ["--time=1", "--signal=B:TERM@20"]
"""Slurm counts in minutes and looks twice a minute: it signals 10 to 40 seconds after the start."""
SHORT = ["--time=2", "--signal=B:TERM@20"]
"""Signalled after 70 to 100 seconds."""
LONG = ["--time=10", "--signal=B:TERM@10"]
STEPS = 64  # more than fit into a short job with a pause before each
SEARCH = ["tests.cluster.walk:walks", "--name", "walks", "--tracking-uri", "none"]
SEARCH += [f"steps={STEPS}", "pause=2"]


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
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", PRELOAD: ""}
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


def jobs(slurm: Slurm, folder: Path, limits: list[str]) -> list[int]:
    """How jobs ended: as short ones as it takes to begin, then longer ones until all is done."""
    statuses: list[int] = []
    while (not statuses or statuses[-1] == 124) and len(statuses) < 8:
        job = submit(slurm, folder, LONG if reported(folder) else limits, *SEARCH)
        statuses.append(slurm.ended(job, 700)[1])
    return statuses


def uninterrupted(slurm: Slurm, folder: Path) -> bool:
    """Whether the search equals one that was never interrupted, and nothing is left of its jobs."""
    assert left_of(folder) == [] and not list(slurm.folder.glob("ray.*"))
    trials = view_of(folder, "walks").trials
    ends = [folder / f"runs/walks/{trial.last_checkpoint}" for trial in trials.values()]
    expected = {"step": STEPS, "chain": last_link(STEPS)}
    assert [json.loads(end.read_text()) for end in ends] == [expected] * 2
    steps = [[step for step, *_ in trial.reports] for trial in trials.values()]
    assert steps == [list(range(1, STEPS + 1))] * 2
    return view_of(folder, "walks").state == "finished"


def test_a_search_longer_than_its_job_goes_on_in_the_next_and_equals_an_uninterrupted_one(
    slurm: Slurm, project: Path
) -> None:
    statuses = jobs(slurm, project, SHORT)
    said = (project / "log.txt").read_text()
    assert statuses == [124] * (len(statuses) - 1) + [0] and len(statuses) > 1, said
    assert uninterrupted(slurm, project), said
    trials = view_of(project, "walks").trials
    assert max(len(trial.attempts) for trial in trials.values()) >= 2


@pytest.mark.long
def test_a_job_that_is_over_before_its_search_began_loses_nothing(
    slurm: Slurm, project: Path
) -> None:
    job = submit(slurm, project, TOO_SHORT, *SEARCH)
    assert slurm.ended(job, 300)[1] == 124, (project / "log.txt").read_text()
    job = submit(slurm, project, LONG, *SEARCH)
    before = reported(project)
    while reported(project) <= before and slurm.about(job, "JobState") in ("PENDING", "RUNNING"):
        time.sleep(1)
    slurm.run("scancel", "--signal=TERM", "--batch", job)  # as Slurm does at the time limit
    assert slurm.ended(job, 300)[1] == 124, (project / "log.txt").read_text()
    assert jobs(slurm, project, LONG)[-1] == 0 and uninterrupted(slurm, project)


def test_a_search_without_a_name_is_refused(slurm: Slurm, project: Path) -> None:
    job = submit(slurm, project, LONG, SEARCH[0])
    assert slurm.ended(job, 60) == ("FAILED", 2)
    assert "--name must be given" in (project / "log.txt").read_text()
    assert not (project / "runs").exists()
