"""The mark of a process names that process alone, and only while it has not ended."""

from __future__ import annotations

import os
import signal
import subprocess

from raysearch.trial.process_mark import is_there, mark_of_process


def test_this_process_is_there_and_no_other_has_its_mark() -> None:
    mark = mark_of_process()
    boot, pid, started = mark.split()
    assert is_there(mark) and int(pid) == os.getpid()
    assert not is_there(f"{boot} {pid} {int(started) + 1}"), "a later one with the same number"
    assert not is_there(f"another-boot {pid} {started}"), "one on another machine"
    assert not is_there("")


def test_a_stopped_process_is_there_and_one_that_has_ended_is_not() -> None:
    process = subprocess.Popen(["sleep", "1000"])
    mark = mark_of_process(process.pid)
    process.send_signal(signal.SIGSTOP)
    assert is_there(mark)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_there(mark), "not reaped, but ended"
    process.wait()
    assert not is_there(mark)
