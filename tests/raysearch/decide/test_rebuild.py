"""A study rebuilt from the event table decides as the living one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from raysearch.decide.study import Study
from raysearch.declare.space import Space
from raysearch.record.events import Event
from tests.raysearch.decide.driving import (
    Drive,
    Listed,
    events_of,
    frozen,
    make_study,
    spec_of,
)
from tests.raysearch.toys import BRANCHING, CONDITIONAL, GRID, Sweep

PRUNERS = ["none", "median:warmup=2,startup=3", "hyperband:max=9", "hyperband:max=auto"]
CASES = [
    *[("tpe", CONDITIONAL, pruner) for pruner in PRUNERS],
    *[("tpe", BRANCHING, pruner) for pruner in PRUNERS[1:3]],
    *[("random", CONDITIONAL, pruner) for pruner in PRUNERS],
    *[("grid", BRANCHING, pruner) for pruner in PRUNERS],
]


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "sweep", "pruner"), CASES)
def test_living_and_rebuilt_make_the_same_200_decisions(
    tmp_path: Path, sampler: str, sweep: Sweep, pruner: str
) -> None:
    spec = spec_of(sweep, sampler, pruner)
    study, log, store = make_study(tmp_path, sweep, spec)
    living = Drive(study, log, random.Random(1))
    moments = random.Random(2)
    for _ in range(4):
        for _ in range(moments.randrange(30, 150)):
            living.step()
        again = Listed()
        rebuilt = Study.rebuild(Space(sweep), spec, again, events_of(store, log))
        assert again.events == []
        assert frozen(rebuilt) == frozen(study)
        other = living.copy_onto(rebuilt, again)
        living.decisions.clear()
        for _ in range(200):
            living.step()
            other.step()
        assert other.decisions == living.decisions
        assert frozen(rebuilt) == frozen(study)
    states = [trial.state.name for trial in study.trials]
    assert ("PRUNED" in states) or pruner == "none"


def prefixes(
    folder: Path, pruner: str
) -> tuple[dict[str, Any], list[Event], list[tuple[Any, ...]]]:
    """A drive with its events, and its study at the end."""
    spec = spec_of(BRANCHING, "tpe", pruner)
    study, log, store = make_study(folder, BRANCHING, spec)
    drive = Drive(study, log, random.Random(5), workers=2)
    for _ in range(150):
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
        written = [(each.kind, each.trial, each.body) for each in events[cut:]]
        assert log.events == written[: len(log.events)]
        if log.events:
            assert events[cut - 1].kind in ("report", "decision", "told", "asked")


def test_a_decision_that_was_not_written_is_made_again(tmp_path: Path) -> None:
    spec, events, _ = prefixes(tmp_path, PRUNERS[1])
    cut = next(index for index, each in enumerate(events) if each.kind == "decision")
    log = Listed()
    study = Study.rebuild(Space(BRANCHING), spec, log, events[:cut])
    decision = events[cut]
    assert log.events == [("decision", decision.trial, decision.body)]
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


def test_first_points_are_not_repeated_after_a_resume(tmp_path: Path) -> None:
    spec = spec_of(CONDITIONAL, "random")
    study, log, store = make_study(tmp_path, CONDITIONAL, spec)
    first = [study.ask() for _ in range(4)]
    rebuilt = Study.rebuild(Space(CONDITIONAL), spec, log, events_of(store, log))
    params = [each.params for each in [*first, *(rebuilt.ask() for _ in range(4))] if each]
    assert len({repr(each) for each in params}) == 8


def test_the_seed_of_the_search_decides_the_points(tmp_path: Path) -> None:
    def points(seed: int) -> list[Any]:
        spec = spec_of(CONDITIONAL, "random", seed=seed)
        study = Study(Space(CONDITIONAL), spec, Listed())
        return [study.ask() for _ in range(3)]

    assert points(0) == points(0) != points(1)
