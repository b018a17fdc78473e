"""Past runs: read row by row, refused with their line, known to a search that never runs them."""

from __future__ import annotations

import json
import random
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raysearch.events.log import EventLog, Store
from raysearch.results.forecast import expected_runs
from raysearch.results.tables import rows
from raysearch.results.view import SearchView
from raysearch.study.known_trials import read_known
from raysearch.study.study import Study
from raysearch.sweeps.search_spec import KnownTrial, KnownTrials, MetricSpec, SearchSpec
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Sweep
from tests.raysearch.command import raysearch, started, view_of, wait_until
from tests.raysearch.specs import make_spec
from tests.raysearch.study.driving import Drive, Listed, events_of, frozen, make_study, spec_of
from tests.raysearch.toys import BRANCHING, CONDITIONAL, CONTINUOUS, GRID, SCORE

Row = dict[str, Any]


def csv_of(folder: Path, text: str) -> Path:
    path = folder / "past.csv"
    path.write_text(text)
    return path


def read(folder: Path, text: str, sweep: Sweep = GRID, **fixed: object) -> list[Row]:
    return read_known(csv_of(folder, text), Space(sweep, fixed))


def learned(
    folder: Path, sweep: Sweep, known: list[Row], sampler: str = "tpe", **options: Any
) -> tuple[Study, EventLog, Store, SearchSpec]:
    """A study that knows rows, and has learned them."""
    spec = replace(
        spec_of(sweep, sampler, **options),
        known=KnownTrials(tuple(KnownTrial(row["params"], row["values"]) for row in known)),
        metrics=(MetricSpec(SCORE.name, "maximize", "best"),),
    )
    study, log, store = make_study(folder, sweep, spec)
    study.learn()
    return study, log, store, spec


GOOD = [{"params": {"depth": depth, "rate": 0.1}, "values": [0.1 * depth]} for depth in (2, 3)]

# Reading


def test_a_csv_and_a_json_say_the_same(tmp_path: Path) -> None:
    table = read(tmp_path, "depth,rate,valid/score\n1,0.1,0.5\n2,0.2,0.25\n")
    path = tmp_path / "past.json"
    path.write_text(
        json.dumps(
            [
                {"depth": 1, "rate": 0.1, "valid/score": 0.5},
                {"depth": 2, "rate": 0.2, "valid/score": 0.25},
            ]
        )
    )
    assert read_known(path, Space(GRID)) == table
    assert table[0] == {"params": {"depth": 1, "rate": 0.1}, "values": [0.5]}


def test_names_may_be_paths_and_cells_empty_where_a_branch_lacks_them(tmp_path: Path) -> None:
    text = (
        "optimizer.kind,optimizer.lr,optimizer.momentum,depth,valid/score\n"
        "adam,0.001,,2,0.5\nsgd,0.1,0.9,3,0.75\n"
    )
    found = read(tmp_path, text, CONDITIONAL)
    assert [list(row["params"]) for row in found] == [
        ["optimizer.kind", "optimizer[adam].lr", "depth"],
        ["optimizer.kind", "optimizer[sgd].lr", "optimizer.momentum", "depth"],
    ]


def test_what_is_not_sampled_may_be_there_as_it_is(tmp_path: Path) -> None:
    assert len(read(tmp_path, "depth,rate,width,valid/score\n1,0.1,64,0.5\n")) == 1
    assert len(read(tmp_path, "depth,rate,valid/score\n1,0.1,0.5\n", depth=1)) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("depth,rate,valid/score\n1,0.1,1\n9,0.1,1\n", "line 3: depth must be in 1 … 4, got '9'"),
        ("depth,rate,valid/score\n1.5,0.1,1\n", "line 2: depth must be in 1 … 4, got '1.5'"),
        ("depth,rate,valid/score\n1,0.15,1\n", "line 2: rate must be in 0 … 0.2 by 0.1, got"),
        ("depth,rate,valid/score\n1,,1\n", "line 2: rate must be given, it is in 0 … 0.2"),
        ("depht,rate,valid/score\n1,0.1,1\n", "line 2: column 'depht' is no parameter, no path"),
        ("depth,rate,valid/score\n1,0.1,\n", "line 2: valid/score must be a finite number, got"),
        ("depth,rate,valid/score\n1,0.1,nan\n", "line 2: valid/score must be a finite number"),
        ("depth,rate,valid/score\n1,0.1,1\n1,0.1,2\n", "line 3: it has the configuration of line"),
        ("depth,rate,width,valid/score\n1,0.1,32,1\n", "line 2: width must be 64, as the sweep"),
        ("depth,rate,valid/score\n1,0.1\n", "line 2: a row must have as many cells"),
        ("depth,rate,optimizer.momentum,valid/score\n1,0.1,0.9,1\n", "must be empty here"),
        ("depth,rate,valid/score\n", "must have at least one complete row, got none"),
        ('depth,rate,valid/score\n1,"0.1\n",1\n7,0.1,1\n', "line 4: depth must be in"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_its_line(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises((ValueError, LookupError)) as caught:
        read(tmp_path, text)
    assert words in str(caught.value) and "past.csv" in str(caught.value)


def test_json_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "past.json"
    for text, words in (("{", "must be JSON"), ("{}", "must be a list of objects")):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            read_known(path, Space(GRID))
    with pytest.raises(LookupError, match="--known must be a file, got"):
        read_known(tmp_path / "none.csv", Space(GRID))


# Knowing


def test_known_trials_come_first_and_count_for_nothing(tmp_path: Path) -> None:
    study, log, store, spec = learned(tmp_path, GRID, GOOD, "grid", trials=3)
    proposals = [study.ask() for _ in range(4)]
    assert [each and (each.number, each.origin) for each in proposals] == [
        (2, "default"),
        (3, "grid"),
        (4, "grid"),
        None,
    ]
    log.flush()
    view = SearchView.read(store, spec.search)
    assert [trial.state for trial in view.trials.values()] == ["known"] * 2 + ["waiting"] * 3
    assert view.best() is None and view.ranking() == [] and view.done() == 0
    assert [(row["trial"], row["state"]) for row in rows(view)][:2] == [(1, "known"), (0, "known")]


def test_a_grid_runs_only_what_is_not_known(tmp_path: Path) -> None:
    study, *_ = learned(tmp_path, GRID, GOOD, "grid")
    found: list[Row] = []
    while (proposal := study.ask()) is not None:
        found.append(proposal.params)
    assert len(found) == 10 and not [row for row in GOOD if row["params"] in found]
    assert expected_runs(make_spec(points=12, trials=None, known={"trials": GOOD})) == 10


def test_a_proposal_that_is_known_is_told_its_result(tmp_path: Path) -> None:
    space = Space(BRANCHING)
    known = [{"params": point.params, "values": [0.5]} for point in space.points()][:-1]
    study, log, store, spec = learned(tmp_path, BRANCHING, known, "random")
    proposal = study.ask()
    assert proposal is not None and study.ask() is None
    log.flush()
    view = SearchView.read(store, spec.search)
    duplicates = [trial for trial in view.trials.values() if trial.state == "duplicate"]
    assert all(trial.values == [0.5] for trial in duplicates)
    assert proposal.number == len(known) + len(duplicates)


def test_a_sampler_learns_from_what_is_known(tmp_path: Path) -> None:
    rng, space = random.Random(3), Space(CONTINUOUS)
    points = [space.sample(rng).params for _ in range(60)]
    known = [{"params": each, "values": [-abs(each["depth"] - 6)]} for each in points]

    def miss(folder: str, rows: list[Row]) -> float:
        (tmp_path / folder).mkdir()
        study, *_ = learned(tmp_path / folder, CONTINUOUS, rows)
        asked = [study.ask() for _ in range(11)][1:]  # behind the default
        return statistics.mean(abs(each.params["depth"] - 6) for each in asked if each)

    assert miss("with", known) < 0.6 * miss("without", [])


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "cmaes", "qmc", "nsga2"])
def test_every_sampler_goes_on_from_what_is_known(sampler: str, tmp_path: Path) -> None:
    points = [Space(CONTINUOUS).sample(random.Random(seed)).params for seed in range(4)]
    known = [{"params": each, "values": [each["depth"] / 8]} for each in points]
    study, *_ = learned(tmp_path, CONTINUOUS, known, sampler, trials=3)
    asked = [study.ask() for _ in range(4)]
    assert [each is None for each in asked] == [False, False, False, True]


def test_pruners_do_not_see_what_is_known(tmp_path: Path) -> None:
    point = Space(CONTINUOUS).default()
    assert point is not None
    known = [{"params": {**point.params, "depth": d}, "values": [9.0]} for d in range(3, 9)]
    study, *_ = learned(tmp_path, CONTINUOUS, known, pruner="median:startup=1")
    first = study.ask()
    second = study.ask()
    assert first is not None and second is not None
    assert not study.report(first.number, 1, [0.1])
    study.tell(first.number, "complete", [0.1])
    assert not study.report(second.number, 1, [0.2])  # better than the only one that has a curve


def test_a_rebuilt_study_knows_and_decides_the_same(tmp_path: Path) -> None:
    points = [Space(CONTINUOUS).sample(random.Random(seed)).params for seed in range(12)]
    known = [{"params": each, "values": [each["depth"] / 8]} for each in points]
    study, log, store, spec = learned(tmp_path, CONTINUOUS, known, pruner="hyperband", trials=12)
    drive = Drive(study, log, random.Random(1))
    for _ in range(60):
        drive.step()
    study.drop_prepared()
    listed = Listed()
    again = Study.rebuild(Space(CONTINUOUS), spec, listed, events_of(store, log))
    assert frozen(again) == frozen(study) and listed.events == []
    copy = drive.copy_onto(again, listed)
    drive.decisions.clear()
    for _ in range(30):
        drive.step()
        copy.step()
    assert copy.decisions == drive.decisions


@pytest.mark.parametrize("written", range(5))
def test_what_a_kill_left_unwritten_is_written_by_the_next_driver(
    written: int, tmp_path: Path
) -> None:
    study, log, store, spec = learned(tmp_path, GRID, GOOD)
    events, listed = events_of(store, log), Listed()
    again = Study.rebuild(Space(GRID), spec, listed, events[: 1 + written])
    assert frozen(again) == frozen(study)
    assert [kind for kind, *_ in listed.events] == ["asked", "told", "asked", "told"][written:]


# All of it


@pytest.mark.long
@pytest.mark.search
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_search_that_is_killed_goes_on_with_what_it_knows(tmp_path: Path) -> None:
    csv_of(tmp_path, "x,y,val/score\n0.3,3,2.0\n0.1,2,0.5\n")
    sweep = "tests.raysearch.searches.sweeps:chain_grid"
    bad = raysearch(tmp_path, "search", sweep, "--known", "none.csv", "--name", "one")
    assert bad.returncode == 2 and not (tmp_path / "runs" / "one").exists()
    process = started(tmp_path, "search", sweep, "--known", "past.csv", "--name", "one")
    database = tmp_path / "runs" / "raysearch.db"
    wait_until(lambda: database.exists() and view_of(tmp_path, "one").done() > 1)
    process.kill()
    process.wait()
    done = raysearch(tmp_path, "resume", "one")
    assert done.returncode == 0, done.stderr
    view = view_of(tmp_path, "one")
    assert view.counts() == {"known": 2, "complete": 7}
    best = view.best()
    assert best is not None and best.state == "complete" and not view.trials[0].tested
    checked = raysearch(tmp_path, "check", "one")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    again = raysearch(tmp_path, "results", "one", "--csv")
    (tmp_path / "ours.csv").write_text(again.stdout)
    known = read_known(tmp_path / "ours.csv", Space(view_sweep()))
    assert len(known) == 9


def view_sweep() -> Sweep:
    from tests.raysearch.searches.sweeps import chain_grid

    return chain_grid
