"""A part of the service: started again when it dies, ended whole, dead with its service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from raysearch.server import part as part_module
from raysearch.server.logs import last_line, rotate
from raysearch.server.part import Part, Program, end_marked, mark_of

SLEEP = "import time; print('begun', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
WITH_CHILD = "import subprocess; subprocess.Popen(['sleep', '60']); " + SLEEP
SERVICE = """
import sys, time
from pathlib import Path
from raysearch.server.part import Part, Program
part = Part("one", Program([sys.executable, "-c", "import time; time.sleep(60)"]), lambda: "", Path(sys.argv[1]))
part.start(900)
print(part.status()["pid"], flush=True)
time.sleep(60)
"""  # noqa: E501


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_module, "ASK_EVERY", 0.1)
    monkeypatch.setattr(part_module, "PAUSES", (0.0, 0.2, 0.5))


def program(code: str, **options: Any) -> Program:
    return Program([sys.executable, "-c", code], **options)


def part_of(state: Path, code: str, answers: Callable[[], str] | None = None, **more: Any) -> Part:
    """A part that is up once its process has said something."""
    log = state / "logs" / "one.log"
    has_begun = answers or (lambda: "" if last_line(log) else "not yet")
    return Part("one", program(code, **more), has_begun, state)


def wait_until(condition: Callable[[], bool], limit: float = 900) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_part_that_is_killed_is_started_again_and_the_reason_kept(tmp_path: Path) -> None:
    part = part_of(tmp_path, SLEEP)
    states = list[str]()
    part.listeners.append(lambda: states.append(part.status()["state"]))
    part.start(900)
    first = part.status()["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: part.restarts == 1 and part.status()["state"] == "up")
    status = part.status()
    part.stop()
    assert states[:3] == ["up", "down", "up"] and status["pid"] != first
    assert status["reason"] == "it was ended by signal SIGKILL"


def test_a_part_that_never_comes_up_is_said_with_its_last_words_and_its_log(
    tmp_path: Path,
) -> None:
    part = part_of(tmp_path, "import sys; sys.exit('no such thing')", lambda: "not yet")
    with pytest.raises(ConnectionError, match="exit status 1: no such thing .*one.log"):
        part.start(900)
    part.stop()


def test_a_part_that_fails_again_and_again_waits_longer_and_longer(tmp_path: Path) -> None:
    part = part_of(tmp_path, "import time; print(time.time(), flush=True)", lambda: "not yet")
    with pytest.raises(ConnectionError):
        part.start(900)
    part.stop()
    first, second, third = map(float, part.log.read_text().split()[:3])
    pauses = part_module.PAUSES
    assert second - first >= pauses[1] and third - second >= pauses[2]


def test_a_part_that_does_not_end_in_order_is_killed(tmp_path: Path) -> None:
    part = part_of(tmp_path, STUBBORN, grace=0.3)
    part.start(900)
    pid = part.status()["pid"]
    part.stop()
    assert ended(pid)


def test_what_a_killed_part_has_left_is_ended_before_it_is_started_again(tmp_path: Path) -> None:
    part = part_of(tmp_path, WITH_CHILD)
    part.start(900)
    process = psutil.Process(part.status()["pid"])
    child = process.children()[0]
    process.kill()
    wait_until(lambda: part.restarts == 1 and part.status()["state"] == "up")
    part.stop()
    assert ended(child.pid)


def test_a_part_dies_with_its_service(tmp_path: Path) -> None:
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert service.stdout is not None
    pid = int(service.stdout.readline())
    service.kill()
    service.wait()
    service.stdout.close()
    wait_until(lambda: ended(pid))


def test_only_processes_of_this_state_are_ended(tmp_path: Path) -> None:
    parts = [part_of(tmp_path / name, SLEEP) for name in ("state", "state-2")]
    for part in parts:
        part.start(900)
    pids = [part.status()["pid"] for part in parts]
    assert end_marked(mark_of(tmp_path / "state")) == 1
    wait_until(lambda: parts[0].restarts == 1)
    assert parts[1].status()["pid"] == pids[1]
    for part in parts:
        part.stop()


def test_a_part_that_lives_and_does_not_answer_is_down(tmp_path: Path) -> None:
    said = [""]
    part = part_of(tmp_path, SLEEP, lambda: said[0])
    part.start(900)
    said[0] = "its database is away"
    wait_until(lambda: part.status()["state"] == "down")
    assert part.status()["reason"] == "its database is away" and part.restarts == 0
    said[0] = ""
    wait_until(lambda: part.status()["state"] == "up")
    part.stop()


def test_a_log_that_grows_too_large_begins_anew_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    with log.open("a") as writer:
        for number in range(6):
            print(f"{number} " + 100 * "x", file=writer, flush=True)
            rotate(log, largest=50)
        print("last", file=writer, flush=True)
    assert log.read_text() == "last\n"
    kept = {path.name: path.read_text()[0] for path in tmp_path.glob("*.log.*")}
    assert kept == {"one.log.1": "5", "one.log.2": "4", "one.log.3": "3"}
