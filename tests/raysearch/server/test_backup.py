"""The commands of docs/backup.md, run as they stand there: what was backed up is restored."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from raysearch.events.log import Store
from raysearch.tracking.consumer import sync
from raysearch.tracking.mlflow.address import client_of
from tests.raysearch.command import ROOT
from tests.raysearch.events import streams
from tests.raysearch.events.postgres import programs
from tests.raysearch.server.served import Served

PLACES = "STATE=~/.raysearch RUNS=runs BACKUP=backup"


def run(block: int, folder: Path) -> None:
    """Runs one block of commands, with the places of a test."""
    commands = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "backup.md").read_text(), re.S)
    assert PLACES in commands[block]
    places = f"STATE={folder}/state RUNS={folder}/runs BACKUP={folder}/backup"
    path = os.pathsep.join([str(Path(sys.executable).parent), str(programs()), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    script = "set -e\n" + commands[block].replace(PLACES, places)
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_what_is_backed_up_while_all_runs_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed (Debian: apt-get install rsync)")
    served = Served(tmp_path)
    try:
        served.begin()
        known, folder = served.now(), served.runs / "one"
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", known.tracking_user)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", known.tracking_password)
        streams.search(Store(known.store), "one", folder)
        written = sync(Store(known.store), "one", known.tracking_uri, folder)
        run(0, tmp_path)
        served.end()
        shutil.rmtree(served.state)
        shutil.rmtree(served.runs)
        run(1, tmp_path)
        served.begin()
        assert len(list(Store(served.now().store).events("one"))) == written > 30
        assert sync(Store(served.now().store), "one", known.tracking_uri, folder) == 0
        assert client_of(known.tracking_uri).get_experiment_by_name("ssl/by_hand") is not None
        assert list((served.runs / "mlartifacts").rglob("confusion.png"))
    finally:
        served.close()
