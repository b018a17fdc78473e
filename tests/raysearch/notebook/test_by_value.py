"""Sweeps that no module has: kept by value, found by other processes, or refused by a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from raysearch.client import Client
from raysearch.errors import NothingCompleted
from raysearch.provenance.search_path import added, searched
from raysearch.results.failure_reasons import refuse_nothing
from raysearch.sweeps import by_value
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric, sweep
from tests.raysearch.command import ENVIRONMENT, ROOT, raysearch, view_of
from tests.raysearch.events.streams import Hand
from tests.raysearch.searches import sweeps
from tests.raysearch.searches.config import Chain

SCORE = [Metric("val/score", "maximize")]
LOCK = threading.Lock()

SCRIPT = """
import sys
import raysearch
from pathlib import Path
from raysearch.errors import NothingCompleted
from raysearch.sweeps.sweep import Metric, sweep

sys.path.insert(0, sys.argv[1])
import beside

weights = [0.5]
LOSS = [Metric("val/loss", "minimize")]


@raysearch.trainable
def train(config):
    scale = float(Path("scale.txt").read_text())
    for step in (1, 2):
        raysearch.report(step, {"val/loss": scale * beside.square(config["x"] - weights[0]) / step})


@sweep(metrics=LOSS, sampler="random", trials=2)
def valley(trial):
    return train(x=trial.suggest_float("x", 0.0, 1.0))


def broken(config):
    raise RuntimeError("the data is not there")


broken = raysearch.trainable(broken)


@sweep(metrics=LOSS, sampler="random", trials=1)
def failing(trial):
    return broken(x=trial.suggest_float("x", 0.0, 1.0))


client = raysearch.Client("runs", tracking_uri="none", show=False)
print(client.search(valley))
try:
    client.search(failing)
except NothingCompleted as error:
    print(error)
"""


OWN = """
import sys
from pathlib import Path
from raysearch.client import Client
from raysearch.sweeps import by_value
from raysearch.sweeps.sweep import Metric, sweep
from trainables.core.run import RunConfig

offset = 0.5


class Valley(RunConfig):
    experiment = f"{__name__}:Walk"
    name = "own.valley"
    x: float = 0.0


class Walk:
    @classmethod
    def run(cls, config, session):
        session.report(1, {"val/loss": (config["x"] - offset) ** 2})


@sweep(metrics=[Metric("val/loss", "minimize")], sampler="random", trials=2)
def valley(trial):
    return Valley(x=trial.suggest_float("x", 0.0, 1.0))


spec = Client("runs", tracking_uri="none", show=False).plan(valley)
with by_value.kept_for_now(valley) as reference:
    module = sys.modules.get(reference.partition(":")[0]) or __import__(reference.partition(":")[0])
    by_value.keep(module.valley, Path("kept"))
print(spec["experiment"], spec["sweep"], reference)
"""


def here(trial: Any) -> Chain:
    return Chain(x=trial.suggest_float("x", 0.0, 1.0))


def fresh(code: str, *paths: Path) -> str:
    """What a process prints that looks for modules in these folders too."""
    text = f"import sys; sys.path[:0] = {[str(path) for path in paths]}; {code}"
    command = [sys.executable, "-c", text]
    return subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()


def test_a_sweep_that_a_module_has_stays_a_reference() -> None:
    assert by_value.reference_of(sweeps.chain) == "tests.raysearch.searches.sweeps:chain"
    assert by_value.reference_of(sweep(metrics=SCORE)(here)) is None


def test_another_process_finds_what_was_kept(tmp_path: Path) -> None:
    low = 0.25

    @sweep(metrics=SCORE, sampler="random", trials=3)
    def local(trial: Any) -> Chain:
        return Chain(x=trial.suggest_float("x", low, 1.0))

    assert by_value.reference_of(local) is None
    with by_value.kept_for_now(local) as reference:
        module, _, name = reference.partition(":")
        found = getattr(__import__(module), name)
        by_value.keep(found, tmp_path / "kept")
        assert found.reference == reference and by_value.is_by_value(module)
        assert Space(found).fingerprint() == Space(local).fingerprint()
        assert "tests.raysearch.searches.config" in by_value.modules_of(module)
    code = f"import {module}; print({module}.{name}.trials, {module}.{name}.reference)"
    assert fresh(code, tmp_path / "kept") == f"3 {reference}"
    assert by_value.holds(tmp_path / "kept") and not by_value.holds(tmp_path)


def test_what_was_changed_since_is_not_opened(tmp_path: Path) -> None:
    with by_value.kept_for_now(sweep(metrics=SCORE)(here)) as reference:
        module = __import__(reference.partition(":")[0])
        file = Path(module.__file__)
        file.with_suffix(".pickle").write_bytes(b"changed")
        with pytest.raises(ValueError, match="was changed since it was kept"):
            by_value.opened(module.__name__, str(file))


def test_what_cannot_be_kept_is_named() -> None:
    lock = LOCK

    def locked() -> float:
        with lock:
            return 0.0

    @sweep(metrics=SCORE)
    def local(trial: Any) -> Chain:
        return Chain(x=trial.suggest_float("x", locked(), 1.0))

    sentence = r"sweep local cannot be shipped to its trials, since 'lock' \(a lock\) cannot be"
    with pytest.raises(ValueError, match=sentence), by_value.kept_for_now(local):
        pass


def test_only_what_the_caller_added_to_the_search_path_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = added()
    monkeypatch.syspath_prepend(tmp_path)
    assert added()[0] == str(tmp_path)
    assert set(added()) - {str(tmp_path), str(Path.cwd())} == set(before) - {str(Path.cwd())}
    with searched([str(tmp_path / "more")]):
        assert str(tmp_path / "more") in added()
    assert str(tmp_path / "more") not in sys.path


def test_a_plan_of_a_sweep_object_is_that_of_its_name(tmp_path: Path) -> None:
    client = Client(tmp_path / "runs", tracking_uri="none", show=False)
    plans = [client.plan(each, trials=2) for each in (sweeps.chain, sweeps.chain.reference)]
    assert plans[0] == plans[1]


def test_a_search_raises_if_nothing_completed_and_only_then(tmp_path: Path) -> None:
    hand, folder = Hand(), tmp_path / "by-hand"
    hand.trial("a", state="failed", reason="exception: KeyError: 'lr'")
    hand.trial("b", state="failed", reason="exception: KeyError: 'depth'")
    for number in (0, 1):
        file = f"{number:04d}/attempt-1/traceback.txt"
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_text(f"Traceback of trial {number}\n")
        hand.say("failed", number, kind="exception", message="", again=False, traceback=file)
    with pytest.raises(NothingCompleted) as error:
        refuse_nothing(hand.view, folder)
    sentence, _, text = str(error.value).partition("\n\n")
    assert sentence.endswith("2 failed; trial 0: exception: KeyError: 'lr'"), sentence
    assert text == "Traceback of trial 0"
    hand.trial("c", 0.5)
    refuse_nothing(hand.view, folder)


@pytest.mark.slow
def test_classes_of_a_script_are_kept_with_its_sweep(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    done = raysearch(tmp_path, "own.py", program=[sys.executable])
    experiment, planned, reference = done.stdout.split()
    assert experiment == planned.replace(":valley", ":Walk") and experiment.startswith("by_value_")
    module = reference.partition(":")[0]
    code = f"from {module} import Walk; from trainables.core.session import LocalSession; "
    code += "s = LocalSession(None); Walk.run({'x': 0.75}, s); print(s.reports)"
    assert fresh(code, tmp_path / "kept") == "{1: {'val/loss': 0.0625}}"


@pytest.mark.search
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_script_is_searched_and_its_search_outlives_it(tmp_path: Path) -> None:
    beside, work = tmp_path / "beside", tmp_path / "work"
    beside.mkdir()
    work.mkdir()
    (beside / "beside.py").write_text("def square(x):\n    return x * x\n")
    (work / "scale.txt").write_text("2.0")
    (work / "mine.py").write_text(SCRIPT)
    done = raysearch(work, "mine.py", str(beside), program=[sys.executable])
    assert done.returncode == 0, done.stderr
    first, *raised = done.stdout.splitlines()
    assert first == "valley-1"
    assert raised[0].startswith("no trial of search 'failing-1' completed: 1 failed; trial 0: ")
    assert "Traceback (most recent call last):" in raised
    assert raised[-1] == "RuntimeError: the data is not there"
    for trial in view_of(work, "valley-1").trials.values():
        assert trial.values == [2.0 * (trial.params["x"] - 0.5) ** 2 / 2]
    (work / "mine.py").unlink()
    more = raysearch(work, "extend", "valley-1", "--trials", "1", "--tracking-uri", "none")
    assert more.returncode == 0, more.stderr
    assert view_of(work, "valley-1").counts()["complete"] == 3
    again = raysearch(work, "repro", "valley-1", "0", "--json")
    assert json.loads(again.stdout)["equal"] is True, again.stdout + again.stderr
