"""The study hands out each point once, tells duplicates, and learns what is infeasible."""

from __future__ import annotations

import functools
import random
import statistics
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from raysearch.events.log import Event
from raysearch.events.schema import Asked
from raysearch.study.samplers.named import check_sampler
from raysearch.study.study import Proposal, Study
from raysearch.sweeps.space import Space
from tests.raysearch.events.facts import fact
from tests.raysearch.study.driving import (
    Drive,
    Listed,
    events_of,
    frozen,
    make_study,
    score,
    spec_of,
)
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


def finish(study: Study, proposal: Proposal, state: Any = "complete") -> None:
    value = score(proposal.config, 9)
    study.tell(proposal.number, state, [value] if state == "complete" else None)


def drain(study: Study, state: Any = "complete") -> list[Proposal]:
    """Runs all trials to their end, one after another."""
    found: list[Proposal] = []
    while (proposal := study.ask()) is not None:
        found.append(proposal)
        finish(study, proposal, state)
    return found


def study_of(sweep: Sweep, sampler: str = "tpe", trials: int | None = None) -> Study:
    return Study(Space(sweep), spec_of(sweep, sampler, trials=trials), Listed())


@pytest.mark.parametrize("sweep", [GRID, BRANCHING, TIED])
@pytest.mark.parametrize("sampler", ["grid", "random", "tpe"])
def test_every_sampler_runs_each_point_of_a_finite_space_once(sweep: Sweep, sampler: str) -> None:
    study = study_of(sweep, sampler)
    proposals = drain(study)
    expected = {point.key for point in Space(sweep).points()}
    assert Counter((each.digest, each.seed) for each in proposals) == Counter(expected)
    assert study.ask() is None


def test_a_grid_begins_with_the_default_and_goes_on_in_order() -> None:
    proposals = drain(study_of(GRID, "grid"))
    points = [point.params for point in Space(GRID).points()]
    default = {"depth": 2, "rate": 0.0}
    assert [each.origin for each in proposals] == ["default"] + ["grid"] * 11
    assert [each.params for each in proposals] == [default, *(p for p in points if p != default)]


def test_a_grid_resumes_at_the_missing_cells_and_runs_failed_ones_no_more(tmp_path: Path) -> None:
    spec = spec_of(GRID, "grid")
    study, log, store = make_study(tmp_path, GRID, spec)
    before = [study.ask() for _ in range(5)]
    for proposal in before[:4]:
        assert proposal is not None
        finish(study, proposal, "failed")
    rebuilt = Study.rebuild(Space(GRID), spec, log, events_of(store, log))
    after = drain(rebuilt)
    assert len(after) == 7
    numbers = {repr(each.params) for each in [*after, *before] if each is not None}
    assert len(numbers) == 12


def test_cells_of_a_grid_with_one_configuration_run_once() -> None:
    def sweep(trial: Any) -> Toy:
        heads = trial.suggest_categorical("heads", [0, 4])
        return Toy(heads=heads, slots=trial.suggest_int("slots", 1, 3))

    log = Listed()
    declared = swept(sweep)
    study = Study(Space(declared), spec_of(declared, "grid"), log)
    assert len(drain(study)) == 4
    asked = [body["duplicate_of"] for kind, _, body in log.events if kind == "asked"]
    assert len(asked) == 6 and sum(first is not None for first in asked) == 2


def test_the_default_is_trial_0_and_counts() -> None:
    proposals = drain(study_of(CONDITIONAL, trials=3))
    assert [each.origin for each in proposals] == ["default", "sampler", "sampler"]
    assert proposals[0].params["optimizer[adam].lr"] == 0.01


def test_an_asked_trial_is_committed_before_it_is_handed_out(tmp_path: Path) -> None:
    study, _, store = make_study(tmp_path, CONDITIONAL, spec_of(CONDITIONAL))
    proposal = study.ask()
    event = list(store.events("driven", kinds=[Asked]))[-1]
    assert proposal is not None and event.trial == proposal.number
    assert event.body.plain()["config"] == proposal.config
    assert event.body.plain()["params"] == proposal.params


def test_the_attributes_of_the_model_are_in_the_asked_event() -> None:
    log = Listed()
    study = Study(Space(CONDITIONAL), spec_of(CONDITIONAL, "tpe:startup=2", trials=6), log)
    drain(study)
    attrs = [body["system_attrs"] for kind, _, body in log.events if kind == "asked"]
    assert "tpe:relative_params:0" in attrs[-1]


def small(trial: Any) -> Toy:
    """Three points."""
    return Toy(depth=trial.suggest_int("depth", 1, 3))


def test_a_duplicate_of_a_finished_trial_is_told_its_result_at_once() -> None:
    log = Listed()
    study = Study(Space(swept(small)), spec_of(swept(small), "random"), log)
    drain(study)
    asked = {n: body for kind, n, body in log.events if kind == "asked"}
    told = {n: body for kind, n, body in log.events if kind == "told"}
    twins = [number for number, body in asked.items() if body["duplicate_of"] is not None]
    assert twins
    for number in twins:
        assert number is not None
        first = asked[number]["duplicate_of"]
        assert told[number]["duplicate_of"] == first
        assert told[number]["values"] == told[first]["values"]
        assert study.trials[number].values == study.trials[first].values


@pytest.mark.parametrize("state", ["complete", "pruned", "failed", "infeasible"])
def test_a_duplicate_of_a_running_trial_waits_for_its_result(state: Any) -> None:
    log = Listed()
    study = Study(Space(swept(small)), spec_of(swept(small), "random"), log)
    running = [study.ask() for _ in range(3)]
    assert study.ask() is None
    asked = {n: body["duplicate_of"] for kind, n, body in log.events if kind == "asked"}
    twins = {n: first for n, first in asked.items() if first is not None}
    assert twins and not [n for kind, n, _ in log.events if kind == "told"]
    for proposal in running:
        assert proposal is not None
        finish(study, proposal, state)
    told = {n: body for kind, n, body in log.events if kind == "told"}
    assert all(
        told[twin]["state"] == told[first]["state"] == state for twin, first in twins.items()
    )
    assert all(trial.state.is_finished() for trial in study.trials)


def test_duplicates_do_not_count_among_the_trials() -> None:
    log = Listed()
    study = Study(Space(BRANCHING), spec_of(BRANCHING, "random", trials=30), log)
    assert len(drain(study)) == 30
    assert sum(kind == "asked" for kind, _, _ in log.events) > 30


def test_after_five_duplicates_in_a_row_an_unseen_point_comes() -> None:
    log = Listed()
    study = Study(Space(BRANCHING), spec_of(BRANCHING, "random"), log)
    drain(study)
    row = longest = 0
    for kind, _, body in log.events:
        if kind == "asked":
            row = row + 1 if body["duplicate_of"] is not None else 0
            longest = max(longest, row)
    assert longest == 5


def test_points_of_another_seed_are_no_duplicates() -> None:
    def seeds(trial: Any) -> Toy:
        return Toy().with_values({"training.seed": trial.suggest_int("training.seed", 0, 4)})

    assert len(drain(study_of(swept(seeds), "random"))) == 5


def test_prepared_points_are_handed_out_in_order_and_are_in_no_event_before() -> None:
    log = Listed()
    study = Study(Space(CONDITIONAL), spec_of(CONDITIONAL), log)
    study.prepare(4)
    assert log.events == []
    ahead = [study.ask() for _ in range(4)]
    other = Study(Space(CONDITIONAL), spec_of(CONDITIONAL), Listed())
    assert ahead == [other.ask() for _ in range(4)]


def test_prepared_points_that_were_dropped_are_computed_again() -> None:
    study, other = study_of(GRID, "grid"), study_of(GRID, "grid")
    study.prepare(20)
    study.drop_prepared()
    assert [each.params for each in drain(study)] == [each.params for each in drain(other)]


def test_no_more_is_prepared_than_may_be_asked() -> None:
    study = study_of(CONDITIONAL, "random", trials=3)
    study.prepare(10)
    assert len(drain(study)) == 3


def test_asking_and_preparing_at_once_hands_out_each_trial_once() -> None:
    study = study_of(CONDITIONAL, "tpe", trials=60)
    found: list[Proposal] = []
    ended = threading.Event()

    def ask() -> None:
        while (proposal := study.ask()) is not None:
            found.append(proposal)
            finish(study, proposal)

    def prepare() -> None:
        while not ended.is_set():
            study.prepare(3)

    preparing = threading.Thread(target=prepare)
    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in [preparing, *asking]:
        thread.start()
    for thread in asking:
        thread.join()
    ended.set()
    preparing.join()
    assert sorted(each.number for each in found) == list(range(60))


def test_several_metrics_are_modelled_and_never_pruned() -> None:
    sweep = swept(continuous, metrics=[SCORE, LOSS])
    study = Study(Space(sweep), spec_of(sweep, "tpe:startup=3", trials=12), Listed())
    while (proposal := study.ask()) is not None:
        assert not study.report(proposal.number, 1, [0.0, 1.0])
        study.tell(proposal.number, "complete", [score(proposal.config, 9), noise_of(proposal)])
    assert len(study.trials[-1].values) == 2


def noise_of(proposal: Proposal) -> float:
    return float(proposal.config["depth"])


def cliff(trial: Any) -> Toy:
    """One parameter; above 0.5 every trial will fail."""
    return Toy(optimizer=Adam(decay=trial.suggest_float("optimizer.decay", 0.0, 1.0)))


@pytest.mark.slow
def test_tpe_learns_to_avoid_an_infeasible_region_and_would_forget_a_failed_one() -> None:
    """The best value lies right at the edge of the region in which all trials fail."""
    shares = {}
    for state in ("infeasible", "failed"):
        over: list[int] = []
        for seed in range(2):
            sweep = swept(cliff)
            study = Study(Space(sweep), spec_of(sweep, trials=80, seed=seed), Listed())
            while (proposal := study.ask()) is not None:
                decay = proposal.params["optimizer.decay"]
                bad = decay > 0.5
                study.tell(proposal.number, state if bad else "complete", None if bad else [decay])
                if proposal.number >= 40:
                    over.append(bad)
        shares[state] = statistics.mean(over)
    assert shares["infeasible"] < 0.6 < 0.85 < shares["failed"]


@pytest.mark.slow
def test_tpe_finds_better_points_than_random() -> None:
    def best(sampler: str, seed: int) -> float:
        spec = spec_of(CONTINUOUS, sampler, trials=40, seed=seed)
        study = Study(Space(CONTINUOUS), spec, Listed())
        values = []
        while (proposal := study.ask()) is not None:
            config = proposal.config
            lr, decay = config["optimizer"]["lr"], config["optimizer"]["decay"]
            values.append(-((lr - 0.02) ** 2) * 1e4 - (decay - 0.3) ** 2 - 0.1 * config["depth"])
            study.tell(proposal.number, "complete", values[-1:])
        return max(values)

    gains = [best("tpe", seed) - best("random", seed) for seed in range(5)]
    assert statistics.median(gains) > 0


@pytest.mark.parametrize(
    ("sampler", "text"),
    [
        ("tpo", "sampler must be tpe, random, .* or nsga2, got 'tpo'; did you mean 'tpe'"),
        ("tpe:start=2", "sampler 'tpe' takes startup, got 'start'; did you mean 'startup'"),
        ("tpe:startup=0", "startup of sampler 'tpe' must be a whole number from 1, got '0'"),
        (
            "grid",
            r"sampler grid needs a finite space: .* optimizer\[sgd\]\.lr.* are continuous",
        ),
    ],
)
def test_a_wrong_sampler_names_what_is_allowed(sampler: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_sampler(sampler, CONDITIONAL, Space(CONDITIONAL))


@pytest.mark.parametrize("sampler", ["grid", "tpe:startup=1", "random"])
def test_a_right_sampler_passes(sampler: str) -> None:
    check_sampler(sampler, GRID, Space(GRID))


def test_a_trial_is_told_once_and_complete_only_with_values() -> None:
    study = study_of(CONDITIONAL)
    proposal = study.ask()
    assert proposal is not None
    with pytest.raises(ValueError, match="trial 0 must have values to be complete, got none"):
        study.tell(proposal.number, "complete", None)
    study.tell(proposal.number, "failed", None)
    with pytest.raises(ValueError, match="trial 0 was told before: failed"):
        study.tell(proposal.number, "complete", [1.0])


def test_a_point_that_does_not_validate_is_heard_where_it_is_asked_for() -> None:
    def sweep(trial: Any) -> Toy:
        return Toy(heads=4 if trial.suggest_float("rate", 0.0, 1.0) < 0 else 7)

    study = study_of(swept(sweep))
    study.prepare(1)
    with pytest.raises(
        ValueError, match=r"heads must divide width \(64\), got 7 \(.*py:\d+, at rate="
    ):
        study.ask()


@pytest.mark.slow
def test_a_decision_does_not_wait_for_a_sampler() -> None:
    """At 1,000 finished trials, while TPE computes without pause in another thread."""
    spec = spec_of(CONTINUOUS, "tpe", "median:warmup=3")
    study = Study.rebuild(Space(CONTINUOUS), spec, Listed(), thousand())
    ended = threading.Event()

    computed = list[float]()

    def prepare() -> None:
        while not ended.is_set():
            begin = time.perf_counter()
            study.prepare(1)
            study.drop_prepared()
            computed.append(time.perf_counter() - begin)

    thread = threading.Thread(target=prepare)
    thread.start()
    drive = Drive(study, Listed(), random.Random(0))
    while len(drive.waits) < 150 or len(computed) < 3:
        drive.step()
        time.sleep(0.001)
    ended.set()
    thread.join()
    assert statistics.median(drive.waits) < statistics.median(computed) / 5


@functools.cache
def thousand() -> list[Event]:
    """The events of a random search of 1,000 trials."""
    log = Listed()
    spec = spec_of(CONTINUOUS, "random", "median:warmup=3", trials=1000)
    study = Study(Space(CONTINUOUS), spec, log)
    drive = Drive(study, log, random.Random(0))
    while drive.running or not drive.ended:
        drive.step()
    return [
        Event(i, "driven", n, 0, fact(kind, **body)) for i, (kind, n, body) in enumerate(log.events)
    ]


@pytest.mark.slow
def test_ten_times_the_trials_are_rebuilt_in_about_ten_times_as_long() -> None:
    """If each were held against all before it, it would be a hundred times."""
    spec = spec_of(CONTINUOUS, "random", "median:warmup=3")
    events = thousand()
    first = [event for event in events if event.trial is not None and event.trial < 100]

    def took(some: list[Event], trials: int) -> float:
        begin = time.process_time()
        assert len(frozen(Study.rebuild(Space(CONTINUOUS), spec, Listed(), some))) == trials
        return time.process_time() - begin

    few = min(took(first, 100) for _ in range(3))  # other work on the machine only adds to it
    assert took(events, 1000) < 50 * few


def test_the_switch_interval_is_put_back() -> None:
    before = sys.getswitchinterval()
    study_of(CONDITIONAL).prepare(2)
    assert sys.getswitchinterval() == before
