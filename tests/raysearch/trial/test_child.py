"""A trial's process: every way to end is told apart, and nothing of it survives."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from raysearch.trial.child import Child, start_server, stop_server
from raysearch.trial.job import Job, Message
from raysearch.trial.process_mark import mark_of_process
from raysearch.trial.session import failure

pytestmark = pytest.mark.slow
EXPERIMENT = "tests.raysearch.trial.misbehaving:run"
ROOT = str(Path(__file__).parents[3])


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    start_server("child-tests", 1, EXPERIMENT, [ROOT])
    yield
    stop_server()


def attempt(folder: Path, way: str, **settings: Any) -> Job:
    config = {"way": way, **settings.pop("config", {})}
    return Job(
        "child-tests", str(folder), 0, 1, EXPERIMENT, config, str(folder), paths=[ROOT], **settings
    )


def run_to_the_end(job: Job, limit: float = 900) -> tuple[list[Message], Child]:
    child, messages, deadline = Child(job), [], time.monotonic() + limit
    while time.monotonic() < deadline:
        message = child.next(1.0)
        if message is None:
            continue
        messages.append(message)
        if message["kind"] == "report":
            child.answer(stop=False)
        if message["kind"] == "end":
            return messages, child
    raise AssertionError(f"no end within {limit} s")


def test_a_host_says_what_was_written_to_after_its_report(tmp_path: Path) -> None:
    from raysearch.trial.host import _PREPARED, Host

    job = attempt(tmp_path / "0000/attempt-1", "writes on")
    _PREPARED.add(job.label)
    host, messages = object.__new__(Host), list[Message]()  # outside of Ray
    host._job, host._is_due = job, True
    while not messages or messages[-1]["kind"] != "end":
        messages += json.loads(host.step()["messages"])
    kept = f"{job.folder}/kept/00000009/step-9.pt"
    said = "has 18 bytes, it had 17 when it was reported"
    assert messages[-2] == {"kind": "damaged", "path": kept, "what": said}
    assert messages[-1]["outcome"] == "complete"


def test_a_host_says_once_on_which_machine_its_attempt_runs(tmp_path: Path) -> None:
    from raysearch.trial.host import _PREPARED, Host

    job = attempt(tmp_path / "0000/attempt-1", "well")
    _PREPARED.add(job.label)
    host, messages = object.__new__(Host), list[Message]()  # outside of Ray
    host._job, host._is_due = job, True
    while not messages or messages[-1]["kind"] != "end":
        messages += json.loads(host.step()["messages"])
    placed = {"kind": "placed", "nodes": [socket.gethostname()]}
    assert messages[0] == placed and messages.count(placed) == 1


def test_a_trial_that_says_much_blocks_no_step(tmp_path: Path) -> None:
    from raysearch.trial.host import _MOST, _PREPARED, Host

    job = attempt(tmp_path / "0000/attempt-1", "describes on")
    _PREPARED.add(job.label)
    host, said = object.__new__(Host), list[list[Message]]()  # outside of Ray
    host._job, host._is_due = job, True
    while not said or not said[-1] or said[-1][-1]["kind"] != "end":
        said.append(json.loads(host.step()["messages"]))
    assert max(map(len, said)) <= _MOST
    counts = [one["facts"].get("count") for new in said for one in new if one["kind"] == "describe"]
    assert counts == [None, *range(3000)]


def test_a_host_that_is_never_asked_runs_nothing_and_an_attempt_begins_once(tmp_path: Path) -> None:
    from raysearch.trial.host import _PREPARED, Host

    job = attempt(tmp_path / "0000/attempt-1", "well")
    _PREPARED.add(job.label)
    spare, host = object.__new__(Host), object.__new__(Host)  # outside of Ray
    spare.setup({"job": job.to_json()})
    assert not Path(job.folder).exists()
    for one in (host, spare):
        one._job, one._is_due = job, True
    while (said := json.loads(host.step()["messages"])) and said[-1]["kind"] != "end":
        pass
    assert said[-1]["outcome"] == "complete"
    again = json.loads(spare.step()["messages"])[-1]
    assert again["outcome"] == "exception" and "FileExistsError" in again["message"]


@pytest.mark.parametrize(
    ("way", "outcome", "words"),
    [
        ("well", "complete", ""),
        ("raise", "exception", "ValueError: this experiment always fails"),
        ("diverge", "diverged", "FloatingPointError: loss is nan at step 3"),
        ("exit", "exit", "exit code 3"),
        ("segv", "signal", "SIGSEGV"),
        ("killed", "killed", "SIGKILL"),
        ("memory error", "memory", "MemoryError: no room"),
        ("text metric", "exception", "metric 'score' must be a number, got 'high'"),
        ("goes back", "exception", "step must not go back within a run, got 1 after 2"),
        ("two values", "exception", "metric 'score' must have one value at step 2, got 0.2 and"),
        ("sys.exit(0)", "complete", ""),
        ("sys.exit()", "complete", ""),
        ("sys.exit(1)", "exit", "SystemExit: 1"),
        ("no watches", "exception", "No space left on device: 'inotify'"),
        ("no memory in torch", "memory", "DefaultCPUAllocator"),
        ("fork goes on", "exception", "ValueError: said by the trial itself"),
        ("fork reports", "complete", ""),
        ("raises in a circle", "exception", "ValueError: because of itself"),
        ("closes its output", "complete", ""),
        ("closes its errors", "exception", "ValueError: said all the same"),
        ("no output", "complete", ""),
    ],
)
def test_the_way_a_trial_ends_is_told_apart(
    tmp_path: Path, way: str, outcome: str, words: str
) -> None:
    messages, _ = run_to_the_end(attempt(tmp_path, way))
    end = messages[-1]
    assert end["outcome"] == outcome
    assert words in end["message"]
    assert [message["step"] for message in messages if message["kind"] == "report"] == [1, 2]


def test_exit_code_zero_without_a_word_is_a_failure(tmp_path: Path) -> None:
    messages, _ = run_to_the_end(attempt(tmp_path, "exit", config={"code": 0}))
    assert messages[-1]["outcome"] == "exit"


def test_a_disk_is_full_where_it_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, found = attempt(tmp_path, "well"), os.statvfs(tmp_path)
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    job.traceback.parent.mkdir(parents=True, exist_ok=True)
    assert failure(job, error)["outcome"] == "exception"
    monkeypatch.setattr(os, "statvfs", lambda folder: SimpleNamespace(f_bavail=9, f_frsize=4096))
    assert found.f_bavail > 9 and failure(job, error)["outcome"] == "full"


def test_a_trial_that_grows_past_its_memory_is_ended(tmp_path: Path) -> None:
    messages, _ = run_to_the_end(attempt(tmp_path, "grow", memory=600 << 20))
    assert messages[-1]["outcome"] == "memory"
    assert "of its 600 MiB" in messages[-1]["message"]


def test_a_silent_trial_is_ended_after_its_patience(tmp_path: Path) -> None:
    start = time.monotonic()
    messages, _ = run_to_the_end(attempt(tmp_path, "hang", patience=1.5))
    assert messages[-1]["outcome"] == "hang"
    assert time.monotonic() - start > 1.4


def test_a_trial_that_says_that_it_lives_is_not_ended(tmp_path: Path) -> None:
    """It reports nothing for five seconds, and its patience is 1.5 s; the search hears no more."""
    start = time.monotonic()
    messages, _ = run_to_the_end(attempt(tmp_path, "lives", patience=1.5))
    assert messages[-1]["outcome"] == "complete" and time.monotonic() - start > 5
    assert {message["kind"] for message in messages} == {"describe", "report", "end"}


def test_signs_of_life_are_in_no_way_of_the_limit_of_memory(tmp_path: Path) -> None:
    messages, _ = run_to_the_end(attempt(tmp_path, "lives and grows", memory=600 << 20))
    assert messages[-1]["outcome"] == "memory"


def test_time_in_which_nobody_listened_is_no_silence_of_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raysearch.trial.child.UNWATCHED", 0.5)
    child = Child(attempt(tmp_path, "hang", patience=1.5))
    first = child.next(60)
    assert first is not None and first["kind"] != "end"
    time.sleep(2)  # longer than its patience
    message = child.next(0.1)
    while message is not None and message["kind"] != "report":
        message = child.next(0.1)
    child.kill()
    assert message is None or message["kind"] == "report"


def test_a_trial_waits_for_a_driver_that_is_there_however_long(tmp_path: Path) -> None:
    child = Child(attempt(tmp_path, "well", lease=0.1, driver=mark_of_process()))
    log = tmp_path / "log.txt"
    messages = list[Message]()
    while not messages or messages[-1]["kind"] != "report":
        if (message := child.next(1.0)) is not None:
            messages.append(message)
    while "waiting for the driver" not in log.read_text():
        assert child.next(0.1) is None
    while messages[-1]["kind"] != "end":
        child.answer(stop=False)
        if (message := child.next(1.0)) is not None:
            messages.append(message)
    assert messages[-1]["outcome"] == "complete"


def test_a_trial_whose_driver_is_not_seen_ends_by_its_lease_as_silent(tmp_path: Path) -> None:
    child = Child(attempt(tmp_path, "well", lease=0.1, driver="another machine 1 1"))
    message = None
    while message is None or message["kind"] != "end":
        message = child.next(1.0)
    assert message["outcome"] == "silent"
    assert message["message"] == "no answer for 0.1 s, and its driver is not seen here"


def test_each_attempt_keeps_its_log_and_its_traceback(tmp_path: Path) -> None:
    job = attempt(tmp_path / "attempt-1", "raise")
    run_to_the_end(job)
    assert job.log.read_text().startswith("attempt in attempt-1\n")
    assert "ValueError: this experiment always fails" in job.traceback.read_text()


def test_an_attempt_runs_in_the_folder_in_which_the_search_was_started(tmp_path: Path) -> None:
    job = replace(attempt(tmp_path / "runs", "well"), paths=[ROOT, str(tmp_path)])
    messages, _ = run_to_the_end(job)
    assert messages[0]["facts"]["folder"] == str(tmp_path)


def test_the_heavy_libraries_were_preloaded(tmp_path: Path) -> None:
    job = attempt(tmp_path, "well")
    messages, _ = run_to_the_end(job)
    assert messages[0]["facts"]["modules"] == ["timm", "torch", "torch._dynamo"]
    assert "not preloaded" not in job.log.read_text()


@pytest.mark.parametrize("hang", [False, True])
def test_nothing_that_a_trial_started_outlives_it(tmp_path: Path, hang: bool) -> None:
    job = attempt(tmp_path, "offspring", config={"hang": hang})
    if hang:
        child = Child(job)
        while (message := child.next(1.0)) is not None:
            if message["kind"] == "report":
                child.answer(stop=False)
        before = sleepers()
        assert len(before) == 2
        child.kill()
    else:
        run_to_the_end(job)
    assert sleepers() == []


def sleepers() -> list[int]:
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if line in ("sleep 1000",) or "time.sleep(1000)" in line:
            if process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def test_a_trial_never_runs_ahead_of_an_answer(tmp_path: Path) -> None:
    child = Child(attempt(tmp_path, "well"))
    kinds = [message["kind"] for message in (child.next(5.0), child.next(5.0)) if message]
    assert kinds == ["describe", "report"]
    assert child.next(0.5) is None
    child.kill()


def test_a_trial_without_an_answer_ends_itself(tmp_path: Path) -> None:
    child = Child(attempt(tmp_path, "well", lease=0.3))
    messages = [child.next(5.0) for _ in range(3)]
    assert messages[-1] is not None
    assert messages[-1]["outcome"] == "silent"
    assert "no answer for 0.3 s" in child.job.log.read_text()


def test_a_job_survives_json() -> None:
    job = attempt(Path("/x"), "well", memory=5, kept=[{"step": 1, "path": "p", "value": 0.5}])
    assert Job.read(job.to_json()) == job
    assert json.loads(job.to_json())["memory"] == 5
