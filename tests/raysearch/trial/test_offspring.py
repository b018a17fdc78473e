"""What a trial starts, shares and says: gone with it, its own, and bounded."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import psutil
import pytest

from raysearch.trial import bounded_log, process_tree
from raysearch.trial import child as hosting
from raysearch.trial.child import Child, start_server, stop_server
from raysearch.trial.fork_server import FORK
from raysearch.trial.job import Job, Message
from raysearch.trial.session import PRELOAD
from raysearch.trial.shared_memory import Made

pytestmark = pytest.mark.slow
EXPERIMENT = "tests.raysearch.trial.offspring:run"
ROOT = str(Path(__file__).parents[3])


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PRELOAD, "torch")
        start_server("offspring-tests", 1, EXPERIMENT, [ROOT])
        yield
        stop_server()


def attempt(folder: Path, way: str, experiment: str = EXPERIMENT, **config: Any) -> Job:
    config = {"way": way, **config}
    return Job("t", str(folder), 0, 1, experiment, config, str(folder), paths=[ROOT])


def run_to_the_end(child: Child) -> list[Message]:
    messages: list[Message] = []
    while not messages or messages[-1]["kind"] != "end":
        message = child.next(1.0)
        if message is not None:
            messages.append(message)
            child.answer(stop=False)
    return messages


def hidden(folder: Path) -> list[int]:
    """The processes that hide, as they have said themselves."""
    return [int(file.read_text()) for file in folder.glob("*.pid")]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def fork_server() -> int:
    """The process id of the fork server: the one child of the inner guardian that is its own."""
    assert hosting._server is not None
    _, inner = hosting._server.guarded.pids
    (server,) = [pid for pid in process_tree.children(inner) if process_tree.name_of(pid) == FORK]
    return server


@pytest.mark.parametrize("end", ["return", "die", "hang"])
def test_nothing_that_hides_outlives_the_word_of_its_end(tmp_path: Path, end: str) -> None:
    """Whatever its session, parents or environment; so nothing of it can write any more."""
    child = Child(attempt(tmp_path, "hiding", end=end))
    if end == "hang":
        while (message := child.next(1.0)) is None or message["kind"] != "report":
            pass
        child.answer(stop=False)
        child.kill()
    else:
        assert run_to_the_end(child)[-1]["outcome"] == {"return": "complete", "die": "killed"}[end]
    assert len(hidden(tmp_path)) == 6
    assert [pid for pid in hidden(tmp_path) if process_tree.alive(pid)] == []


def test_a_killed_fork_server_is_a_kill_from_outside_and_the_next_attempt_has_another(
    tmp_path: Path,
) -> None:
    child = Child(attempt(tmp_path / "1", "hiding", end="hang"))
    while (message := child.next(1.0)) is None or message["kind"] != "report":
        pass
    first = fork_server()
    kill(first)
    end = run_to_the_end(child)[-1]
    assert (end["outcome"], end["message"]) == (
        "killed",
        "its fork server was ended, and with that its process",
    )
    assert [pid for pid in hidden(tmp_path / "1") if process_tree.alive(pid)] == []
    messages = run_to_the_end(Child(attempt(tmp_path / "2", "hiding", end="return")))
    assert messages[-1]["outcome"] == "complete" and fork_server() != first


def test_a_stopped_fork_server_goes_on(tmp_path: Path) -> None:
    os.kill(fork_server(), signal.SIGSTOP)
    messages = run_to_the_end(Child(attempt(tmp_path, "hiding", end="return")))
    assert messages[-1]["outcome"] == "complete"


@pytest.mark.parametrize("which", [[0], [1], [0, 1]])
def test_killed_guardians_end_the_attempt_and_the_next_one_has_others(
    tmp_path: Path, which: list[int]
) -> None:
    child = Child(attempt(tmp_path / "1", "hiding", end="hang"))
    while (message := child.next(1.0)) is None or message["kind"] != "report":
        pass
    assert hosting._server is not None
    guardians = hosting._server.guarded.pids
    for index in which:
        kill(guardians[index])
    assert run_to_the_end(child)[-1]["outcome"] == "killed"
    if len(which) == 1:  # whichever is left removes what the inner one has made
        assert process_tree.gone(guardians, 60)
        assert [*Path(tempfile.gettempdir()).glob(f"pymp-{guardians[1]}-*")] == []
    assert [pid for pid in hidden(tmp_path / "1") if process_tree.alive(pid)] == []
    messages = run_to_the_end(Child(attempt(tmp_path / "2", "hiding", end="return")))
    assert messages[-1]["outcome"] == "complete"


@pytest.mark.parametrize("fork", ["returns", "raises", "reports"])
def test_what_a_trial_forks_does_not_speak_for_it(tmp_path: Path, fork: str) -> None:
    job = attempt(tmp_path, "forking", fork=fork)
    messages = run_to_the_end(Child(job))
    assert [message["kind"] for message in messages] == ["report", "end"]
    assert messages[0]["step"] == 1 and messages[1]["outcome"] == "complete"
    said = {"returns": "", "raises": "in a fork", "reports": "cannot use it"}[fork]
    assert said in job.log.read_text()


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_a_trial_sees_what_a_program_of_its_own_would_see(tmp_path: Path, method: str) -> None:
    first = run_to_the_end(Child(attempt(tmp_path / "1", "fresh", method=method)))
    facts = first[0]["facts"]
    draws = facts.pop("draws")
    assert facts == {
        "method": None,
        "parent": False,
        "name": "MainProcess",
        "daemon": False,
        "arguments": 1,
        "tracker": None,
        "main": None,
        "default": True,
        "squares": [0, 1, 4],
    }
    assert (tmp_path / "1/handled.txt").read_text() == "handled"
    if method == "fork":
        return
    again, other = (
        run_to_the_end(Child(attempt(tmp_path / str(seed), "fresh", method=method, seed=seed)))
        for seed in (2, 3)
    )
    assert len({*draws, *again[0]["facts"]["draws"], *other[0]["facts"]["draws"]}) == 9
    repeated = run_to_the_end(Child(attempt(tmp_path / "4", "fresh", method=method, seed=2)))
    assert repeated[0]["facts"]["draws"] == again[0]["facts"]["draws"]


def test_exit_handlers_that_hang_do_not_keep_a_trial(tmp_path: Path) -> None:
    assert run_to_the_end(Child(attempt(tmp_path, "lingering")))[-1]["outcome"] == "complete"


@pytest.mark.parametrize("end", ["return", "die", "exit", "stopped"])
def test_what_a_trial_shares_is_removed_with_it_and_nothing_of_others(
    tmp_path: Path, end: str
) -> None:
    everything = Made()
    before = SharedMemory(create=True, size=64)
    # What a trial that dies has used, Python's own tracker removes whoever made it.
    used = before if end in ("return", "stopped") else None
    child = Child(attempt(tmp_path, "sharing", end=end, other=used and used.name))
    meanwhile = SharedMemory(create=True, size=64)
    try:
        while (message := child.next(1.0)) is None or message["kind"] != "report":
            pass
        everything.look([child.pid])
        made = {name for name, _ in everything._seen} - {before.name}
        assert len(made) == 3
        if end == "stopped":
            child.kill()
        else:
            child.answer(stop=False)
            run_to_the_end(child)
        left = set(os.listdir("/dev/shm"))
        assert not made & left and {before.name, meanwhile.name} <= left
    finally:
        for block in (before, meanwhile):
            block.close()
            block.unlink()


def test_a_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    job = attempt(tmp_path, "talking", lines=30_000)
    assert run_to_the_end(Child(job))[-1]["outcome"] == "complete"
    text = job.log.read_bytes()
    assert len(text) <= bounded_log.LARGEST
    assert b"the first line\n00000000 x" in text[:1000]
    assert text.endswith(b"yyy\nthe last line\n")
    assert text.count(b" MB of output were cut out here]") == 1


def test_a_log_says_how_much_is_missing_after_several_cuts(tmp_path: Path) -> None:
    log = bounded_log.BoundedLog(tmp_path / "log.txt")
    for _ in range(3):
        with (tmp_path / "log.txt").open("ab") as file:
            file.write(b"z" * 12_000_000)
        log.look()
    kept = (tmp_path / "log.txt").read_bytes()
    note = b"\n[30.8 MB of output were cut out here]\n"
    assert kept.count(note) == 1
    assert kept.count(b"z") == bounded_log.HEAD + bounded_log.TAIL
    (tmp_path / "log.txt").unlink()
    log.look()


def test_a_module_that_ends_its_process_when_imported_fails_its_trial_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = tmp_path / "deadly.py"
    deadly.write_text("import os\nos._exit(7)\n")
    monkeypatch.setattr(hosting, "_server", None)
    start_server("deadly-tests", 1, "deadly:run", [str(tmp_path), ROOT])
    try:
        job = attempt(tmp_path / "1", "none", experiment="deadly:run")
        messages = run_to_the_end(Child(Job.read(job.to_json().replace(ROOT, str(tmp_path)))))
        assert messages[-1]["outcome"] == "exit" and "exit code 7" in messages[-1]["message"]
    finally:
        stop_server()


def test_a_host_that_goes_on_has_no_children_left_over(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    run_to_the_end(Child(attempt(tmp_path, "hiding", end="return")))
    names = {child.name() for child in {*psutil.Process().children()} - before}
    assert names <= {"raysearch-watch", "python"}
