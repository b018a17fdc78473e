"""Every sampler is named with its arguments, keeps nothing for itself, and is refused in words."""

from __future__ import annotations

import math
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from raysearch.study.samplers.named import check_sampler, make_sampler, modelled_apart
from raysearch.study.study import Study
from raysearch.sweeps.samplers import SAMPLERS
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric
from tests.raysearch.study.driving import (
    Drive,
    Listed,
    events_of,
    make_study,
    score,
    spec_of,
)
from tests.raysearch.study.test_study import thousand
from tests.raysearch.toys import (
    BRANCHING,
    CONDITIONAL,
    CONTINUOUS,
    GRID,
    LOSS,
    SCORE,
    TIED,
    Adam,
    Sweep,
    Toy,
    continuous,
    swept,
)

ROOT = Path(__file__).parents[3]
TWO = swept(continuous, metrics=[SCORE, LOSS])


def choices(trial: Any) -> Toy:
    """Two choices and no number."""
    return Toy(
        width=trial.suggest_categorical("width", [32, 64]),
        patch=trial.suggest_categorical("patch", [2, 4, 8]),
    )


def wholly(trial: Any) -> Toy:
    """One of two parameters, by chance of a constant choice."""
    if trial.suggest_categorical("width", [32, 64]) == 32:
        return Toy(width=32, depth=trial.suggest_int("depth", 1, 4))
    return Toy(rate=trial.suggest_float("rate", 0.0, 1.0))


CHOICES, WHOLLY = swept(choices), swept(wholly)


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_every_sampler_and_argument_says_what_it_does(name: str) -> None:
    assert SAMPLERS[name].meaning
    assert all(argument.meaning for argument in SAMPLERS[name].arguments.values())


@pytest.mark.parametrize(
    ("sampler", "sweep", "text"),
    [
        ("gp:startup=0", GRID, "startup of sampler 'gp' must be a whole number from 1, got '0'"),
        ("cmaes:population=3", GRID, "must be a whole number from 4 or 'auto', got '3'"),
        ("qmc:kind=lattice", GRID, "kind of sampler 'qmc' must be 'sobol' or 'halton', got 'latt"),
        ("nsga2:population=1", GRID, "population of sampler 'nsga2' must be a whole number from 2"),
        ("nsga", GRID, "must be tpe, random, .* or nsga2, got 'nsga'; did you mean 'nsga2'"),
        ("cmaes", TWO, "cmaes serves one metric, got valid/score, valid/loss; take nsga2, tpe or"),
        ("cmaes", CHOICES, "cmaes needs a number that is always asked .* only width, patch; take"),
        ("cmaes", WHOLLY, "needs a number that is always asked .* only .*depth.*; take tpe"),
        ("qmc", CONDITIONAL, r"needs a space without conditions, and .*momentum.* are not always"),
        ("qmc", WHOLLY, "qmc needs a space without conditions, and .* are not always asked for"),
    ],
)
def test_what_a_sampler_cannot_do_is_refused_with_what_can(
    sampler: str, sweep: Sweep, text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        check_sampler(sampler, sweep, Space(sweep))


@pytest.mark.parametrize(
    ("sampler", "sweep"),
    [
        ("gp", CONDITIONAL),
        ("gp", CHOICES),
        ("gp:startup=1", TWO),
        ("cmaes:population=auto", CONDITIONAL),
        ("cmaes:population=4,startup=3", CONTINUOUS),
        ("qmc:kind=halton", CHOICES),
        ("qmc", TWO),
        ("nsga2:population=2", TWO),
        ("nsga2", CONDITIONAL),
    ],
)
def test_what_a_sampler_can_do_passes(sampler: str, sweep: Sweep) -> None:
    check_sampler(sampler, sweep, Space(sweep))


@pytest.mark.parametrize("sampler", ["gp", "cmaes", "qmc", "nsga2"])
def test_a_space_of_one_point_needs_no_model(sampler: str) -> None:
    fixed = {"depth": 2, "rate": 0.1}
    check_sampler(sampler, GRID, Space(GRID, fixed))
    study = Study(Space(GRID, fixed), spec_of(GRID, sampler), Listed())
    assert study.ask() is not None and study.ask() is None


@pytest.mark.parametrize(
    ("sampler", "apart"),
    [
        ("tpe", []),
        ("gp", ["optimizer[adam].lr", "optimizer[sgd].lr", "optimizer.momentum"]),
        ("cmaes:population=4", ["optimizer.kind", "optimizer[adam].lr", "optimizer[sgd].lr"]),
    ],
)
def test_what_is_modelled_apart_is_known(sampler: str, apart: list[str]) -> None:
    assert set(apart) <= set(modelled_apart(sampler, Space(CONDITIONAL)))


@pytest.mark.slow
@pytest.mark.parametrize("sweep", [GRID, TIED, BRANCHING])
@pytest.mark.parametrize(
    "sampler", ["cmaes:population=4", "qmc", "qmc:kind=halton", "nsga2:population=4"]
)
def test_every_point_of_a_finite_space_is_run_once(sampler: str, sweep: Sweep) -> None:
    if sweep is BRANCHING and "qmc" in sampler:
        pytest.skip("refused")
    study = Study(Space(sweep), spec_of(sweep, sampler), Listed())
    keys: list[tuple[str, int]] = []
    while (proposal := study.ask()) is not None:
        keys.append((proposal.digest, proposal.seed))
        study.tell(proposal.number, "complete", [score(proposal.config, 9)])
    assert Counter(keys) == Counter({point.key for point in Space(sweep).points()})


def drain(study: Study, values: Any) -> list[dict[str, Any]]:
    """Runs all trials one after another; the parameters of each."""
    found: list[dict[str, Any]] = []
    while (proposal := study.ask()) is not None:
        found.append(proposal.params)
        study.tell(proposal.number, "complete", values(proposal))
    return found


@pytest.mark.parametrize("sampler", ["cmaes:population=4", "nsga2:population=4", "qmc"])
def test_what_optuna_keeps_is_in_the_asked_events(sampler: str) -> None:
    log = Listed()
    study = Study(Space(CONTINUOUS), spec_of(CONTINUOUS, sampler, trials=20), log)
    drain(study, lambda proposal: [score(proposal.config, 9)])
    asked = [body for kind, _, body in log.events if kind == "asked"]
    of_trials = {key for body in asked for key in body["system_attrs"]}
    of_study = [key for body in asked for key in body["study_attrs"]]
    if sampler == "qmc":
        assert len(set(of_study)) == 1 and len(of_study) == 19, "its place in the sequence"
    elif "cmaes" in sampler:
        assert {"cma:generation", "cma:optimizer:0"} <= of_trials
        assert max(body["system_attrs"].get("cma:generation", 0) for body in asked) >= 3
    else:
        assert "NSGAIISampler:generation" in of_trials
        assert len(of_study) >= 4
        assert of_study == [f"NSGAIISampler:parent:{n + 1}" for n in range(len(of_study))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler", ["random", "tpe:startup=3", "cmaes:population=4", "nsga2:population=4", "qmc"]
)
def test_killed_before_any_question_a_study_asks_what_it_would_have(
    tmp_path: Path, sampler: str
) -> None:
    spec = spec_of(CONTINUOUS, sampler, "median:startup=2")
    study, log, store = make_study(tmp_path, CONTINUOUS, spec)
    drive = Drive(study, log, random.Random(5), workers=2)
    for _ in range(120):
        drive.step()
    events = events_of(store, log)
    for cut in [index for index, event in enumerate(events) if event.kind == "asked"]:
        again = Listed()
        Study.rebuild(Space(CONTINUOUS), spec, again, events[:cut]).ask()
        assert again.events[0] == ("asked", events[cut].trial, events[cut].body.plain())


def test_qmc_fills_each_dimension_evenly() -> None:
    """Of a scrambled Sobol sequence the first 16 have one point in each sixteenth of a range."""
    spec = spec_of(CONTINUOUS, "qmc", trials=17)
    study = Study(Space(CONTINUOUS), spec, Listed())
    points = drain(study, lambda proposal: [0.0])[1:]
    decays = [int(16 * point["optimizer.decay"]) for point in points]
    rates = [int(4 * (4 + math.log10(point["optimizer.lr"]))) for point in points]
    assert sorted(decays) == sorted(rates) == list(range(16))
    assert Counter(point["depth"] for point in points) == {depth: 2 for depth in range(1, 9)}


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["gp:startup=4", "cmaes:population=4", "nsga2:population=4"])
def test_nothing_that_optuna_warns_of_reaches_the_user(
    sampler: str, capfd: pytest.CaptureFixture[str]
) -> None:
    study = Study(Space(CONDITIONAL), spec_of(CONDITIONAL, sampler, trials=14), Listed())
    drain(study, lambda proposal: [score(proposal.config, 9)])
    assert capfd.readouterr() == ("", "")


def test_cmaes_goes_on_in_a_space_where_all_first_trials_took_one_branch() -> None:
    """Optuna's own takes that branch's parameters in, and is random once another comes."""
    space = Space(CONDITIONAL)
    study = Study(space, spec_of(CONDITIONAL, "cmaes:population=4", trials=30), Listed())
    drain(study, lambda proposal: [score(proposal.config, 9)])
    generations = [trial.system_attrs.get("cma:generation", -1) for trial in study.trials[1:]]
    assert min(generations) >= 0 and max(generations) >= 5


def cliff(trial: Any) -> Toy:
    """The higher the better, but above 0.5 nothing runs."""
    return Toy(
        optimizer=Adam(
            lr=trial.suggest_float("optimizer.lr", 0.1, 1.0),
            decay=trial.suggest_float("optimizer.decay", 0.0, 1.0),
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "trials"), [("gp:startup=8", 30), ("cmaes", 80), ("nsga2:population=10", 80)]
)
def test_samplers_of_complete_trials_learn_what_is_infeasible(sampler: str, trials: int) -> None:
    """They know no pruned trials: left as such, an infeasible region is asked for again."""
    over: list[float] = []
    for seed in range(2):
        sweep = swept(cliff)
        spec = spec_of(sweep, sampler, trials=trials, seed=seed)
        study = Study(Space(sweep), spec, Listed())
        bad: list[bool] = []
        while (proposal := study.ask()) is not None:
            decay = proposal.params["optimizer.decay"]
            bad.append(decay > 0.5)
            state: Any = "infeasible" if bad[-1] else "complete"
            study.tell(proposal.number, state, None if bad[-1] else [decay])
        over.append(statistics.mean(bad[-trials // 3 :]))
    assert statistics.mean(over) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "trials"), [("gp:startup=8", 25), ("cmaes", 80)])
def test_a_model_finds_better_points_than_chance(sampler: str, trials: int) -> None:
    def best(name: str, seed: int) -> float:
        spec = spec_of(CONTINUOUS, name, trials=trials, seed=seed)
        found: list[float] = []

        def values(proposal: Any) -> list[float]:
            optimizer, depth = proposal.config["optimizer"], proposal.config["depth"]
            lr, decay = math.log10(optimizer["lr"]) + 1.7, optimizer["decay"] - 0.3
            found.append(-(lr**2) - decay**2 - 0.1 * abs(depth - 4))
            return found[-1:]

        drain(Study(Space(CONTINUOUS), spec, Listed()), values)
        return max(found)

    gains = [best(sampler, seed) - best("random", seed) for seed in range(4)]
    assert statistics.median(gains) > 0


def area(points: list[tuple[float, float]]) -> float:
    """What points dominate, to be minimised, below (1, 1)."""
    total, height = 0.0, 1.0
    for x, y in sorted(points):
        if x < 1 and y < height:
            total += (1 - x) * (height - y)
            height = y
    return total


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["nsga2:population=15", "tpe"])
def test_with_two_directions_more_of_the_front_is_found_than_by_chance(sampler: str) -> None:
    """The front is x + y = 0.5 below (1, 1); hypervolume of 150 trials."""

    def covered(name: str, seed: int) -> float:
        sweep = swept(continuous, metrics=[LOSS, Metric("valid/size", "minimize")])
        study = Study(Space(sweep), spec_of(sweep, name, trials=150, seed=seed), Listed())
        found: list[tuple[float, float]] = []

        def values(proposal: Any) -> list[float]:
            place = (math.log10(proposal.config["optimizer"]["lr"]) + 4) / 4
            off = abs(proposal.config["optimizer"]["decay"] - 0.4) + 0.05 * proposal.config["depth"]
            found.append((place / 2 + off, (1 - place) / 2 + off))
            return list(found[-1])

        drain(study, values)
        return area(found)

    gains = [covered(sampler, seed) - covered("random", seed) for seed in range(3)]
    assert min(gains) > 0


@pytest.mark.parametrize("sampler", ["tpe:startup=900", "gp:startup=900", "cmaes:startup=900"])
def test_a_sampler_sees_its_whole_start_up(sampler: str) -> None:
    """Otherwise it would never count so many trials, and never have a model."""
    bound = make_sampler(sampler, Space(CONTINUOUS), ["minimize"], 0).bound
    assert bound is not None and bound.last == 900


@pytest.mark.slow
def test_torch_is_imported_only_once_a_gaussian_process_is_fitted() -> None:
    code = """
import sys
from tests.raysearch.study.test_samplers import CONTINUOUS, SAMPLERS, Listed, Space, Study, spec_of
for name in SAMPLERS:
    if name != "grid":
        study = Study(Space(CONTINUOUS), spec_of(CONTINUOUS, name), Listed())
        for value in range(8):
            study.tell(study.ask().number, "complete", [float(value)])
        print(name, "torch" in sys.modules)
study = Study(Space(CONTINUOUS), spec_of(CONTINUOUS, "gp:startup=1"), Listed())
study.tell(study.ask().number, "complete", [0.0])
study.ask()
print("fitted", "torch" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found = dict(line.split() for line in done.stdout.splitlines())
    assert found.pop("fitted") == "True" and set(found.values()) == {"False"}


@pytest.mark.slow
def test_a_decision_does_not_wait_for_a_gaussian_process() -> None:
    """At 1,000 finished trials, while it computes without pause in another thread."""
    spec = spec_of(CONTINUOUS, "gp", "median:warmup=3")
    study = Study.rebuild(Space(CONTINUOUS), spec, Listed(), thousand())
    drive = Drive(study, Listed(), random.Random(0), workers=4)
    while len(drive.running) < 4:
        drive.step()
    ended, computed, drive.ended = threading.Event(), list[float](), True

    def prepare() -> None:
        while not ended.is_set():
            begin = time.perf_counter()
            study.prepare(1)
            study.drop_prepared()
            computed.append(time.perf_counter() - begin)

    thread = threading.Thread(target=prepare)
    thread.start()
    while drive.running:
        drive.step()
        time.sleep(0.05)
    ended.set()
    thread.join()
    assert statistics.median(drive.waits) < statistics.median(computed) / 2
