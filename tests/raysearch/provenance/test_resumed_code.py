"""Code that changed since a search began: named, and either accepted or run as it was."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raysearch.errors import BadSetting, WrongState
from raysearch.events.schema import Recoded
from raysearch.provenance import snapshot
from raysearch.provenance.resumed_code import (
    Code,
    _imported_from,  # pyright: ignore[reportPrivateUsage]
    chosen,
    code_of,
)
from raysearch.provenance.search_path import added
from raysearch.settings import Settings
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.trial.child import kill_orphans
from tests.raysearch.command import (
    end_all,
    label,
    left_alive,
    raysearch,
    started,
    store_of,
    view_of,
    wait_until,
)
from tests.raysearch.specs import make_spec

OWN = """
import json
import time
from pathlib import Path

from pieces import factor
from raysearch.sweeps.sweep import Metric, sweep
from trainables.core.training import ExperimentConfig


class Toy(ExperimentConfig):
    experiment = "own:run"
    name = "own.toy"
    x: float = 0.5


def run(config, session):
    last = session.restored()
    begin, total = json.loads(last.read_text()) if last else (0, 0.0)
    (session.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    for step in range(begin + 1, 7):
        total += factor() * config["x"] / step
        path = session.folder / "checkpoints" / f"{step}.json"
        path.write_text(json.dumps([step, total]))
        session.report(step, {"val/loss": total, "progress/epochs": float(step)}, path)
        if step == 3:
            Path(f"waits-{config['x']}").touch()  # in the folder of the user, with any code
            while not Path("go").exists() and not session.should_stop():
                time.sleep(0.02)
        if session.should_stop():
            return


@sweep(metrics=[Metric("val/loss", "minimize", reduce="last")], sampler="random", trials=3)
def toy(trial):
    return Toy(x=trial.suggest_float("x", 0.1, 1.0))
"""
PIECES = "def factor():\n    return 1 / 3\n"
SPEC = make_spec(search="one", sweep="own:toy", experiment="own:run", threads=1)


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[SearchSpec, Settings]:
    """A search whose code was kept, in a folder where it is also the current one."""
    write(tmp_path, own=OWN, pieces=PIECES, unrelated="x = 1\n")
    (tmp_path / "README.md").write_text("old")
    monkeypatch.chdir(tmp_path)
    settings = Settings.locate()
    code = snapshot.keep(settings.folder("one"), tmp_path, ["own"], [settings.runs], 1)
    return replace(SPEC, code=code), settings


def code(begun: tuple[SearchSpec, Settings], changes: Any = "refuse") -> Code:
    with ExitStack() as stack:
        return code_of(*begun, changes, stack)


def test_code_that_is_the_same_goes_on(begun: Any, tmp_path: Path) -> None:
    for changes in ("refuse", "accept", "as it was"):
        found = code(begun, changes)
        assert found.paths == [*added(), str(tmp_path)] and found.found is not None


def test_what_no_trial_imports_may_change(begun: Any, tmp_path: Path) -> None:
    write(tmp_path, unrelated="x = 2\n", fresh="")
    (tmp_path / "README.md").write_text("new")
    assert code(begun).found is not None


def test_the_files_that_changed_are_named_with_both_ways_on(begun: Any, tmp_path: Path) -> None:
    write(tmp_path, pieces=PIECES.replace("3", "4"), unrelated="x = 2\n")
    with pytest.raises(WrongState) as refused:
        code(begun)
    assert str(refused.value) == (
        "the code of search 'one' changed since it ran last: pieces.py; go on with what is here "
        "now by `raysearch resume one --accept-changes`, or with the code that was kept by "
        "`raysearch resume one --as-it-was`"
    )


def test_the_command_that_was_used_is_the_one_that_is_named(begun: Any, tmp_path: Path) -> None:
    write(tmp_path, pieces=PIECES.replace("3", "4"))
    spec, settings = begun
    with (
        ExitStack() as stack,
        pytest.raises(WrongState, match="`raysearch extend one --trials 1 --accept-changes`, or"),
    ):
        code_of(spec, settings, "refuse", stack, "extend one --trials 1")


def test_a_file_that_is_gone_or_new_is_named_too(begun: Any, tmp_path: Path) -> None:
    (tmp_path / "pieces.py").unlink()
    write(tmp_path, own=OWN.replace("from pieces", "from parts"), parts=PIECES)
    with pytest.raises(WrongState, match="ran last: own.py, parts.py, pieces.py; go on"):
        code(begun)


def test_of_many_files_the_first_are_named_and_the_rest_counted(begun: Any, tmp_path: Path) -> None:
    names = [f"part{number}" for number in range(7)]
    write(tmp_path, pieces=f"import {', '.join(names)}\n{PIECES}", **dict.fromkeys(names, ""))
    with pytest.raises(WrongState, match="part0.py, .*part4.py and 3 more; go on"):
        code(begun)


def test_the_kept_code_is_imported_for_as_long_as_it_runs(begun: Any, tmp_path: Path) -> None:
    spec, settings = begun
    write(tmp_path, pieces="def factor():\n    return 7\n")
    sys.path.insert(0, str(tmp_path))
    try:
        pieces: Any = importlib.import_module("pieces")
        with ExitStack() as stack:
            found = code_of(spec, settings, "as it was", stack)
            kept: Any = importlib.import_module("pieces")
            assert kept.factor() == 1 / 3 and found.paths[-1] == str(tmp_path)
            assert Path(kept.__file__).is_relative_to(found.paths[0])
        assert sys.modules["pieces"] is pieces and pieces.factor() == 7
        assert not Path(found.paths[0]).exists() and found.found is None
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("pieces", None)


def test_in_a_repository_what_is_imported_counts_committed_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "inner"
    write(inner, own=OWN, pieces=PIECES)
    write(tmp_path, other="x = 1\n")
    (inner / "base.yaml").write_text("a: 1\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.chdir(inner)
    settings = Settings.locate(tmp_path / "runs")
    kept = snapshot.keep(settings.folder("one"), inner, ["own"], [settings.runs], 1)
    search = (replace(SPEC, code=kept), settings)
    write(tmp_path, other="x = 2\n")
    (inner / "base.yaml").write_text("a: 2\n")
    subprocess.run([*git, "commit", "-qam", "two"], check=True)
    assert code(search).found is not None
    write(inner, pieces=PIECES.replace("3", "4"))
    for command in (["status"], ["commit", "-qam", "three"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
        with pytest.raises(WrongState, match="ran last: pieces.py; go on"):
            code(search)
    with ExitStack() as stack:
        found = code_of(*search, "as it was", stack)
        assert (Path(found.paths[0]) / "pieces.py").read_text() == PIECES
        assert found.paths[0].endswith("/0/inner")


def test_changes_are_not_both_accepted_and_undone(begun: Any) -> None:
    with pytest.raises(BadSetting, match="--accept-changes and --as-it-was must not be given"):
        chosen(accept_changes=True, as_it_was=True)


@pytest.mark.parametrize("changes", ["refuse", "as it was"])
def test_a_damaged_snapshot_is_said(begun: Any, changes: str) -> None:
    spec, settings = begun
    place = settings.folder("one") / snapshot.FOLDER / spec.code.snapshot
    (place / "source.zip").write_bytes(b"x")
    with pytest.raises(
        WrongState, match=r"is damaged \(source.zip was changed\).*--accept-changes"
    ):
        code(begun, changes)
    assert code(begun, "accept").found is not None


def test_a_search_whose_code_was_never_kept_goes_on(begun: Any) -> None:
    spec, settings = begun
    assert code((replace(spec, code=None), settings)).found is not None


# The whole way, through Ray


@pytest.fixture
def nothing_is_left_over(tmp_path: Path) -> Iterator[None]:
    yield
    end_all()
    for folder in tmp_path.iterdir():
        kill_orphans(label(folder, "one"), living=True)


def reports(folder: Path) -> dict[int, Any]:
    assert left_alive(folder, "one") == []
    view = view_of(folder, "one")
    assert view.state == "finished"
    return {number: trial.reports for number, trial in view.trials.items()}


PLACES = ("--tracking-uri", "none")


@pytest.mark.search
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("nothing_is_left_over")
def test_an_interrupted_search_goes_on_unedited_as_it_was_and_with_what_changed(
    tmp_path: Path,
) -> None:
    plain, edited, accepted = (tmp_path / name for name in ("plain", "edited", "accepted"))
    write(plain, own=OWN, pieces=PIECES, unrelated="")
    begin = ["search", "own:toy", "--name", "one", "--concurrent", "1", *PLACES]
    driver = started(plain, *begin, "--time-box", "10h")
    wait_until(lambda: list(plain.glob("waits-*")) or driver.poll() is not None)
    write(plain, pieces=PIECES + "# in the meantime\n", unrelated="x = 2\n")
    os.kill(driver.pid, signal.SIGTERM)
    output, _ = driver.communicate(timeout=900)
    assert driver.returncode == 124, output
    (notice,) = view_of(plain, "one").notices
    assert notice.startswith("the code changed while it ran: pieces.py; a host that")
    write(plain, pieces=PIECES, unrelated="")
    for folder in (edited, accepted):
        shutil.copytree(plain, folder)
        write(folder, pieces=PIECES.replace("3", "5"), unrelated="x = 1\n")
    for folder in (plain, edited, accepted):
        (folder / "go").touch()

    done = raysearch(plain, "resume", "one", *PLACES, limit=1000)
    assert done.returncode == 0, done.stdout + done.stderr
    whole = reports(plain)
    assert [len(each) for each in whole.values()] == [6, 6, 6]

    for command in (["resume", "one"], ["extend", "one", "--trials", "1"], ["retry", "one"]):
        refused = raysearch(edited, *command, *PLACES)
        assert refused.returncode == 2 and "ran last: pieces.py; go on" in refused.stderr
    refused = raysearch(edited, *begin, "--time-box", "10h")
    assert refused.returncode == 2 and "--as-it-was`" in refused.stderr
    done = raysearch(edited, "resume", "one", "--as-it-was", *PLACES, limit=1000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert reports(edited) == whole
    assert raysearch(edited, "check", "one", *PLACES).returncode == 0

    done = raysearch(accepted, "resume", "one", "--accept-changes", *PLACES, limit=1000)
    assert done.returncode == 0, done.stdout + done.stderr
    found = reports(accepted)
    assert found[0][:3] == whole[0][:3] and found[0][3:] != whole[0][3:]
    assert found[1] != whole[1]
    assert next(store_of(accepted).events("one", kinds=[Recoded]), None) is not None


def test_only_what_is_a_module_is_imported_anew(tmp_path: Path) -> None:
    """A file beside the code that is called like an installed package takes it from nobody."""
    (tmp_path / "ray.yaml").touch()
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "colorsys.py").write_text("kept = True")
    known = {name: importlib.import_module(name) for name in ("ray", "mlflow", "colorsys")}
    with _imported_from([str(tmp_path)]):
        assert importlib.import_module("colorsys").kept
        assert all(importlib.import_module(name) is known[name] for name in ("ray", "mlflow"))
    assert all(importlib.import_module(name) is module for name, module in known.items())
