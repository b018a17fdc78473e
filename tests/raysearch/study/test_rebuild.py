"""A study rebuilt from the event table decides as the living one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from raysearch.events.log import Event
from raysearch.study.samplers.view import Bound
from raysearch.study.study import Study
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.sweeps.space import Space
from tests.raysearch.study.driving import (
    Drive,
    Listed,
    events_of,
    frozen,
    make_study,
    spec_of,
)
from tests.raysearch.toys import (
    BRANCHING,
    CONDITIONAL,
    CONTINUOUS,
    GRID,
    LOSS,
    SCORE,
    Sweep,
    continuous,
    swept,
)

LONG = pytest.mark.long
PRUNERS = [
    "none",
    "median:warmup=2,startup=3",
    "percentile:keep=40,warmup=2,startup=3",
    "successive-halving:factor=3",
    "hyperband:max=9",
    "hyperband:max=auto",
    "threshold:lower=0.4,warmup=4",
    "patient:patience=2,delta=0.1",
    "median:startup=3+patient:patience=2,delta=0.1",
    "successive-halving:factor=2+patient:patience=1,delta=0.2",
]
SAMPLERS = [
    "random",
    "tpe:startup=4",
    "cmaes:population=4",
    "qmc",
    "qmc:kind=halton",
    "nsga2:population=6",
]
TWO = swept(continuous, metrics=[SCORE, LOSS])
CASES = [
    *[("random", CONDITIONAL, pruner) for pruner in PRUNERS],
    *[("tpe", CONDITIONAL, pruner) for pruner in (PRUNERS[1], PRUNERS[3], PRUNERS[5])],
    *[("tpe", BRANCHING, pruner) for pruner in (PRUNERS[2], PRUNERS[4])],
    *[("grid", BRANCHING, pruner) for pruner in (*PRUNERS[:2], *PRUNERS[4:6])],
    *[(sampler, CONTINUOUS, pruner) for sampler in SAMPLERS[2:] for pruner in PRUNERS[1:4:2]],
    *[(sampler, CONDITIONAL, PRUNERS[1]) for sampler in (SAMPLERS[2], SAMPLERS[5])],
    *[(sampler, GRID, "none") for sampler in SAMPLERS[2:]],
    *[(sampler, TWO, "none") for sampler in SAMPLERS if "cmaes" not in sampler],
]


def agree(folder: Path, sampler: str, sweep: Sweep, pruner: str, turns: int, count: int) -> Study:
    """Compares `count` decisions of a living study and a rebuilt one, at `turns` moments."""
    spec = spec_of(sweep, sampler, pruner)
    study, log, store = make_study(folder, sweep, spec)
    living = Drive(study, log, random.Random(1), objectives=len(sweep.metrics))
    moments = random.Random(2)
    for _ in range(turns):
        for _ in range(moments.randrange(count // 7, count * 3 // 4)):
            living.step()
        again = Listed()
        rebuilt = Study.rebuild(Space(sweep), spec, again, events_of(store, log))
        assert again.events == []
        assert frozen(rebuilt) == frozen(study)
        other = living.copy_onto(rebuilt, again)
        living.decisions.clear()
        for _ in range(count):
            living.step()
            other.step()
        assert other.decisions == living.decisions
        assert frozen(rebuilt) == frozen(study)
    return study


@pytest.mark.slow
@pytest.mark.parametrize(("turns", "count"), [(2, 80), pytest.param(3, 200, marks=LONG)])
@pytest.mark.parametrize(("sampler", "sweep", "pruner"), CASES)
def test_living_and_rebuilt_make_the_same_decisions(
    tmp_path: Path, sampler: str, sweep: Sweep, pruner: str, turns: int, count: int
) -> None:
    study = agree(tmp_path, sampler, sweep, pruner, turns, count)
    states = [trial.state.name for trial in study.trials]
    assert ("PRUNED" in states) or pruner == "none"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("sweep", "pruner"),
    [
        (CONDITIONAL, PRUNERS[1]),
        (CONTINUOUS, "successive-halving:min=4,factor=2"),
        (TWO, PRUNERS[0]),
    ],
)
def test_with_gaussian_processes_too(tmp_path: Path, sweep: Sweep, pruner: str) -> None:
    agree(tmp_path, "gp:startup=5", sweep, pruner, turns=2, count=40)


@pytest.mark.slow
def test_beyond_what_the_sampler_looks_at_too(tmp_path: Path) -> None:
    """With more finished trials than TPE's bound lets it see."""
    spec = spec_of(CONTINUOUS, "tpe", PRUNERS[1])
    study, log, store = make_study(tmp_path, CONTINUOUS, spec)
    with_few(study)
    living = Drive(study, log, random.Random(1))
    for _ in range(400):
        living.step()
    rebuilt = with_few(Study.rebuild(Space(CONTINUOUS), spec, Listed(), events_of(store, log)))
    other = living.copy_onto(rebuilt, Listed())
    living.decisions.clear()
    for _ in range(200):
        living.step()
        other.step()
    assert len(study.trials) > 60 and other.decisions == living.decisions


def with_few(study: Study) -> Study:
    """The study with a sampler that looks at 20 finished trials only."""
    study._sampler.bound = Bound(5, 10, 5)
    return study


def prefixes(folder: Path, pruner: str) -> tuple[SearchSpec, list[Event], list[tuple[Any, ...]]]:
    """A drive with its events, and its study at the end."""
    spec = spec_of(BRANCHING, "tpe", pruner)
    study, log, store = make_study(folder, BRANCHING, spec)
    drive = Drive(study, log, random.Random(5), workers=2)
    for _ in range(70):
        drive.step()
    return spec, events_of(store, log), frozen(study)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_kill_between_any_two_events_is_completed(tmp_path: Path, pruner: str) -> None:
    """Cut the table anywhere: what the rebuilt study adds is what the living one wrote next."""
    spec, events, _ = prefixes(tmp_path, pruner)
    for cut in range(1, len(events)):
        log = Listed()
        Study.rebuild(Space(BRANCHING), spec, log, events[:cut])
        written = [(each.kind, each.trial, each.body.plain()) for each in events[cut:]]
        assert log.events == written[: len(log.events)]
        if log.events:
            assert events[cut - 1].kind in ("report", "decision", "told", "asked")


def test_a_decision_that_was_not_written_is_made_again(tmp_path: Path) -> None:
    spec, events, _ = prefixes(tmp_path, PRUNERS[1])
    cut = next(index for index, each in enumerate(events) if each.kind == "decision")
    log = Listed()
    study = Study.rebuild(Space(BRANCHING), spec, log, events[:cut])
    decision = events[cut]
    assert log.events == [("decision", decision.trial, decision.body.plain())]
    assert decision.trial is not None and study.report(decision.trial, 99, [1.0])


def test_a_resumed_attempt_that_comes_by_again_changes_nothing(tmp_path: Path) -> None:
    study, _, _ = make_study(tmp_path, GRID, spec_of(GRID, "random", PRUNERS[1]))
    proposal = study.ask()
    assert proposal is not None
    for fidelity in (1, 2, 3):
        assert not study.report(proposal.number, fidelity, [0.5])
    before = frozen(study)
    for fidelity in (2, 3):
        assert not study.report(proposal.number, fidelity, [-99.0])
    assert frozen(study) == before


@pytest.mark.parametrize("sampler", [*SAMPLERS, "gp"])
def test_first_points_are_not_repeated_after_a_resume(tmp_path: Path, sampler: str) -> None:
    """Optuna repeats its start-up points when a process begins again with the same seed."""
    spec = spec_of(CONTINUOUS, sampler)
    study, log, store = make_study(tmp_path, CONTINUOUS, spec)
    first = [study.ask() for _ in range(4)]
    rebuilt = Study.rebuild(Space(CONTINUOUS), spec, log, events_of(store, log))
    params = [each.params for each in [*first, *(rebuilt.ask() for _ in range(4))] if each]
    assert len({repr(each) for each in params}) == 8


@pytest.mark.parametrize("sampler", [*SAMPLERS, "gp"])
def test_the_seed_of_the_search_decides_the_points(sampler: str) -> None:
    def points(seed: int) -> list[Any]:
        study = Study(Space(CONTINUOUS), spec_of(CONTINUOUS, sampler, seed=seed), Listed())
        return [study.ask() for _ in range(3)]

    assert points(0) == points(0) != points(1)
