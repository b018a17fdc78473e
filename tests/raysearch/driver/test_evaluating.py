"""Finished trials evaluated with other settings: which ones, what is refused, kills and resumes."""

from __future__ import annotations

import importlib
import json
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from raysearch.cli.application import app
from raysearch.driver.evaluating import evaluated
from raysearch.errors import WrongState
from raysearch.events.log import Store
from raysearch.settings import SWEEPS, Settings
from raysearch.sweeps.catalog import find_sweep
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.sweeps.space import Space
from raysearch.trial.child import kill_orphans
from tests.raysearch.command import NOWHERE, json_of, label, raysearch, view_of
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact
from trainables.core.checkpoint import fingerprint
from trainables.ssl.config import Supervised

KILLER = [sys.executable, "-m", "tests.raysearch.killing"]
SMALL = ["training.epochs=1", "model.width=16", "model.layers=1", "model.patch_size=4"]
TRAIN = ["train", "ssl.supervised"]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Settings]:
    """An empty folder with a store."""
    monkeypatch.chdir(tmp_path)
    settings = Settings.locate("runs")
    return Store(settings.store), settings


def readers(store: Store, settings: Settings, name: str, *scores: float) -> None:
    """A finished search of the sweep that is evaluated, with checkpoints on disk."""
    said = {"search": name, "sweep_name": "ssl.digits_vit", "sweep": "search_spaces.ssl:digits_vit"}
    rates = (0.001 * number for number in range(1, 1 + len(scores)))
    configs = [Supervised().with_values({"optimizer.lr": rate}) for rate in rates]
    finished(store, streams.spec(**said), settings, zip(configs, scores, strict=True))


def finished(
    store: Store, spec: SearchSpec, settings: Settings, trained: Iterable[tuple[Any, float]]
) -> None:
    """A finished search of these configurations and scores, with checkpoints on disk."""
    log, folder = store.create(spec.search, spec), settings.folder(spec.search)
    for number, (config, score) in enumerate(trained):
        kind = {"type": "float", "low": 0.0, "high": 1.0, "log": False}
        params = {"x": config.x} if hasattr(config, "x") else {}
        body: Any = {"params": params, "distributions": dict.fromkeys(params, kind), "seed": 0}
        body["config"] = config.to_json()
        log.append(fact("asked", **body, digest=config.digest(), origin="sampler"), number)
        streams.begin(log, number, folder)
        path = streams.report(log, number, 1, score, score, folder)
        streams.tell(log, number, "complete", score, path)
    log.append(fact("finished", reason="", best=0), commit=True)


def noise() -> Space:
    return Space(find_sweep("ssl.digits_noise", SWEEPS))


def test_a_damaged_search_takes_nothing_away_from_the_others(
    places: tuple[Store, Settings],
) -> None:
    readers(*places, "a", 0.5)
    places[0].log("hurt").append(fact("created", state=1), commit=True)
    assert evaluated(noise(), None, None, *places).search == "a"
    with pytest.raises(WrongState, match="'hurt' is damaged"):
        evaluated(noise(), "hurt", None, *places)


def test_the_last_search_is_evaluated_best_trial_first(places: tuple[Store, Settings]) -> None:
    readers(*places, "a", 0.5)
    readers(*places, "b", 0.5, 0.7, 0.6)
    found = evaluated(noise(), None, None, *places)
    assert found.search == "b" and [one.trial for one in found.trials] == [1, 2, 0]
    assert all(Path(one.checkpoint).exists() for one in found.trials)


def test_a_search_and_its_best_few_can_be_named(places: tuple[Store, Settings]) -> None:
    readers(*places, "a", 0.5, 0.7, 0.6)
    readers(*places, "b", 0.5)
    found = evaluated(noise(), "a", 2, *places)
    assert found.search == "a" and [one.trial for one in found.trials] == [1, 2]


def test_a_trial_whose_checkpoint_is_gone_makes_room_for_the_next_best(
    places: tuple[Store, Settings],
) -> None:
    readers(*places, "a", 0.5, 0.7, 0.6)
    Path(evaluated(noise(), "a", 1, *places).trials[0].checkpoint).unlink()
    found = evaluated(noise(), "a", 2, *places)
    assert [one.trial for one in found.trials] == [2, 0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--of", "c"], ["--of 'c' is no search", "a, other"]),
        (["--of", "other"], ["--of must be a search of ssl.digits_vit", "ssl.by_hand"]),
        (["--top", "0"], ["--top must be at least 1, got 0"]),
        (["model.layers=3"], ["trial 0 of a: model.layers must be 2, as it was trained, got 3"]),
        (["evaluation.noise=-1"], ["noise", "greater than or equal to 0"]),
        (["--sampler", "random"], ["--sampler", "grid", "'random'"]),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_one_sentence(
    places: tuple[Store, Settings], arguments: list[str], words: list[str]
) -> None:
    readers(*places, "a", 0.5)
    streams.search(places[0], "other", places[1].folder("other"))
    result = CliRunner().invoke(app, ["search", "ssl.digits_noise", *arguments])
    assert result.exit_code == 2 and len(result.stderr.strip().splitlines()) == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert places[0].searches() == ["a", "other"]


def test_with_nothing_to_evaluate_it_says_what_to_run(places: tuple[Store, Settings]) -> None:
    result = CliRunner().invoke(app, ["search", "ssl.digits_noise"])
    assert result.exit_code == 2
    assert "no search of ssl.digits_vit has one; run one by `raysearch search" in result.stderr


def test_the_plan_says_what_is_evaluated_and_how_many_runs_that_is(
    places: tuple[Store, Settings],
) -> None:
    before = CliRunner().invoke(app, ["plan", "ssl.digits_noise"])
    assert before.exit_code == 0 and "points     5\n" in before.stdout
    assert "evaluates  finished trials of ssl.digits_vit, each with every point; now none: " in (
        before.stdout
    )
    readers(*places, "a", 0.5, 0.7, 0.6)
    after = CliRunner().invoke(app, ["plan", "ssl.digits_noise", "--top", "2"])
    assert (
        "evaluates  2 finished trials of a (ssl.digits_vit), each with 5 points: 10 runs"
        in after.stdout
    )


# One checkpoint, by hand


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The checkpoint of a short run, and what the run printed of its last step."""
    folder = tmp_path_factory.mktemp("trained")
    arguments = ["training.steps=20", "--folder", str(folder / "run")]
    done = CliRunner().invoke(app, [*TRAIN, *arguments])
    assert done.exit_code == 0, done.output
    return folder / "run/checkpoints/step-00000020.pt", done.stdout.splitlines()[-1]


def by_hand(path: Path | str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*TRAIN, "--evaluate-only", str(path), *arguments])


@pytest.mark.usefixtures("figures")
def test_evaluate_only_prints_what_training_printed_and_where_figures_lie(
    trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(trained[0].parents[1].rglob("*"))
    done = by_hand(trained[0])
    assert done.exit_code == 0, done.output
    *_, figure, step = done.stdout.splitlines()
    assert set(step.removeprefix("step 20: ").split(", ")) <= set(
        trained[1].removeprefix("step 20: ").split(", ")
    )
    assert figure.startswith("figures/val-wrong.png: ")
    assert Path(figure.partition(": ")[2]).is_relative_to(tmp_path / "runs/evaluate")
    assert sorted(trained[0].parents[1].rglob("*")) == before


def test_evaluate_only_takes_other_settings_and_a_split(
    trained: tuple[Path, str], tmp_path: Path
) -> None:
    done = by_hand(trained[0], "evaluation.noise=2", "--split", "all", "--folder", str(tmp_path))
    assert "test/accuracy" in done.stdout and "val/accuracy" in done.stdout
    assert json.loads((tmp_path / "config.json").read_text())["evaluation"]["noise"] == 2.0
    assert done.stdout.splitlines()[-1] != trained[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model.layers=3"], ["model.layers must be 2, as in the checkpoint", "got 3"]),
        (["evaluation.noice=3"], ["evaluation.noice", "'evaluation.noise'"]),
        (["evaluation.noise=much"], ["evaluation.noise", "'much'"]),
        (["--split", "train"], ["--split must be val, test or all, got 'train'"]),
        (["--folder", "RUN"], ["--folder must not be that of the run"]),
        (["--folder", "RUN/figures"], ["--folder must not be that of the run"]),
        (["--folder", "/proc/no"], ["--folder /proc/no cannot be written"]),
    ],
)
def test_what_cannot_be_done_with_a_checkpoint_is_refused(
    trained: tuple[Path, str], arguments: list[str], words: list[str]
) -> None:
    run = str(trained[0].parents[1])
    done = by_hand(trained[0], *(one.replace("RUN", run) for one in arguments))
    assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 1, done.output
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize("kind", ["absent.pt", ".", "text.pt"])
def test_no_checkpoint_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.pt").write_text("no checkpoint")
    done = by_hand(kind)
    assert done.exit_code == 2 and f"error: {kind} must be a checkpoint" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--split", "val"], 2, "--split is for --evaluate-only"),
        (["training.batch_size=5000"], 2, "training.batch_size must be at most the 1197"),
        (["--folder", "/proc/no"], 2, "--folder /proc/no cannot be written"),
        (["--folder", "RUN"], 2, "--folder must not hold a run of another configuration"),
        (["optimizer.lr=1e9", "training.steps=30"], 1, "diverged: loss and gradient of step"),
    ],
)
def test_a_training_that_cannot_be_says_why_in_one_sentence(
    trained: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    run = str(trained[0].parents[1])
    done = CliRunner().invoke(app, [*TRAIN, *(one.replace("RUN", run) for one in arguments)])
    assert done.exit_code == status and words in done.stderr, done.output
    assert len(done.stderr.strip().splitlines()) == 1


# Whole searches

OWN = """
from raysearch.sweeps.sweep import Metric, sweep
from trainables.core.config import Config
from trainables.core.training import ExperimentConfig


class Evaluation(Config):
    noise: float = 0.0


class Toy(ExperimentConfig):
    experiment = "noisy_toys:Toys"
    name = "noisy_toys.toy"
    x: float = 0.0
    evaluation: Evaluation = Evaluation()


class Toys:
    @staticmethod
    def run(config, session):
        raise RuntimeError("nothing is trained here")

    @staticmethod
    def evaluate(config, session):
        number, step = map(int, session.restored().read_text().split())
        score = config["x"] + number - config["evaluation"]["noise"]
        session.report(step, {"val/accuracy": score, "progress/epochs": 1.0})


@sweep(metrics=[Metric("val/accuracy", "maximize")], evaluates="noisy_toys:toys")
def noisy(trial):
    noise = trial.suggest_float("evaluation.noise", 0.0, 1.0, step=0.5)
    return Toy(evaluation=Evaluation(noise=noise))
"""
ONE = ("--concurrent", "1", *NOWHERE)


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a search of two toys that need no torch."""
    (tmp_path / "noisy_toys.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "noisy_toys", raising=False)
    settings = Settings.locate(tmp_path / "runs")
    configs = [importlib.import_module("noisy_toys").Toy(x=x) for x in (0.25, 0.75)]
    said = {"search": "readers", "sweep_name": "noisy_toys.toys", "sweep": "noisy_toys:toys"}
    finished(
        Store(settings.store),
        streams.spec(**said),
        settings,
        zip(configs, (0.25, 1.75), strict=True),
    )
    yield tmp_path
    for name in ("noisy", "again"):
        kill_orphans(label(tmp_path, name), living=True)


def checkpoints(folder: Path) -> dict[Path, str]:
    files = (folder / "runs/readers").glob("*/attempt-*/checkpoints/*")
    return {file: file.read_text() for file in files}


@pytest.mark.search
@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.timeout(1800)
def test_a_killed_search_without_torch_evaluates_each_trial_once_with_each_setting(
    toys: Path,
) -> None:
    before = checkpoints(toys)
    assert len(before) == 2
    search = ["search", "noisy_toys:noisy", "--of", "readers", "--name", "noisy", *ONE]
    killed = raysearch(toys, "after", "told", "3", "--", *search, program=KILLER)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    done = raysearch(toys, "resume", "noisy")
    assert done.returncode == 0, done.stdout + done.stderr
    made = list(view_of(toys, "noisy").trials.values())
    found = {
        ((m.evaluates or {})["trial"], m.config["evaluation"]["noise"]): (m.state, m.values)
        for m in made
    }
    assert all(len(one.reports) == 1 for one in made)
    assert len(made) == len(found) and found == {
        (number, noise): ("complete", [best - noise])
        for number, best in enumerate((0.25, 1.75))
        for noise in (0.0, 0.5, 1.0)
    }
    assert checkpoints(toys) == before and not list(toys.glob("runs/noisy/**/*.pt"))
    checked = raysearch(toys, "check", "noisy", *NOWHERE)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    rows = json_of(toys, "results", "noisy")
    assert sorted(row["evaluates"] for row in rows) == [0] * 3 + [1] * 3


HALF = ("evaluation.noise=0.5", "--top", "1", "--name", "again")


def made_by_a_retry(folder: Path, search: list[str]) -> None:
    """The checkpoint is away when the killed search goes on, and there again for the retry."""
    begun = raysearch(folder, "before", "started", "1", "--", *search, program=KILLER)
    assert begun.returncode == -signal.SIGKILL, begun.stdout + begun.stderr
    evaluates = view_of(folder, "again").trials[0].evaluates or {}
    path = Path(evaluates["checkpoint"])
    path.rename(path.with_suffix(".away"))
    failed = raysearch(folder, "resume", "again")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert f"checkpoint {path} is gone" in view_of(folder, "again").trials[0].reason
    path.with_suffix(".away").rename(path)
    done = raysearch(folder, "retry", "again")
    assert done.returncode == 0, done.stdout + done.stderr
    last = view_of(folder, "again").trials[1]
    assert (last.state, last.retry_of, last.evaluates) == ("complete", 0, evaluates)


@pytest.mark.search
@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.timeout(1800)
def test_an_evaluation_whose_checkpoint_was_away_is_made_by_a_retry(toys: Path) -> None:
    made_by_a_retry(toys, ["search", "noisy_toys:noisy", *HALF, "--of", "readers", *ONE])


# The same with torch, and with MLflow


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a search of two digit readers."""
    folder = tmp_path_factory.mktemp("searched")
    trials = ["--trials", "2", "--name", "readers"]
    done = raysearch(folder, "search", "ssl.digits_vit", *SMALL, *trials, *NOWHERE)
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    for name in ("readers", "noisy", "again"):
        kill_orphans(label(folder, name), living=True)


def prints(folder: Path) -> dict[str, str]:
    files = (folder / "runs/readers").glob("*/attempt-*/kept/*/*")
    return {str(file): fingerprint(file) for file in files}


@pytest.mark.long
@pytest.mark.search
@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.timeout(1800)
def test_a_killed_search_evaluates_each_trial_once_with_each_setting(searched: Path) -> None:
    before = prints(searched)
    search = ["search", "ssl.digits_noise", "--of", "readers", "--name", "noisy"]
    killed = raysearch(searched, "after", "told", "3", "--", *search, program=KILLER)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    done = raysearch(searched, "resume", "noisy")
    assert done.returncode == 0, done.stdout + done.stderr
    trials, readers = view_of(searched, "noisy").trials, view_of(searched, "readers").trials
    pairs = [(one.evaluates or {})["trial"] for one in trials.values()]
    levels = [one.config["evaluation"]["noise"] for one in trials.values()]
    assert sorted(zip(levels, pairs, strict=True)) == [
        (level, trial) for level in (0.0, 0.25, 0.5, 0.75, 1.0) for trial in (0, 1)
    ]
    for one, trial in zip(trials.values(), pairs, strict=True):
        assert one.state == "complete" and len(one.reports) == 1
        if one.config["evaluation"]["noise"] == 0:
            assert one.values == readers[trial].values
    assert prints(searched) == before and not list(searched.glob("runs/noisy/**/*.pt"))
    checked = raysearch(searched, "check", "noisy")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    rows = json_of(searched, "results", "noisy")
    assert sorted(row["evaluates"] for row in rows) == [0] * 5 + [1] * 5


@pytest.mark.long
@pytest.mark.search
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_of_a_network_whose_checkpoint_was_away_too(searched: Path) -> None:
    made_by_a_retry(searched, ["search", "ssl.digits_noise", *HALF, *NOWHERE])
