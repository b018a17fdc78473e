"""Who won, over the seeds, and who ties."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from raysearch.results.ranking import has_repeats, ranking, winner
from raysearch.results.tables import rows
from tests.raysearch.events.streams import Hand

TWO: list[dict[str, Any]] = [
    {"name": "val/accuracy", "direction": "maximize", "reduce": "best"},
    {"name": "val/loss", "direction": "minimize", "reduce": "last"},
]


def _order(hand: Hand) -> list[str]:
    return [each.trial.digest for each in ranking(hand.view)]


def test_the_run_that_chose_a_finalist_does_not_count_in_its_mean() -> None:
    hand = Hand(repeats=2, finalists=2)
    lucky, steady = hand.trial("lucky", 0.99), hand.trial("steady", 0.95)
    again = [*hand.repeats(lucky, [0.80, 0.82]), *hand.repeats(steady, [0.93, 0.95])]
    best, second = ranking(hand.view)
    assert (best.trial.number, best.mean, best.seeds) == (again[3], pytest.approx(0.94), 2)
    assert (second.mean, second.seeds) == (pytest.approx(0.81), 2)
    assert [run.number for run in second.runs] == again[:2]


def test_in_a_grid_all_seeds_of_a_cell_count() -> None:
    hand = Hand(sampler="grid", repeats=3)
    for seed, (a, b) in enumerate([(0.9, 0.8), (0.5, 0.8), (0.7, 0.83)]):
        hand.trial("a", a, seed=seed)
        hand.trial("b", b, seed=seed)
    best, second = ranking(hand.view)
    assert (best.trial.number, best.mean, best.seeds) == (5, pytest.approx(0.81), 3)
    assert (second.trial.number, second.mean) == (0, pytest.approx(0.7))


def test_duplicates_pruned_failed_and_infeasible_runs_never_count() -> None:
    hand = Hand(sampler="grid", repeats=3)
    first = hand.trial("a", 0.5)
    hand.trial("a", 0.7, seed=1)
    hand.trial("a", 0.5, duplicate_of=first)
    for state in ("pruned", "failed", "infeasible"):
        hand.trial("a", 0.9, seed=2, state=state)
        hand.trial("b", 0.9, state=state)
    (only,) = ranking(hand.view)
    assert (only.seeds, only.mean) == (2, pytest.approx(0.6))


def test_configurations_that_were_run_again_come_first() -> None:
    hand = Hand(repeats=2, finalists=1)
    best = hand.trial("best", 0.9)
    hand.trial("other", 0.89)
    hand.repeats(best, [0.6, 0.7])
    assert _order(hand) == ["best", "other"]
    assert [trial.number for trial in hand.view.ranked()] == [3, 2, 0, 1]


def test_no_repeat_wins_before_all_finalists_have_one() -> None:
    hand = Hand(repeats=2, finalists=2)
    default = hand.trial("default", 0.1, origin="default")
    good, better = hand.trial("good", 0.8), hand.trial("better", 0.9)
    hand.repeats(default, [0.1])
    hand.repeats(good, [0.7])
    assert _order(hand) == ["better", "good", "default"]
    hand.repeats(better, [0.6])
    assert _order(hand) == ["good", "better", "default"]


def test_in_a_grid_no_cell_wins_for_being_the_first_with_two_seeds() -> None:
    hand = Hand(sampler="grid", repeats=2)
    for digest, value in (("a", 0.1), ("b", 0.9)):
        hand.trial(digest, value)
    hand.trial("a", 0.2, seed=1)
    assert _order(hand) == ["b", "a"]
    hand.trial("b", state="failed", seed=1)  # its one value is all there will be
    assert _order(hand) == ["a", "b"]


def test_a_finalist_whose_repeats_all_failed_stands_behind_the_others() -> None:
    hand = Hand(repeats=2, finalists=2)
    good, better = hand.trial("good", 0.8), hand.trial("better", 0.9)
    hand.repeats(good, [0.7, 0.7])
    hand.trial("better", state="failed", seed=1, repeat_of=better)
    assert _order(hand) == ["good", "better"]


@pytest.mark.parametrize(("direction", "number"), [("maximize", 3), ("minimize", 2)])
def test_the_best_run_with_a_checkpoint_stands_for_its_configuration(
    direction: str, number: int
) -> None:
    metric = {"name": "score", "direction": direction, "reduce": "best"}
    hand = Hand(repeats=3, finalists=1, metrics=[metric])
    first = hand.trial("a", 0.9)
    hand.repeats(first, [0.99, 0.4, 0.5])
    for gone in (1,):
        hand.say("removed", gone, path="", reason="quota")
    assert ranking(hand.view)[0].trial.number == number


def test_ties_are_called_ties_and_the_winner_has_its_interval() -> None:
    hand = Hand(repeats=3, finalists=3)
    firsts = [hand.trial(digest, 0.9) for digest in "abc"]
    for first, values in zip(
        firsts, ([0.98, 0.99, 0.985], [0.97, 0.995, 0.98], [0.5, 0.51, 0.5]), strict=True
    ):
        hand.repeats(first, values)
    won = winner(hand.view)
    assert won is not None and [each.trial.digest for each in won.ties] == ["b"]
    assert str(won) == "trial 4 is best: 0.985 [0.9726, 0.9974], 3 seeds; tied with trial 7"


def test_pairing_by_seed_tells_apart_what_the_seeds_spread() -> None:
    hand = Hand(sampler="grid", repeats=3)
    for seed, base in enumerate([0.2, 0.5, 0.8]):
        hand.trial("a", base + 0.01 + seed * 1e-4, seed=seed)
        hand.trial("b", base, seed=seed)
    won = winner(hand.view)
    assert won is not None and won.rank.trial.digest == "a" and not won.ties


def test_with_one_seed_nothing_is_said_of_an_interval_or_a_tie() -> None:
    hand = Hand()
    hand.trial("a", 0.5)
    hand.trial("b", 0.5)
    won = winner(hand.view)
    assert str(won) == "trial 0 is best: 0.5, 1 seed: no interval"
    assert not has_repeats(hand.view) and "seeds" not in rows(hand.view)[0]


def test_of_a_search_without_a_completed_trial_nobody_won() -> None:
    hand = Hand()
    hand.trial("a", 0.5, state="pruned")
    assert winner(hand.view) is None and hand.view.best() is None


@pytest.mark.parametrize("seed", range(20))
def test_with_several_objectives_the_answer_is_the_pareto_front(seed: int) -> None:
    rng, hand = random.Random(seed), Hand(metrics=TWO)
    points = [(rng.randrange(6) / 5, rng.randrange(6) / 5) for _ in range(15)]
    for index, point in enumerate(points):
        hand.trial(str(index), *point)
    worse = {
        i
        for i, j in itertools.permutations(range(len(points)), 2)
        if points[j] != points[i] and points[j][0] >= points[i][0] and points[j][1] <= points[i][1]
    }
    won = winner(hand.view)
    assert won is not None and not won.ties
    assert {each.trial.number for each in won.front} == set(range(len(points))) - worse


def test_the_front_is_of_means_over_the_seeds() -> None:
    hand = Hand(metrics=TWO, sampler="grid", repeats=2)
    for digest, *runs in (("a", (0.9, 0.5), (0.7, 0.7)), ("b", (0.85, 0.5), (0.85, 0.5))):
        for seed, values in enumerate(runs):
            hand.trial(str(digest), *values, seed=seed)
    won = winner(hand.view)
    assert won is not None and [each.trial.digest for each in won.front] == ["b"]
    assert "the Pareto front of val/accuracy and val/loss: trial" in str(won)


def test_the_rows_of_a_repeated_configuration_have_mean_interval_and_seeds() -> None:
    hand = Hand(repeats=2, finalists=1)
    first = hand.trial("a", 0.9)
    hand.trial("b", 0.5)
    hand.repeats(first, [0.7, 0.8])
    table = {row["trial"]: row for row in rows(hand.view)}
    assert [table[n]["val/accuracy mean"] for n in (0, 2, 3)] == [pytest.approx(0.75)] * 3
    assert [table[n]["counted"] for n in (0, 1, 2, 3)] == [False, True, True, True]
    assert [table[n]["seeds"] for n in (0, 1, 2, 3)] == [2, 1, 2, 2]
    assert (table[1]["val/accuracy low"], table[2]["repeat_of"]) == (None, 0)
    assert table[0]["val/accuracy low"] < 0.75 < table[0]["val/accuracy high"]
