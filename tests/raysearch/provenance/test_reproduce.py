"""A trial runs again from the code that was kept, and what differs is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raysearch.client import Client
from raysearch.events.log import EventLog
from raysearch.integrity import digest
from raysearch.provenance import snapshot
from raysearch.provenance.comparison import are_equal
from raysearch.provenance.reproduce import Reproduction
from raysearch.sweeps.search_spec import to_plain
from tests.raysearch.command import end_all, json_of, raysearch, store_of, view_of
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact
from tests.raysearch.provenance.test_snapshot import git
from tests.raysearch.reproduced import set_rate, walk, write_project

GROUP_RATE = """
import torch
import torch.distributed as dist


class Rate:
    def __rmul__(self, x):
        shares = torch.tensor([0.3, 0.6][dist.get_rank()], dtype=torch.float64)
        dist.all_reduce(shares)
        return x * round(shares.item(), 6)


def is_first():
    return dist.get_rank() == 0


def stops(session):
    said = torch.tensor(int(session.should_stop()))
    dist.broadcast(said, 0)
    return bool(said)


RATE = Rate()
"""
GROUP_STOP = "\n            if stops(session):\n                return\n"
FACTS = {"data.fingerprint": "f" * 16, "data.name": "walk", "threads": 1}


def record(
    folder: Path, x: float = 0.5, rate: float = 0.9, steps: int = 5, **said: Any
) -> EventLog:
    """A search `one` with one walk, as its closed form says; `steps` below 5: it was pruned."""
    own = folder / "runs" / "one"
    options: dict[str, Any] = {"state": "complete" if steps == 5 else "pruned", "has_code": True}
    options |= said
    spec = streams.spec(search="one", experiment="mine.walk:Walking", packages={})
    if options["has_code"]:
        code = snapshot.keep(own, folder, ["mine"], [folder / "runs"], 1)
        spec = replace(spec, code=code)
    log = store_of(folder).create("one", spec)
    streams.ask(log, 0, config={"x": x})
    log.append(fact("started", attempt=1, folder="0000/attempt-1", restored=None), 0, commit=True)
    log.append(fact("described", facts={**FACTS, **options.get("facts", {})}), 0)
    for step, value in enumerate(walk(x, rate)[:steps], 1):
        report(log, own, step, value)
    last = "0000/attempt-1/checkpoints/step-5.json" if steps == 5 else None
    streams.tell(log, 0, options["state"], value=0.5, checkpoint=last)
    return log


def report(log: EventLog, own: Path, step: int, value: float) -> None:
    """A report of a walk, with a checkpoint on disk for the first and the last step."""
    path = f"0000/attempt-1/checkpoints/step-{step}.json"
    (own / path).parent.mkdir(parents=True, exist_ok=True)
    measured: dict[str, Any] = {}
    if step in (1, 5):
        (own / path).write_text(json.dumps({"x": value, "step": step}))
        measured = digest(own / path)._asdict()
    metrics = {"val/x": value, "progress/epochs": float(step), "same": float(step)}
    log.append(
        fact(
            "report",
            attempt=1,
            step=step,
            fidelity=step,
            metrics=metrics,
            values=[value],
            checkpoint=path,
            **measured,
        ),
        0,
        commit=True,
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project outside a repository, which is the current one."""
    monkeypatch.chdir(write_project(tmp_path / "project"))
    return tmp_path / "project"


def again(place: Path, trial: int = 0, **options: Any) -> Reproduction:
    """The trial of the search `one`, run again."""
    client = Client(place / "runs", tracking_uri="none", show=False)
    return client.repro("one", trial, **options)


def verdicts(found: Reproduction) -> dict[str, str]:
    return {row.what: row.verdict for row in found.rows}


def texts(found: Reproduction) -> dict[str, str]:
    return {row.what: row.text for row in found.rows}


def test_after_a_change_the_kept_code_gives_equal_numbers(project: Path) -> None:
    record(project)
    set_rate(project, "0.8")
    found = again(project)
    assert found.is_equal and not found.error
    assert texts(found)["val/x"] == "5 steps"
    assert verdicts(found)["checkpoint of step 5"] == verdicts(found)["versions"] == "equal"


def test_a_damaged_checkpoint_is_said_and_not_compared(project: Path) -> None:
    record(project)
    path = project / "runs/one/0000/attempt-1/checkpoints/step-5.json"
    path.write_text(path.read_text().replace("5", "6"))
    found = again(project)
    assert not found.is_equal and not found.error
    assert verdicts(found)["val/x"] == verdicts(found)["checkpoint of step 1"] == "equal"
    assert "was changed after it was reported" in texts(found)["checkpoint of step 5"]


@pytest.mark.parametrize("place", ["session.folder", "Path('outside')"])
def test_one_name_for_all_checkpoints_is_compared_step_by_step(project: Path, place: str) -> None:
    """And nothing outside of the folder of the run is deleted."""
    code = project / "mine/walk.py"
    text = code.read_text().replace('f"step-{step}.json"', '"last.json"')
    text = "from pathlib import Path\n" + text.replace("session.folder", place)
    code.write_text(text)
    record(project)
    found = again(project)
    assert found.is_equal
    assert verdicts(found)["checkpoint of step 1"] == verdicts(found)["checkpoint of step 5"]
    if place != "session.folder":
        code.write_text(text.replace('"last.json"', 'f"{step}.json"'))
        again(project, here=True)
        assert len(list((project / "outside/checkpoints").iterdir())) == 1 + 5


def test_the_code_that_is_here_differs_from_the_step_where_it_was_changed(project: Path) -> None:
    record(project)
    set_rate(project, "0.8")
    found, then, now = again(project, here=True), walk(0.5, 0.9), walk(0.5, 0.8)
    gaps = [abs(one - other) for one, other in zip(then, now, strict=True)]
    assert not found.is_equal and found.code is None
    assert texts(found)["val/x"] == (
        f"3 of 5 steps, first at step 3: {then[2]!r} then, {now[2]!r} now; "
        f"at most {max(gaps):.3g}, at step {gaps.index(max(gaps)) + 1}"
    )
    assert verdicts(found)["same"] == verdicts(found)["checkpoint of step 1"] == "equal"
    assert verdicts(found)["checkpoint of step 5"] == "differs"


def test_the_code_that_is_here_is_equal_where_nothing_changed(project: Path) -> None:
    record(project)
    assert again(project, here=True).is_equal


def test_a_pruned_trial_ends_where_it_was_pruned(project: Path) -> None:
    record(project, steps=3)
    found = again(project)
    assert found.is_equal and texts(found)["val/x"] == "3 steps"


def test_a_trial_of_several_attempts_is_compared_step_by_step(project: Path) -> None:
    log = record(project, steps=3, state="failed")
    log.append(fact("started", attempt=2, folder="0000/attempt-2", restored=None), 0, commit=True)
    report(log, project / "runs" / "one", 3, -1.0)  # a step that was reported before: no news
    report(log, project / "runs" / "one", 4, walk(0.5, 0.9)[3])
    found = again(project)
    assert found.is_equal and texts(found)["val/x"] == "4 steps"


@pytest.mark.slow
@pytest.mark.parametrize("steps", [3, pytest.param(5, marks=pytest.mark.long)])
def test_a_group_of_workers_runs_again_as_a_group(project: Path, steps: int) -> None:
    (project / "mine" / "rate.py").write_text(GROUP_RATE)
    walking = (
        (project / "mine" / "walk.py").read_text().replace("RATE\n", "RATE, is_first, stops\n", 1)
    )
    walking = walking.replace("path.write_text", "is_first() and path.write_text")
    walking = walking.replace('"same": step}, path)\n', '"same": step}, path)' + GROUP_STOP)
    (project / "mine" / "walk.py").write_text(walking)
    record(project, steps=steps, facts={"workers": 2})
    found = again(project)
    others = [row for row in found.rows if row.what != "workers"]
    assert not found.error and are_equal(others), texts(found)
    assert texts(found)["val/x"] == f"{steps} steps"


def test_the_scores_of_a_winner_on_the_test_split_are_compared(project: Path) -> None:
    log, score = record(project), 2 * walk(0.5, 0.9)[-1]
    log.append(fact("tested", role="winner", metrics={"test/x": score}, error=""), 0, commit=True)
    assert texts(again(project))["test/x"] == repr(score)
    set_rate(project, "0.8")
    assert verdicts(again(project, here=True))["test/x"] == "differs"


def test_other_data_is_a_difference_and_other_threads_alone_are_none(project: Path) -> None:
    record(project, facts={"data.fingerprint": "0" * 16, "parameters": 7})
    found = again(project)
    assert not found.is_equal and verdicts(found)["data.fingerprint"] == "differs"
    others = [row for row in found.rows if row.what != "data.fingerprint"]
    assert are_equal(others) and verdicts(found)["parameters"] == "differs"


def test_what_differs_here_is_said_beforehand_and_in_the_table(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    record(project)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = Client(project / "runs", tracking_uri="none").repro("one", 0)
    said = "CUDA_VISIBLE_DEVICES: 3 then, 0 now"
    assert capsys.readouterr().out.startswith(f"warning    {said}\n")
    assert found.is_equal and texts(found)["CUDA_VISIBLE_DEVICES"] == "3 then, 0 now"


def test_kept_variables_and_the_number_of_threads_are_set_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = "import os\nRATE = 0.9 if os.environ.get('MKL_CBWR') == 'AVX2' else 0.5\n"
    rate += "assert os.environ['OMP_NUM_THREADS'] == '1' and 'KMP_AFFINITY' not in os.environ\n"
    (project / "mine" / "rate.py").write_text(rate)
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    record(project)
    for name, value in (("MKL_CBWR", "SSE4_2"), ("OMP_NUM_THREADS", "7"), ("KMP_AFFINITY", "no")):
        monkeypatch.setenv(name, value)
    found = again(project)
    assert found.is_equal and verdicts(found)["versions"] == "equal"


def test_what_happens_in_the_run_is_said(project: Path) -> None:
    (project / "mine" / "rate.py").write_text("raise OSError('no data here')\n")
    record(project)
    found = again(project)
    assert found.error == "OSError: no data here" and not found.is_equal
    assert "no data here" in (found.folder / "log.txt").read_text()


def test_a_process_that_dies_is_said(project: Path) -> None:
    (project / "mine" / "rate.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    record(project)
    assert again(project).error == "the process ended by SIGKILL"


def test_code_from_elsewhere_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = project.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.py").write_text("RATE = 0.9\n")
    (project / "mine" / "rate.py").write_text("from far import RATE\n")
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    record(project)
    found = again(project)
    assert found.is_equal
    assert texts(found)["code that was not kept"] == str(elsewhere / "far.py")


def test_a_trial_runs_again_from_the_code_of_its_first_attempt(project: Path) -> None:
    log = record(project)
    set_rate(project, "0.8")
    own = project / "runs" / "one"
    code = snapshot.keep(own, project, ["mine"], [project / "runs"], 1)
    log.append(fact("recoded", code=to_plain(code)), commit=True)
    first = view_of(project, "one").begun.code
    assert first is not None and again(project).code == first.snapshot != code.snapshot
    streams.ask(log, 1, config={"x": 0.5}, digest="another")
    log.append(fact("started", attempt=1, folder="0001/attempt-1", restored=None), 1, commit=True)
    log.append(
        fact(
            "report",
            attempt=1,
            step=3,
            fidelity=3,
            values=[0.1],
            checkpoint=None,
            metrics={"val/x": walk(0.5, 0.8)[2]},
        ),
        1,
        commit=True,
    )
    assert again(project, 1).code == code.snapshot


@pytest.mark.parametrize("what", ["damaged", "not kept", "no report", "never ran", "duplicate"])
def test_what_cannot_be_run_again_is_one_sentence(project: Path, what: str) -> None:
    log, number = record(project, has_code=what != "not kept"), 0
    if what == "damaged":
        [place] = (project / "runs" / "one" / "code").iterdir()
        (place / "source.zip").unlink()
    elif what != "not kept":
        number = 1
        streams.ask(log, 1, duplicate_of=0 if what == "duplicate" else None)
    if what == "no report":
        log.append(
            fact("started", attempt=1, folder="0001/attempt-1", restored=None), 1, commit=True
        )
    expected = {
        "damaged": "is damaged: source.zip is missing",
        "not kept": "the code of trial 0 of 'one' was not kept, .*--here runs it with",
        "no report": "trial 1 of 'one' reported nothing that could be compared",
        "never ran": r"trial 1 of 'one' never ran \(waiting\)",
        "duplicate": "trial 1 of 'one' never ran: it equals trial 0",
    }
    with pytest.raises(ValueError, match=expected[what]):
        again(project, number)
    assert not (project / "runs" / "repro").exists()


def test_a_search_from_before_code_was_kept_runs_with_what_is_here(project: Path) -> None:
    record(project, has_code=False)
    assert again(project, here=True).is_equal


def test_names_and_numbers_that_do_not_exist_are_one_sentence(project: Path) -> None:
    record(project)
    with pytest.raises(LookupError, match="no search is named 'two'"):
        Client(project / "runs").repro("two", 0)
    with pytest.raises(LookupError, match="search 'one' has no trial 5; it has 1"):
        again(project, 5)


def test_a_folder_that_is_in_use_is_refused(project: Path) -> None:
    record(project)
    with pytest.raises(ValueError, match="--folder must be empty or new, got"):
        again(project, folder=project / "mine")
    assert again(project, folder=project / "new").folder == project / "new"


def test_two_runs_have_two_folders(project: Path) -> None:
    record(project)
    assert [again(project).folder.name for _ in range(2)] == ["one-0", "one-0.2"]


# The whole way


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with an uncommitted change and a new module; a search, a change, one trial."""
    folder = write_project(tmp_path_factory.mktemp("searched") / "project")
    (folder / ".gitignore").write_text("runs/\n__pycache__/\n")
    (folder / "mine" / "rate.py").unlink()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    set_rate(folder, "0.9")  # untracked
    with (folder / "mine" / "walk.py").open("a") as file:
        file.write("\n\n# a change that is not committed\n")
    options = ("--concurrent", "1")
    done = raysearch(folder, "search", "mine.sweeps:walks", "--name", "one", *options)
    assert done.returncode == 0, done.stderr
    set_rate(folder, "0.8")
    done = raysearch(folder, "extend", "one", "--trials", "1", "--accept-changes")
    assert done.returncode == 0, done.stderr
    set_rate(folder, "0.7")
    yield folder
    end_all()


@pytest.mark.search
@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestSearched:
    """A real search whose code changed before its last trial, and once more after that."""

    @pytest.mark.parametrize("trial", [0, 2])
    def test_each_trial_is_equal_from_its_own_code(self, searched: Path, trial: int) -> None:
        found = json_of(searched, "repro", "one", str(trial))
        numbers = {row["what"]: row["verdict"] for row in found["rows"] if row["decides"]}
        assert found["equal"] and set(numbers.values()) == {"equal"}
        assert {"val/x", "checkpoint of step 5", "data.fingerprint"} <= set(numbers)

    def test_here_ends_with_1_and_names_what_differs(self, searched: Path) -> None:
        done = raysearch(searched, "repro", "one", "0", "--here")
        lines = [line for line in done.stdout.splitlines() if " differs " in line]
        assert done.returncode == 1
        assert [line.split()[0] for line in lines if "step 3:" in line] == ["val/x"]

    def test_the_table_ends_with_a_sentence_and_0(self, searched: Path) -> None:
        done = raysearch(searched, "repro", "one", "1")
        assert done.returncode == 0, done.stdout
        assert done.stdout.rstrip().endswith("all numbers are equal")

    def test_the_change_is_said_and_all_of_it_is_whole(self, searched: Path) -> None:
        status = raysearch(searched, "status", "one").stdout
        assert "since then changed: mine/rate.py" in status
        done = raysearch(searched, "check", "one")
        assert done.returncode == 0, done.stdout

    def test_mlflow_has_the_diff_and_the_versions(self, searched: Path) -> None:
        files = {path.name: path for path in (searched / "runs" / "mlartifacts").rglob("code/*")}
        assert {"diff.patch", "versions.json"} <= set(files)
        assert "+RATE = 0.9" in files["diff.patch"].read_text()
        assert "+# a change that is not committed" in files["diff.patch"].read_text()

    def test_an_unknown_trial_is_one_sentence_and_2(self, searched: Path) -> None:
        done = raysearch(searched, "repro", "one", "9")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "error: search 'one' has no trial 9; it has 3\n"
