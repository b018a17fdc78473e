"""Guardians: whichever processes above a trial are killed, and in which order, its tree ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raysearch.run import tree

pytestmark = [pytest.mark.slow, pytest.mark.kill]
ROOT = Path(__file__).parents[3]
FAR = 120.0
"""Seconds, far beyond what any machine needs."""


@pytest.mark.parametrize(
    "victims",
    [
        ["node"],
        ["host"],
        ["inner", "host"],
        ["stop host", "node"],
        pytest.param(["host", "outer"], marks=pytest.mark.long),
        pytest.param(["server", "trial", "host"], marks=pytest.mark.long),
        pytest.param(["outer", "node"], marks=pytest.mark.long),
    ],
    ids=" ".join,
)
def test_nothing_outlives_the_processes_above_it(tmp_path: Path, victims: list[str]) -> None:
    host = f"{sys.executable} -m tests.raysearch.run.hosted {tmp_path}; true"
    node = subprocess.Popen(
        ["sh", "-c", host], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    wait_for(tmp_path / "known.json")
    known = json.loads((tmp_path / "known.json").read_text())
    hidden = [int(file.read_text()) for file in tmp_path.glob("*.pid")]
    assert len(hidden) == 6 and all(map(tree.alive, hidden))
    for victim in victims:
        number = signal.SIGSTOP if victim.startswith("stop") else signal.SIGKILL
        os.kill(known[victim.removeprefix("stop ")], number)
    assert tree.gone([*hidden, known["trial"], known["server"]], FAR)
    assert tree.gone([known["inner"], known["outer"]], FAR)
    if "node" in victims and "stop host" not in victims:
        tree.send(known["host"], signal.SIGKILL)
    assert tree.gone([known["host"]], FAR)
    node.wait()


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + FAR
    while not file.exists():
        assert time.monotonic() < deadline, f"no {file}"
        time.sleep(0.05)


def test_a_tree_is_a_process_and_all_below_it() -> None:
    begin = "sleep 1000 & (sleep 1000 & wait) & echo; wait"
    with subprocess.Popen(["sh", "-c", begin], stdout=subprocess.PIPE) as top:
        assert top.stdout is not None and top.stdout.readline() == b"\n"
        deadline = time.monotonic() + FAR
        while len(found := tree.family(top.pid)) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert found[0] == top.pid and len(found) == 4
        assert set(tree.children(top.pid)) < set(found) and len(tree.children(top.pid)) == 2
        tree.kill_tree(top.pid)
        assert tree.gone(found, FAR)
        assert tree.family(top.pid) == [] and not tree.alive(top.pid)
    assert tree.birth(top.pid) == 0 and tree.name_of(top.pid) == ""
