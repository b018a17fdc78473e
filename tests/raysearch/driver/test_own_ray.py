"""A Ray of our own: nobody else reaches it, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.raysearch.command import COMMAND, ENVIRONMENT, ROOT, store_of

pytestmark = [pytest.mark.slow, pytest.mark.search, pytest.mark.timeout(600)]
LONG = "scratch/groups/vision/people/somebody/slurm_jobdir/1355700/tmp.t0016/node-local-storage"

ONE_RAY = """
import os, signal, sys
import psutil
from raysearch.driver.cluster import prepare
from raysearch.driver.own_ray import marked, own_ray


def ours():
    words = ("AUTH", "timeout", "wait_time", "RAYSEARCH_RAY", "WINDOWS")
    return {name: text for name, text in os.environ.items() if any(map(name.__contains__, words))}


prepare()
before = ours()
with own_ray(1, "tests") as own:
    import ray

    @ray.remote
    def sees():
        return os.environ["TMPDIR"]

    assert ray.get(sees.remote()) == os.environ["TMPDIR"], "a trial has the user's own TMPDIR"
    assert own.loss() == "" and set(own.processes) == {"gcs_server", "raylet"}
    assert own.folder.stat().st_mode & 0o777 == 0o700
    processes = [psutil.Process(), *map(psutil.Process, marked(own.folder))]
    names = {process.name() for process in processes}
    assert {"gcs_server", "raylet"} <= names and len(processes) > 5, names
    below = {each.pid for each in psutil.Process().children(recursive=True)}
    assert below <= {each.pid for each in processes}, "its agents too, which have titles"
    listening = {
        each.laddr.ip
        for process in processes
        for each in process.net_connections("inet")
        if each.status == "LISTEN"
    }
    assert listening and listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}, listening
    assert os.environ["RAY_AUTH_TOKEN"] and os.environ["RAY_AUTH_MODE"] == "token"
    own.look()
    os.kill(own.processes["gcs_server"], signal.SIGSTOP)
    while not (lost := own.loss()):
        own.look()  # it is stopped for so many looks, and then killed
    assert lost == f"Ray's gcs_server (process {own.processes['gcs_server']}) has ended"
assert not own.folder.exists() and marked(own.folder) == []
assert ours() == before
assert not os.path.exists(os.path.expanduser("~/.ray"))
"""


def test_it_is_private_although_tmpdir_is_long_and_there_is_no_home(tmp_path: Path) -> None:
    long = tmp_path / LONG
    long.mkdir(parents=True)
    places = {"TMPDIR": str(long), "HOME": str(tmp_path / "nowhere")}
    done = subprocess.run(
        [sys.executable, "-c", ONE_RAY],
        env={**ENVIRONMENT, **places},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr


def test_a_ray_that_does_not_start_is_one_sentence_and_no_search(tmp_path: Path) -> None:
    """Its first server cannot listen: somebody else does."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        known = {"RAY_GCS_SERVER_PORT": port, "RAYSEARCH_RAY_START": "2,1"}
        sweep = "tests.raysearch.searches.sweeps:chain"
        done = subprocess.run(
            [*COMMAND, "search", sweep, "--name", "one", "--tracking-uri", "none"],
            env={**ENVIRONMENT, **known, "TMPDIR": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=500,
        )
    assert done.returncode == 69, done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("[")]
    assert said[0] == "starting Ray, for at most 2 s ..."
    assert said[1].startswith("Ray did not start (") and said[1].endswith("for at most 1 s ...")
    assert said[2].startswith("error: Ray does not start on this machine, in 2 tries of at most")
    assert len(said) == 3 and "Traceback" not in done.stderr
    assert not store_of(tmp_path).exists("one") and not (tmp_path / "runs/one").exists()
    assert not [*tmp_path.glob("rs-ray-*")]


def test_what_the_ray_of_a_killed_driver_has_left_goes_with_the_next(tmp_path: Path) -> None:
    from raysearch.driver.own_ray import end_left, marked

    left = tmp_path / "rs-ray-left"
    process = subprocess.Popen(["sleep", "1000"], env={**os.environ, "RAYSEARCH_RAY": str(left)})
    other = subprocess.Popen(["sleep", "1000"], env={**os.environ, "RAYSEARCH_RAY": f"{left}-2"})
    left.mkdir()
    with (left / "agent.out").open("w") as log:  # as one that wrote a title over its environment
        agent = subprocess.Popen(["sleep", "1000"], stdout=log)
    try:
        assert sorted(marked(left)) == sorted([process.pid, agent.pid])
        end_left(left)
        assert process.wait() == agent.wait() == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for each in (process, other, agent):
            each.kill()
            each.wait()
