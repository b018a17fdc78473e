"""The price of entry for every family: found by its folder, checked without being named here."""

from __future__ import annotations

import contextlib
import importlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from raysearch.sweeps import catalog
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Sweep
from trainables.core import checkpoint
from trainables.core.experiment import Experiment
from trainables.core.session import LocalSession
from trainables.core.training import ExperimentConfig

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "trainables").glob("*/config.py"))
MODULES = [f"trainables.{path.parent.name}.config" for path in FILES if path.parent.name != "core"]
HEAVY = ("torch", "torchvision", "numpy", "sklearn", "matplotlib", "timm", "ray", "mlflow")
SAMPLED, BUILT = 20, 3
"""Configurations that are drawn of each sweep, and how many of those are built: networks cost."""
WITHOUT_FIGURES = ("detr.alpha_toy",)
"""Experiments whose evaluations draw nothing."""


def configs(module: str) -> list[type[ExperimentConfig]]:
    """The experiment configurations that a module defines."""
    found = vars(importlib.import_module(module)).values()
    return [
        one
        for one in found
        if isinstance(one, type)
        and issubclass(one, ExperimentConfig)
        and one.__module__ == module
        and hasattr(one, "experiment")
    ]


CONFIGS = [config for module in MODULES for config in configs(module)]
SWEEPS = list(catalog.sweeps(["search_spaces"]).values())


def experiment_of(config: type[ExperimentConfig]) -> type[Experiment]:
    """The class that the configuration names."""
    module, _, attribute = config.experiment.partition(":")
    return getattr(importlib.import_module(module), attribute)


def small(module: str) -> Any:
    """What a family offers to be tested with, `tests/trainables/<family>/small.py`, or None.

    `values(config)` are settings that make a configuration small, `provide(root)` writes the data
    that it then needs below a folder of data sets.
    """
    family = module.split(".")[1]
    there = (ROOT / "tests" / "trainables" / family / "small.py").exists()
    return importlib.import_module(f"tests.trainables.{family}.small") if there else None


@pytest.fixture(autouse=True, scope="module")
def _small_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A current folder with the data of all families: sets are looked for, and kept, there."""
    folder = tmp_path_factory.mktemp("families")
    for offered in filter(None, map(small, MODULES)):
        offered.provide(folder / "data")
    with contextlib.chdir(folder):
        yield


def short(config: ExperimentConfig, steps: int) -> ExperimentConfig:
    """The configuration for a few small steps, with two micro-batches."""
    offered = small(type(config).__module__)
    return config.with_values(
        {
            **(offered.values(config) if offered else {}),
            "training.steps": steps,
            "training.batch_size": 8,
            "training.num_micro_batches": 2,
            "training.evaluate_every": 2,
            "training.save_every": 2,
        }
    )


def run(config: ExperimentConfig, folder: Path, restored: Path | None = None) -> LocalSession:
    """A run in this process."""
    torch.set_num_threads(1)
    session = LocalSession(folder, restored)
    experiment_of(type(config)).run(config.to_json(), session)
    return session


def samples(sweep: Sweep) -> list[Any]:
    """Random configurations of a sweep, the same each time."""
    draw, space = random.Random(0), Space(sweep)
    return [space.sample(draw).config for _ in range(SAMPLED)]


families = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
sweeps = pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.name)


def test_there_are_families_and_sweeps() -> None:
    assert CONFIGS and SWEEPS


@pytest.mark.parametrize("module", MODULES)
def test_every_family_has_an_experiment_and_a_file_of_sweeps(module: str) -> None:
    family = module.split(".")[1]
    assert configs(module) and (ROOT / "search_spaces" / f"{family}.py").exists()


@families
def test_the_catalogue_finds_it_and_it_names_its_experiment(
    config: type[ExperimentConfig],
) -> None:
    assert catalog.experiments(["trainables"])[config.name] is config
    assert experiment_of(config).config_class is config


@families
def test_the_configuration_survives_json(config: type[ExperimentConfig]) -> None:
    assert config.read(config().to_json()) == config()


@families
def test_a_misspelt_field_is_named_with_the_nearest(config: type[ExperimentConfig]) -> None:
    with pytest.raises(LookupError, match="traning.epochs is no field of .*'training.epochs'"):
        config().with_values({"traning.epochs": 3})


@pytest.mark.slow
@pytest.mark.parametrize("module", [*MODULES, "search_spaces"])
def test_configurations_and_sweeps_import_nothing_heavy(module: str) -> None:
    names = (
        [module] if module != "search_spaces" else sorted({s.function.__module__ for s in SWEEPS})
    )
    code = (
        f"import sys, importlib; [importlib.import_module(name) for name in {names!r}]\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.usefixtures("figures")
@families
def test_two_steps_are_finite_and_each_figure_is_drawn(
    config: type[ExperimentConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session = run(short(config(), 2), tmp_path)
    assert all(abs(value) < float("inf") for value in session.reports[2].values())
    assert "was not written" not in caplog.text
    assert bool(list(tmp_path.glob("figures/*.png"))) == (config.name not in WITHOUT_FIGURES)


@families
def test_resumed_equals_uninterrupted(config: type[ExperimentConfig], tmp_path: Path) -> None:
    whole = run(short(config(), 4), tmp_path / "whole")
    rest = run(short(config(), 4), tmp_path / "rest", whole.checkpoints[2])
    assert rest.reports == {4: whole.reports[4]}
    prints = [checkpoint.fingerprint(one.checkpoints[4]) for one in (whole, rest)]
    assert prints[0] == prints[1]


@families
def test_batches_made_ahead_change_nothing(config: type[ExperimentConfig], tmp_path: Path) -> None:
    made = [config(), config().with_values({"training.prefetch": 2})]
    plain, ahead = (run(short(one, 4), tmp_path / str(place)) for place, one in enumerate(made))
    assert ahead.reports == plain.reports
    prints = [checkpoint.fingerprint(one.checkpoints[4]) for one in (plain, ahead)]
    assert prints[0] == prints[1]


@families
def test_an_evaluation_of_a_checkpoint_is_what_training_reported(
    config: type[ExperimentConfig], tmp_path: Path
) -> None:
    trained = run(short(config(), 4), tmp_path / "trained")
    for step, path in trained.checkpoints.items():
        session = LocalSession(tmp_path / str(step), path)
        found = experiment_of(config).trained(path, {})
        experiment_of(config).evaluate(found, session)
        said = {k: v for k, v in trained.reports[step].items() if not k.startswith("train/")}
        assert said.items() <= session.reports[step].items() and len(session.reports) == 1


@families
def test_what_is_described_is_what_is_recorded(
    config: type[ExperimentConfig], tmp_path: Path
) -> None:
    facts = run(short(config(), 2), tmp_path).facts
    assert {"data.name", "data.fingerprint", "data.split_sizes", "parameters"} <= facts.keys()
    assert {"versions", "threads", "device"} <= facts.keys()


@sweeps
def test_reported_metrics_are_those_that_the_sweep_declares(sweep: Sweep, tmp_path: Path) -> None:
    config = short(samples(sweep)[0], 2)
    if said := config.missing():
        pytest.skip(said)
    session = run(config, tmp_path)
    report = session.reports[2]
    assert {metric.name for metric in sweep.metrics} <= report.keys()
    assert {"progress/epochs", "progress/samples"} <= report.keys()
    for metric in sweep.metrics:  # and each has a score beside it of what learns nothing
        evaluation, _, name = metric.name.partition("/")
        rows: Any = session.facts[f"reference/{evaluation}"]
        assert name in rows["untrained"]
        assert any(name in rows[row] for row in rows.keys() - {"untrained"})


@sweeps
def test_sampled_configurations_survive_json_and_build(sweep: Sweep) -> None:
    drawn = samples(sweep)
    for config in drawn:
        assert type(config).read(config.to_json()) == config
    for config in drawn[:BUILT]:
        with torch.device("meta"):
            experiment = experiment_of(type(config)).create(config.to_json())
        assert all(parameter.is_meta for parameter in experiment.parameters())


@sweeps
def test_the_sweep_has_no_error_and_asks_a_question(sweep: Sweep) -> None:
    check_space(Space(sweep))
    assert sweep.question.endswith("?")
