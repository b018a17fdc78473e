"""Programs as attempts: started in a copy of their code, heard, resumed, stopped, and ended."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import raysearch
from raysearch import Program, trainable
from raysearch.programs.endings import ended
from raysearch.provenance.snapshot import changed_since, keep, programs_of, unpack_folder
from raysearch.provenance.sources import gather
from raysearch.sweeps.program import PROGRAM
from raysearch.trial.child import Child, start_server, stop_server
from raysearch.trial.job import Job, Message
from raysearch.trial.process_tree import alive
from raysearch.trial.session import PRELOAD

pytestmark = pytest.mark.slow
ROOT = str(Path(__file__).parents[3])
OBJECTIVE = [{"name": "val/acc", "direction": "maximize", "reduce": "last"}]
READ = r"epoch (?P<step>\d+) acc (?P<val_acc>[\d.]+)"


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv(PRELOAD, "")
    start_server("program-tests", 1, PROGRAM, [ROOT])
    yield
    stop_server()
    patch.undo()


def job_of(folder: Path, script: str, number: int = 1, **stated: Any) -> Job:
    """An attempt at a script in a folder of its own."""
    code, settings = folder / "code", stated.pop("job", {})
    code.mkdir(parents=True, exist_ok=True)
    (code / "train.py").write_text(script)
    values = stated.pop("values", {})
    program = Program(stated.pop("command", "python train.py"), folder=code, **stated)
    return Job(
        "program-tests",
        str(folder / "search"),
        0,
        number,
        PROGRAM,
        program(values).to_json(),
        str(folder / f"search/0000/attempt-{number}"),
        objectives=OBJECTIVE,
        paths=[ROOT],
        **settings,
    )


def run(job: Job, stop_at: int | None = None) -> list[Message]:
    """All that an attempt says, to its end; it is asked to stop at a step."""
    child, messages = Child(job), list[Message]()
    while not messages or messages[-1]["kind"] != "end":
        message = child.next(1.0)
        if message is not None:
            messages.append(message)
            if message["kind"] == "report":
                child.answer(stop=message["step"] == stop_at)
    return messages


def reports(messages: list[Message]) -> list[tuple[int, float | None]]:
    said = [one for one in messages if one["kind"] == "report"]
    return [(one["step"], one["metrics"].get("val/acc")) for one in said]


def log(job: Job) -> str:
    return job.log.read_text()


def test_it_runs_in_a_copy_of_its_code_beside_its_data(tmp_path: Path) -> None:
    data, out = tmp_path / "code/data", tmp_path / "code/outputs"
    data.mkdir(parents=True)
    out.mkdir()
    (data / "x.bin").write_text("7")
    script = """
import os, sys
assert os.path.islink("data") and not os.path.exists("outputs"), os.listdir()
open("made.txt", "w").write("x")
print("epoch 1 acc", open("data/x.bin").read(), sys.argv[1:])
"""
    job = job_of(tmp_path, script, read=READ, values={"lr": 0.1})
    messages = run(job)
    assert reports(messages) == [(1, 7.0)] and messages[-1]["outcome"] == "complete"
    assert "['--lr=0.1']" in log(job) and "linked: data" in log(job)
    assert not (tmp_path / "code/made.txt").exists()
    assert (Path(job.folder) / "work/made.txt").read_text() == "x"


def test_three_lines_report_and_stop(tmp_path: Path) -> None:
    script = """
import raysearch
for step in range(1, 100):
    open("last.pt", "w").write(str(step))
    raysearch.report(step, {"val/acc": step / 10}, checkpoint="last.pt")
    if raysearch.should_stop():
        print("saved and left at", step, raysearch.config())
        break
"""
    job = job_of(tmp_path, script, values={"lr": 0.1, "seed": 4})
    messages = run(job, stop_at=3)
    assert reports(messages) == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert messages[-1]["outcome"] == "paused"
    assert "saved and left at 3 {'lr': 0.1, 'seed': 4}" in log(job)
    kept = [one["checkpoint"] for one in messages if one["kind"] == "report"]
    assert Path(kept[-1]).read_text() == "3"


RESUMES = """
import argparse, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--resume")
args = parser.parse_args()
start = int(open(args.resume).read()) if args.resume else 0
print("begins at", start)
os.makedirs("ckpts", exist_ok=True)
for epoch in range(start + 1, start + 4):
    print("epoch", epoch, "acc", epoch / 10)
    open(f"ckpts/{epoch}.pt", "w").write(str(epoch))
    time.sleep(0.5)
os._exit(3 if not start else 0)
"""


def test_it_goes_on_from_the_newest_checkpoint_of_its_own(tmp_path: Path) -> None:
    how: dict[str, Any] = {
        "read": READ,
        "resume": "--resume {checkpoint}",
        "checkpoints": "ckpts/*.pt",
    }
    first = run(job_of(tmp_path, RESUMES, **how))
    assert first[-1]["outcome"] == "exit" and first[-1]["message"].startswith("code 3: epoch 3")
    kept = [one for one in first if one["kind"] == "report" and one.get("checkpoint")]
    written = [(one["step"], Path(one["checkpoint"]).name) for one in kept]
    assert written[-1] == (3, "3.pt") and all(name == f"{step}.pt" for step, name in written)
    last = kept[-1]
    known = [{"step": 3, "path": last["checkpoint"]}]
    job = job_of(tmp_path, RESUMES, 2, **how, job={"restored": last["checkpoint"], "kept": known})
    second = run(job)
    assert [step for step, value in reports(second) if value] == [4, 5, 6]
    assert "begins at 3" in log(job) and "attempt 2 goes on from 3.pt" in log(job)


def test_a_kept_folder_is_that_of_all_attempts_and_without_one_it_starts_anew(
    tmp_path: Path,
) -> None:
    script = """
import os
os.makedirs("out", exist_ok=True)
open("out/count", "a").write("x")
print("epoch 1 acc", len(open("out/count").read()))
"""
    values = [
        run(job_of(tmp_path / "kept", script, each, read=READ, keep="out")) for each in (1, 2)
    ]
    assert [reports(one) for one in values] == [[(1, 1.0)], [(1, 2.0)]]
    for number in (1, 2):
        job = job_of(tmp_path / "anew", script, number, read=READ)
        assert reports(run(job)) == [(1, 1.0)]
    assert "attempt 2 starts anew: no checkpoint of it is known" in log(job)


def test_how_it_fails_is_said_in_its_own_words(tmp_path: Path) -> None:
    failed = run(job_of(tmp_path / "a", "print('hello')\nraise ValueError('bad lr')"))[-1]
    assert (failed["outcome"], failed["message"]) == (
        "exception",
        "ValueError: bad lr",
    )
    assert (
        failed["traceback"].startswith("Traceback") and "line 2, in <module>" in failed["traceback"]
    )
    again = run(job_of(tmp_path / "b", "raise SystemExit(124)", again_on=[124]))[-1]
    assert again["outcome"] == "again"
    killed = run(job_of(tmp_path / "c", "import os; os.kill(os.getpid(), 9)"))[-1]
    assert (killed["outcome"], killed["message"][:16]) == ("killed", "ended by SIGKILL")
    silent = run(job_of(tmp_path / "d", "print('epoch 1 accuracy 0.5')"))[-1]
    assert silent["outcome"] == "unreported" and "nothing was heard of it" in silent["message"]
    absent = run(job_of(tmp_path / "e", "", command="no-such-program"))[-1]
    assert "command must be one that can be started" in absent["message"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["exp appears twice", "", "Set the environment variable HYDRA_FULL_ERROR=1 for a ..."],
            "exp appears twice",
        ),
        (["Set the environment variable HYDRA_FULL_ERROR=1"], "it wrote nothing"),
        (["a", "b", " "], "b"),
        ([], "it wrote nothing"),
    ],
)
def test_the_words_of_a_failure_are_the_last_that_say_something(
    lines: list[str], words: str
) -> None:
    assert ended(1, lines, {"again_on": []}, kernel_killed=False).message == f"code 1: {words}"


SPAWNS = """
import os, signal, subprocess, sys, time
sleeper = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1000)"
own = subprocess.Popen([sys.executable, "-c", sleeper])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("daemon", os.getpid(), flush=True)
        open("there", "w").close()
        signal.signal(15, signal.SIG_IGN)
        time.sleep(1000)
    os._exit(0)
print("child", own.pid, flush=True)
while not os.path.exists("there"):
    time.sleep(0.01)
print("epoch 1 acc 0.5", flush=True)
if len(sys.argv) > 1:
    time.sleep(1000)
"""


@pytest.mark.parametrize("values", [{}, {"stay": 1}], ids=["ends", "is ended"])
def test_nothing_that_it_started_lives_on(values: dict[str, Any], tmp_path: Path) -> None:
    job = job_of(tmp_path, SPAWNS, read=READ, values=values, grace=0.5, job={"grace": 0.5})
    child = Child(job)
    while True:
        message = child.next(1.0)
        if message is not None and message["kind"] == ("report" if values else "end"):
            break
        if message is not None and message["kind"] == "report":
            child.answer(stop=False)
    started = [
        int(line.split()[1]) for line in log(job).splitlines() if line[:5] in ("child", "daemo")
    ]
    child.kill()
    assert len(started) == 2 and not any(map(alive, started))


def test_a_program_that_knows_nothing_is_asked_by_sigterm(tmp_path: Path) -> None:
    script = """
import signal, sys, time
def leave(number, frame):
    print("saving"); sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("epoch 1 acc 0.5")
time.sleep(1000)
"""
    job = job_of(tmp_path, script, read=READ)
    messages = run(job, stop_at=1)
    assert messages[-1]["outcome"] == "paused" and "saving" in log(job)


def test_a_foreign_interpreter_without_any_of_ours_reports(tmp_path: Path) -> None:
    made = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    script = """
import os, sys
import raysearch
for name in ("ray", "mlflow", "optuna", "torch", "pydantic"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} is there")
assert "VIRTUAL_ENV" not in os.environ and "site-packages" not in raysearch.__file__
raysearch.describe({"python": sys.prefix})
raysearch.report(1, {"val/acc": 0.5})
"""
    messages = run(job_of(tmp_path, script, python=str(made / "bin/python")))
    assert reports(messages) == [(1, 0.5)], messages
    facts = [one["facts"] for one in messages if one["kind"] == "describe"]
    assert facts[-1]["python"] == str(made) and "train.py" in facts[-1]["program/command"]


def counts(config: dict[str, Any]) -> float:
    """A function that a trial finds by its name."""
    start = raysearch.checkpoint()
    assert start is None and not raysearch.should_stop()
    raysearch.report(1, {"val/acc": config["x"]}, checkpoint=__file__)
    return config["x"] + config["seed"]


def test_a_function_reports_in_the_process_of_its_trial(tmp_path: Path) -> None:
    config = trainable(counts)(x=0.5, seed=2)
    job = replace(job_of(tmp_path, ""), experiment=config.experiment, config=config.to_json())
    messages = run(job)
    assert reports(messages) == [(1, 0.5), (2, 2.5)] and messages[-1]["outcome"] == "complete"
    kept = [one["checkpoint"] for one in messages if one["kind"] == "report"][0]
    assert Path(kept).read_bytes() == Path(__file__).read_bytes()


def test_a_search_that_is_resumed_knows_what_changed_of_a_program(tmp_path: Path) -> None:
    code, runs = tmp_path / "code", tmp_path / "runs"
    code.mkdir()
    (code / "train.py").write_text("a = 1")
    (code / "run.sh").write_text("true")
    (code / "readme.txt").write_text("x")
    kept = keep(runs, tmp_path, [], [runs], 1, programs=[code])
    assert programs_of(runs, kept.snapshot) == [code]

    def changed() -> list[str]:
        return changed_since(runs, kept.snapshot, gather(tmp_path, [], [runs], [code]), [])

    (code / "new.py").write_text("b = 1")
    (code / "readme.txt").write_text("y")
    assert changed() == []
    (code / "train.py").write_text("a = 2")
    (code / "run.sh").unlink()
    assert changed() == ["run.sh", "train.py"]
    assert sorted(unpack_folder(runs, kept.snapshot, code, tmp_path / "out")) == [
        "readme.txt",
        "run.sh",
        "train.py",
    ]
    assert (tmp_path / "out/train.py").read_text() == "a = 1"


def test_what_it_says_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    script = """
import os, raysearch, time
file = os.environ["RAYSEARCH_TRIAL"] + "/messages.jsonl"
with open(file, "a") as out:
    out.write('{"kind": "report"}\\n[1]\\nnothing\\n')
    out.write('{"kind": "report", "step": "x", "metrics": {}}\\n')
    out.write('{"kind": "artifact", "name": "../x", "path": "/none"}\\n')
raysearch.artifact("train.txt", "train.py")
raysearch.report(1, {"val/acc": 0.5})
"""
    job = job_of(tmp_path, script)
    messages = run(job)
    assert reports(messages) == [(1, 0.5)] and messages[-1]["outcome"] == "complete"
    assert [one["name"] for one in messages if one["kind"] == "artifact"] == ["train.txt"]
    assert "a message of the program cannot be taken" in log(job)


def test_values_of_a_json_file_are_nested(tmp_path: Path) -> None:
    script = """
import json, sys
found = json.load(open(sys.argv[1].partition("=")[2]))
assert found == {"optimizer": {"lr": 0.1}, "seed": 5}, found
print("epoch 1 acc 0.5")
"""
    values = {"optimizer.lr": 0.1, "seed": 5}
    job = job_of(tmp_path, script, read=READ, arguments="json file", values=values)
    assert run(job)[-1]["outcome"] == "complete", log(job)


def test_a_quiet_program_that_writes_is_alive(tmp_path: Path) -> None:
    script = (
        "import time\nfor i in range(8):\n  print('.')\n  time.sleep(0.5)\nprint('epoch 1 acc 1')"
    )
    started = time.monotonic()
    messages = run(job_of(tmp_path, script, read=READ, job={"patience": 2.0}))
    assert messages[-1]["outcome"] == "complete" and time.monotonic() - started > 2.0
