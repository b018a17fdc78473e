"""Configurations of which some seed was lost, and seeds that change nothing."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from raysearch.driver.progress import best_tables, headline
from raysearch.errors import BadSetting
from raysearch.pages import answer as said
from raysearch.pages.tables import ranking_table, trials_table
from raysearch.results.answer import answer, answer_lines, summary
from raysearch.results.compare import compare
from raysearch.results.ranking import ranking, winner
from raysearch.results.tables import rows
from raysearch.results.test_scores import winners
from raysearch.sweeps.sweep import Metric, sweep
from raysearch.tracking.mlflow.tags import winner_metrics
from tests.raysearch.events.streams import Hand

LOSS: list[dict[str, Any]] = [{"name": "val/loss", "direction": "minimize", "reduce": "last"}]
TWO: list[dict[str, Any]] = [*LOSS, {"name": "cost", "direction": "minimize", "reduce": "last"}]
ENDS = {  # how a run ends, in events: state, kind of its last failure
    "diverged": ("infeasible", "diverged"),
    "out of memory": ("infeasible", "memory"),
    "failed": ("failed", "exception"),
    "pruned": ("pruned", ""),
    "lost": ("failed", "host_lost"),
}
OWN = ("diverged", "out of memory", "failed")


def lose(hand: Hand, digest: str, seed: int, how: str, **asked: Any) -> int:
    """A run that did not complete."""
    state, kind = ENDS[how]
    number = len(hand.view.trials)
    body: dict[str, Any] = {"params": {}, "distributions": {}, "config": {"is": digest}}
    hand.say("asked", number, **body, digest=digest, seed=seed, origin="sampler", **asked)
    hand.say("started", number, attempt=1, folder="", restored=None)
    if kind:
        failed: dict[str, Any] = {"attempt": 1, "message": how, "traceback": None, "again": False}
        hand.say("failed", number, kind=kind, **failed)
    ended: dict[str, Any] = {"values": None, "reason": how, "constraint": 0}
    hand.say("told", number, state=state, **ended, best_checkpoint=None)
    return number


def seeds(hand: Hand, digest: str, *ends: float | str) -> None:
    """A cell of a grid: its seeds complete with a value, or end in another way."""
    for seed, end in enumerate(ends):
        if isinstance(end, str):
            lose(hand, digest, seed, end)
        else:
            hand.trial(digest, end, seed=seed)


def finalist(hand: Hand, first: int, *ends: float | str) -> None:
    """The same of a finalist, with further seeds."""
    digest = hand.view.trials[first].digest
    for seed, end in enumerate(ends, 1):
        if isinstance(end, str):
            lose(hand, digest, seed, end, repeat_of=first)
        else:
            hand.trial(digest, end, seed=seed, repeat_of=first, origin="repeat")


def grid(*ends: float | str, **spec: Any) -> Hand:
    hand = Hand(metrics=LOSS, sampler="grid", repeats=3, **spec)
    seeds(hand, "some", *ends)
    seeds(hand, "all", 0.51, 0.52, 0.50)
    return hand


def sampled(*ends: float | str, **spec: Any) -> Hand:
    hand = Hand(metrics=LOSS, repeats=3, finalists=2, **spec)
    some, steady = hand.trial("some", 0.3), hand.trial("all", 0.4)
    finalist(hand, some, *ends)
    finalist(hand, steady, 0.51, 0.52, 0.50)
    return hand


def first(hand: Hand) -> str:
    won = winner(hand.view)
    assert won is not None
    return won.rank.trial.digest


@pytest.mark.parametrize("made", [grid, sampled])
@pytest.mark.parametrize("how", list(itertools.product(OWN, OWN)), ids=str)
def test_survivors_do_not_beat_what_completed(made: Any, how: tuple[str, str]) -> None:
    assert first(made(0.2, *how)) == "all"
    assert first(made(how[0], 0.2, 0.2)) == "all"
    assert first(made(0.2, *how, incomplete="rank")) == "some"


@pytest.mark.parametrize("made", [grid, sampled])
@pytest.mark.parametrize("how", ["lost", "pruned"])
def test_a_seed_that_others_ended_does_not_count_against_it(made: Any, how: str) -> None:
    hand = made(0.2, 0.21, how)
    assert first(hand) == "some"
    assert str(ranking(hand.view)[0]).endswith(f", 3 seeds: 2 complete, 1 {how}")


def test_a_failed_seed_that_was_run_again_with_success_is_complete() -> None:
    hand = Hand(metrics=LOSS, sampler="grid", repeats=2)
    hand.trial("a", 0.2)
    failed = lose(hand, "a", 1, "failed")
    assert ranking(hand.view)[0].is_incomplete
    hand.trial("a", 0.3, seed=1, retry_of=failed, origin="retry")
    (only,) = ranking(hand.view)
    assert not only.is_incomplete and str(only).endswith("2 seeds")


def test_the_retry_of_a_repeat_is_one_of_its_seeds() -> None:
    hand = Hand(metrics=LOSS, repeats=2, finalists=1)
    chosen = hand.trial("a", 0.1)
    failed = lose(hand, "a", 1, "failed", repeat_of=chosen)
    again = hand.trial("a", 0.3, seed=1, retry_of=failed, origin="retry")
    other = hand.trial("a", 0.5, seed=2, repeat_of=chosen, origin="repeat")
    (only,) = ranking(hand.view)
    assert [run.number for run in only.runs] == [again, other] and not only.is_incomplete


def test_where_all_are_incomplete_the_best_of_them_wins_and_says_so() -> None:
    hand = Hand(metrics=LOSS, sampler="grid", repeats=3)
    seeds(hand, "a", 0.3, "diverged", "failed")
    seeds(hand, "b", 0.2, 0.4, "diverged")
    won = winner(hand.view)
    assert won is not None and won.rank.trial.digest == "a"
    assert str(won) == "trial 0 is best: 0.3, 3 seeds: 1 complete, 1 diverged, 1 failed"


def test_what_stands_last_neither_ties_nor_is_on_the_front() -> None:
    assert not winner(grid(0.5, 0.53, "diverged").view).ties  # pyright: ignore[reportOptionalMemberAccess]
    assert winner(grid(0.5, 0.53, "diverged", incomplete="rank").view).ties  # pyright: ignore[reportOptionalMemberAccess]
    hand = Hand(metrics=TWO, sampler="grid", repeats=2)
    for seed in (0, 1):
        hand.trial("all", 0.5, 0.5, seed=seed)
    hand.trial("some", 0.1, 0.1)
    lose(hand, "some", 1, "diverged")
    won = winner(hand.view)
    assert won is not None and [each.trial.digest for each in won.front] == ["all"]
    assert list(winners(hand.view)) == ["all"]


@pytest.mark.parametrize("made", [grid, sampled])
def test_how_the_seeds_ended_stands_beside_the_mean_everywhere(made: Any, tmp_path: Path) -> None:
    hand = made(0.2, "diverged", "diverged", incomplete="rank")
    view, text = hand.view, "3 seeds: 1 complete, 2 diverged"
    outcomes = {"complete": 1, "diverged": 2}
    assert text in headline(view).plain
    assert any(text in line for line in answer_lines(view))
    assert text in said.answer(view)[0]
    assert any(text in below for _, _, below in said.tiles(view))
    assert "3: 1 complete, 2 diverged" in map(str, best_tables(view, 2)[0].columns[1].cells)
    assert "3; 1 complete, 2 diverged" in ranking_table(view)[1][0]
    assert answer(view, tmp_path)["outcomes"] == outcomes
    assert summary(view)["best"]["outcomes"] == outcomes
    assert rows(view)[0]["outcomes"] == compare([view])[0]["outcomes"] == text[9:]
    assert trials_table(view)[0].count("outcomes") == 1
    metrics = winner_metrics(view)
    assert (metrics["search/winner_seeds"], metrics["search/winner_diverged"]) == (1, 2)


def test_where_all_completed_nothing_new_is_said(tmp_path: Path) -> None:
    view = grid(0.2, 0.3, 0.4).view
    assert not {"outcomes", "suspicious"} & set(rows(view)[0])
    assert answer(view, tmp_path)["outcomes"] == {"complete": 3}
    assert "search/winner_diverged" not in winner_metrics(view)


def test_another_rule_is_refused() -> None:
    with pytest.raises(BadSetting, match="incomplete of sweep .* 'last' or 'rank', got 'first'"):
        sweep(metrics=[Metric("a", "minimize")], incomplete="first")(lambda trial: None)  # pyright: ignore[reportArgumentType]


# Seeds that change nothing -------------------------------------------------------------------


def reported(*curves: list[float], more: list[float] | None = None) -> Hand:
    """A cell of a grid whose seeds reported these curves, and another metric each."""
    hand = Hand(metrics=LOSS, sampler="grid", repeats=len(curves))
    for seed, curve in enumerate(curves):
        number = len(hand.view.trials)
        body: dict[str, Any] = {"params": {}, "distributions": {}, "config": {}, "digest": "a"}
        hand.say("asked", number, **body, seed=seed, origin="sampler")
        hand.say("started", number, attempt=1, folder="", restored=None)
        for step, value in enumerate(curve, 1):
            metrics = {"val/loss": value, "cost/seconds": 0.1 + seed}
            if more is not None:
                metrics["train/loss"] = more[seed]
            report: dict[str, Any] = {"fidelity": step, "values": [value], "metrics": metrics}
            hand.say("report", number, attempt=1, step=step, **report, checkpoint=None)
        told: dict[str, Any] = {"state": "complete", "values": [curve[-1]], "reason": ""}
        hand.say("told", number, **told, constraint=0, best_checkpoint=None)
    return hand


def doubt(hand: Hand) -> str:
    return ranking(hand.view)[0].suspicion


def test_seeds_with_identical_results_are_called_suspicious_everywhere(tmp_path: Path) -> None:
    view = reported(*[[0.5, 0.4, 0.3]] * 3).view
    text = (
        "seeds 0, 1 and 2 gave identical results at all 3 steps; does the experiment use "
        "config.seed?"
    )
    assert ranking(view)[0].suspicion == text
    assert any(f"suspicious: {text}" in line for line in answer_lines(view))
    assert f"That is suspicious: {text}" in said.answer(view)
    assert rows(view)[0]["suspicious"] == answer(view, tmp_path)["suspicious"] == text
    assert any(text in cell for cell in ranking_table(view)[1][0])
    assert "3: suspicious, identical results" in map(str, best_tables(view, 1)[0].columns[1].cells)


def test_two_of_three_are_named() -> None:
    found = doubt(reported([0.5, 0.4, 0.3], [0.6, 0.4, 0.3], [0.5, 0.4, 0.3]))
    assert found.startswith("seeds 0 and 2 gave identical results at all 3 steps")


@pytest.mark.parametrize(
    ("curves", "more", "is_suspicious"),
    [
        ([[0.5, 0.4, 0.3]] * 2, [0.1, 0.2], True),  # a wall clock may differ
        ([[0.5, 0.4, 0.3], [0.5, 0.4, 0.31]], None, False),
        ([[0.9], [0.9]], None, False),  # an accuracy that was met twice
        ([[1.0, 1.0, 1.0, 1.0]] * 3, None, False),  # saturated
        ([[1.0, 1.0, 1.0]] * 3, [0.123456, 0.123457, 0.123458], False),
        ([[1.0, 1.0, 1.0]] * 3, [0.123456] * 3, True),
        ([[0.123456]] * 3, None, True),
        ([[0.5, 0.4, 0.3]], None, False),
    ],
)
def test_what_may_be_chance_is_not_suspicious(curves: Any, more: Any, is_suspicious: bool) -> None:
    assert bool(doubt(reported(*curves, more=more))) == is_suspicious
