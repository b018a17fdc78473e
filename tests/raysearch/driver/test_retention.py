"""A search whose trials do to their checkpoints whatever programs do, from start to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.raysearch.command import NOWHERE, json_of, raysearch, view_of

pytestmark = [pytest.mark.search, pytest.mark.slow, pytest.mark.timeout(600)]

OWN = """
import os
import shutil
import signal
from pathlib import Path

from raysearch.sweeps.sweep import Metric, sweep
from trainables.core.training import ExperimentConfig

SCORES = {"rewritten": 0.4, "folder": 0.5, "elsewhere": 0.1, "absent": 0.1, "late": 0.9, "cut": 0.3}


class Toy(ExperimentConfig):
    experiment = "own:Program"
    name = "own.toy"
    way: str = "rewritten"


class Program:
    @staticmethod
    def run(config, session):
        way, saved = config["way"], session.restored()
        first = int(saved.read_text().split()[-1]) + 1 if saved and way == "cut" else 1
        for step in range(first, 4):
            path = save(session.folder, way, step)
            score = SCORES[way] + (0.05 if step == 2 else 0)
            session.report(step, {"val/score": score, "progress/epochs": float(step)}, path)
            if way == "cut" and step == 3 and session.folder.name == "attempt-1":
                kept = session.folder / "kept/00000003/last.txt"
                os.truncate(kept, 0)
                os.kill(os.getpid(), signal.SIGKILL)
        if way == "late":  # what a process of its own would do after the last report
            (session.folder / "step-2.txt").write_text("weights of step 9")

    @staticmethod
    def test(config, session):
        step = int(next(iter([session.restored()])).read_text().split()[-1])
        session.report(step, {"test/step": float(step)})


def save(folder, way, step):
    text = f"weights of step {step}"
    if way == "folder":
        path = folder / "out"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        (path / "model.txt").write_text(text)
        return path
    if way == "elsewhere":
        Path("shared").mkdir(exist_ok=True)
        folder = Path("shared")
    path = folder / (f"step-{step}.txt" if way == "late" else "last.txt")
    if way != "absent":
        path.write_text(text)
    return path


@sweep(metrics=[Metric("val/score", "maximize", reduce="best")], sampler="grid")
def toy(trial):
    return Toy(way=trial.suggest_categorical("way", list(SCORES)))
"""


def test_what_programs_do_to_their_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    one = ("--name", "one", "--concurrent", "1", *NOWHERE)
    done = raysearch(tmp_path, "search", "own:toy", *one, limit=500)
    assert done.returncode == 0, done.stdout + done.stderr
    view, own = view_of(tmp_path, "one"), tmp_path / "runs/one"
    by_way = {trial.params["way"]: trial for trial in view.trials.values()}
    states = {way: trial.state for way, trial in by_way.items()}
    bad = {"elsewhere": "failed", "absent": "failed"}
    assert states == {way: bad.get(way, "complete") for way in by_way}
    assert "must be a file or folder below session.folder" in by_way["elsewhere"].reason
    assert "must be written before it is reported" in by_way["absent"].reason

    # The weights of the step of the value, whatever was written afterwards.
    for way in ("rewritten", "folder", "cut"):
        best = own / str(by_way[way].best_checkpoint)
        text = (best / "model.txt" if best.is_dir() else best).read_text()
        assert text == "weights of step 2", way

    # Cut to nothing before its trial was killed: the older one took its place, and it is said.
    cut = by_way["cut"]
    assert list(cut.damaged.values()) == ["has 0 bytes, it had 17 when it was reported"]
    assert [attempt["restored"] for attempt in cut.attempts] == [None, cut.best_checkpoint]
    assert not list(own.rglob("restored-copy*"))  # what it went on from was a copy

    # Changed after the last report: told before the trial, and wherever it is needed.
    late = by_way["late"]
    what = "was changed after it was reported: its SHA-256 is another"
    assert late.damaged == {late.best_checkpoint: what}
    assert what in late.tested["error"] and f"damaged    trial {late.number}" in done.stdout
    assert what in json_of(tmp_path, "best", "one")["damage"]
    assert what in raysearch(tmp_path, "best", "one").stdout
    checked = raysearch(tmp_path, "check", "one")
    finding = f"trial {late.number}: folders: checkpoint {late.best_checkpoint} of step 2 {what}"
    assert checked.returncode == 1 and checked.stdout.count("trial ") == 1, checked.stdout
    assert finding in " ".join(checked.stdout.split())
    assert json.loads((own / "lock").read_text()) is not None
