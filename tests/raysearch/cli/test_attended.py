"""A program that is waited for leaves nothing behind, whichever signal ends the wait."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from raysearch.trial.process_tree import family, gone
from tests.raysearch.command import ENVIRONMENT, wait_until

PROGRAM = """
import os, subprocess, sys
from raysearch.cli.attended import attended
sleep = "[sys.executable, '-c', 'import time; time.sleep(600)']"
inner = f"import subprocess, sys; subprocess.run({sleep})"
attended([sys.executable, "-c", inner], os.environ)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_with_all_that_it_started(tmp_path: Path, number: signal.Signals) -> None:
    waiting = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: len(family(waiting.pid)) == 3, 120, "for a program and its child")
        below = family(waiting.pid)[1:]
        waiting.send_signal(number)  # to it alone, as `kill` does
        status = waiting.wait(120)
        assert status == (0 if number != signal.SIGINT else -signal.SIGINT)
        assert gone(below, 1)
    finally:
        for pid in family(waiting.pid):
            subprocess.run(["kill", "-9", str(pid)], check=False)


def test_a_program_that_ends_by_itself_is_waited_for(tmp_path: Path) -> None:
    code = (
        f"from raysearch.cli.attended import attended; attended(['touch', '{tmp_path}/done'], {{}})"
    )
    environment = {**ENVIRONMENT, "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert (tmp_path / "done").exists()
