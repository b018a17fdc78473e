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

from raysearch.trial import process_tree
from raysearch.trial.child import kill_orphans
from raysearch.trial.guarded import Guarded

pytestmark = [pytest.mark.slow, pytest.mark.kill]
ROOT = Path(__file__).parents[3]
FAR = 120.0
"""Seconds, far beyond what any machine needs."""


def hosted(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, int], list[int]]:
    """A host below a shell, the process ids of all, and those of what hides below its trial."""
    command = f"{sys.executable} -m tests.raysearch.trial.hosted {folder}; true"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    node = subprocess.Popen(["sh", "-c", command], cwd=ROOT, env=environment)
    wait_for(folder / "known.json")
    known = json.loads((folder / "known.json").read_text())
    hidden = [int(file.read_text()) for file in folder.glob("*.pid")]
    assert len(hidden) == 6 and all(map(process_tree.alive, hidden))
    return node, known, hidden


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
    node, known, hidden = hosted(tmp_path)
    for victim in victims:
        number = signal.SIGSTOP if victim.startswith("stop") else signal.SIGKILL
        os.kill(known[victim.removeprefix("stop ")], number)
    assert process_tree.gone([*hidden, known["trial"], known["server"]], FAR)
    assert process_tree.gone([known["inner"], known["outer"]], FAR)
    if "node" in victims and "stop host" not in victims:
        process_tree.send(known["host"], signal.SIGKILL)
    assert process_tree.gone([known["host"]], FAR)
    node.wait()


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + FAR
    while not file.exists():
        assert time.monotonic() < deadline, f"no {file}"
        time.sleep(0.05)


def test_the_end_of_a_search_ends_what_its_hosts_have_and_a_living_host_is_no_orphan(
    tmp_path: Path,
) -> None:
    node, known, hidden = hosted(tmp_path)
    label = f"hosted-{tmp_path.name}"
    assert kill_orphans(label) == 0 and all(map(process_tree.alive, hidden))
    assert kill_orphans(label, living=True) > 0
    below = ("outer", "inner", "server", "trial")
    assert not any(map(process_tree.alive, [*hidden, *(known[name] for name in below)]))
    node.wait()


def test_a_tree_is_a_process_and_all_below_it() -> None:
    begin = "sleep 1000 & (sleep 1000 & wait) & echo; wait"
    with subprocess.Popen(["sh", "-c", begin], stdout=subprocess.PIPE) as top:
        assert top.stdout is not None and top.stdout.readline() == b"\n"
        deadline = time.monotonic() + FAR
        while len(found := process_tree.family(top.pid)) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert found[0] == top.pid and len(found) == 4
        assert (
            set(process_tree.children(top.pid)) < set(found)
            and len(process_tree.children(top.pid)) == 2
        )
        process_tree.kill_tree(top.pid)
        assert process_tree.gone(found, FAR)
        assert process_tree.family(top.pid) == [] and not process_tree.alive(top.pid)
    assert process_tree.birth(top.pid) == 0 and process_tree.name_of(top.pid) == ""


def test_guardians_that_cannot_start_are_an_error_and_nothing_is_left() -> None:
    before = set(process_tree.children(os.getpid()))
    with pytest.raises(RuntimeError, match="guardians of this host"):
        Guarded([], "none:run", {"PYTHONHOME": "/nowhere"})
    assert set(process_tree.children(os.getpid())) == before


def test_no_signal_is_ever_sent_to_a_whole_group() -> None:
    assert not process_tree.send(0, signal.SIGKILL) and not process_tree.send(-1, signal.SIGKILL)
