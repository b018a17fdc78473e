"""What is said of the winner of a search: its interval, its ties, its test score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.cli.running import status_of
from raysearch.driver.conductor import BY_REQUEST
from raysearch.driver.driver import Outcome
from raysearch.driver.progress import best_tables, headline, trials_table
from raysearch.events.log import Store
from raysearch.results.answer import (
    answer,
    answer_lines,
    failure_lines,
    fixed_lines,
    resource_lines,
    summary,
    unfinished_lines,
)
from raysearch.results.test_scores import MOST_WINNERS, on_test_split
from raysearch.results.view import SearchView
from raysearch.results.winners import roles_to_test
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact
from tests.raysearch.events.streams import Hand
from tests.raysearch.specs import make_spec

TWO: list[dict[str, Any]] = [
    {"name": "val/accuracy", "direction": "maximize", "reduce": "best"},
    {"name": "val/loss", "direction": "minimize", "reduce": "last"},
]


@pytest.fixture
def repeated() -> Hand:
    """A default configuration and two others, all repeated; 5 and 6 belong to the winner."""
    hand = Hand(repeats=2, finalists=2, trials=3)
    firsts = [
        hand.trial("default", 0.60, origin="default"),
        hand.trial("lucky", 0.99),
        hand.trial("steady", 0.95),
    ]
    for first, values in zip(firsts, ([0.6, 0.62], [0.7, 0.72], [0.94, 0.95]), strict=True):
        hand.repeats(first, values)
    return hand


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        ("finished", "", 0),
        ("finished", "its time was up", 0),
        ("stopped", BY_REQUEST, 0),
        ("stopped", "3 of 4 trials failed, more than --max-failures 2", 1),
        ("stopped", "no space is left on the disk", 1),
        ("paused", "SIGTERM ended this driver", 124),
        ("interrupted", "SIGINT", 130),
    ],
)
def test_the_exit_status_says_how_a_search_ended(
    repeated: Hand, state: str, reason: str, status: int
) -> None:
    assert status_of(Outcome("one", state, reason, repeated.view)) == status
    none = Hand(repeats=1, finalists=1, trials=1).view
    assert status_of(Outcome("one", state, reason, none)) == (status or 1)


def _test(hand: Hand, scores: dict[int, float]) -> None:
    for number, role in roles_to_test(hand.view).items():
        metrics = {"test/accuracy": scores[number]}
        hand.say("tested", number, role=role, metrics=metrics, error="")


def _text(table: Any) -> str:
    columns = [list(column.cells) for column in table.columns]
    return "\n".join(" ".join(map(str, row)) for row in zip(*columns, strict=True))


def test_each_counted_run_of_the_winner_and_of_the_default_is_tested(repeated: Hand) -> None:
    assert roles_to_test(repeated.view) == {
        7: "winner", 8: "winner", 3: "default", 4: "default"
    }  # fmt: skip


def test_without_repeats_the_best_trial_and_the_default_are_tested() -> None:
    hand = Hand()
    hand.trial("default", 0.6, origin="default")
    hand.trial("best", 0.9)
    assert roles_to_test(hand.view) == {1: "winner", 0: "default"}


def test_a_default_that_wins_has_both_roles_and_a_run_without_checkpoint_none() -> None:
    hand = Hand(sampler="grid", repeats=2)
    hand.trial("default", 0.6, origin="default")
    hand.trial("default", 0.6, seed=1, checkpoint=False)
    assert roles_to_test(hand.view) == {0: "winner and default"}


@pytest.mark.parametrize("count", [MOST_WINNERS, MOST_WINNERS + 1, 30])
def test_the_front_is_tested_up_to_a_number_its_ends_included(count: int) -> None:
    hand = Hand(metrics=TWO)
    for index in range(count):
        hand.trial(str(index), index / count, index / count)
    roles = roles_to_test(hand.view)
    assert len(roles) == min(count, MOST_WINNERS)
    assert {0, count - 1} <= set(roles)


def test_the_test_score_has_a_mean_and_an_interval(repeated: Hand) -> None:
    _test(repeated, {7: 0.9, 8: 0.92, 3: 0.5, 4: 0.5})
    winner, default = on_test_split(repeated.view)
    assert (winner.role, winner.trials, default.role) == ("winner", (7, 8), "default")
    score = winner.scores["test/accuracy"]
    assert score.mean == pytest.approx(0.91) and score.low < 0.9
    assert answer_lines(repeated.view) == [
        "winner     trial 8 is best: 0.945 [0.8815, 1.009], 2 seeds",
        "           mean and 95 % interval of trials 7, 8, a seed each",
        "test       winner (trials 7, 8): test/accuracy 0.9100 [0.7829, 1.0371], 2 seeds",
        "test       default (trials 3, 4): test/accuracy 0.5000 [0.5000, 0.5000], 2 seeds",
    ]


def test_a_search_that_was_tested_before_there_were_seeds_reads_as_it_was() -> None:
    hand = Hand()
    hand.trial("default", 0.6, origin="default")
    hand.trial("best", 0.9)
    _test(hand, {0: 0.5, 1: 0.8})
    assert answer_lines(hand.view) == [
        "winner     trial 1 is best: 0.9, 1 seed: no interval",
        "           it may be chance: --repeats 3 runs the best with further seeds",
        "test       winner (trial 1): test/accuracy 0.8000",
        "test       default (trial 0): test/accuracy 0.5000",
    ]


def test_who_won_before_the_search_went_on_is_a_former_winner() -> None:
    hand = Hand()
    hand.trial("a", 0.6)
    _test(hand, {0: 0.5})
    hand.trial("b", 0.9)
    assert roles_to_test(hand.view) == {1: "winner"}
    assert [each.role for each in on_test_split(hand.view)] == ["former winner"]


def test_a_test_that_failed_or_is_not_finite_says_why() -> None:
    hand = Hand()
    hand.trial("a", 0.6)
    hand.say("tested", 0, role="winner", metrics={"test/accuracy": float("nan")}, error="")
    assert answer_lines(hand.view)[2:] == [
        "test       winner (trial 0): failed, test/accuracy is nan"
    ]
    assert json.dumps(answer(hand.view, Path()), allow_nan=False)


def test_all_failures_are_counted_and_the_most_frequent_ones_named() -> None:
    hand = Hand()
    for number, reason in enumerate("abacabde"):
        hand.trial(str(number), state="failed", reason=reason)
    assert [line.partition("  (")[0] for line in failure_lines(hand.view)] == [
        "failed     3 times: a",
        "failed     2 times: b",
        "failed     once: c",
        "           2 other reasons: 2 failed",
    ]


def test_infeasible_trials_are_counted_beside_the_failed_ones_wherever_there_are_any() -> None:
    hand = Hand()
    hand.trial("a", state="failed", reason="exit: 1")
    assert "0 pruned, 1 failed" in (plain := headline(hand.view).plain)
    assert "infeasible" not in plain
    hand.trial("b", state="infeasible", reason="memory: MemoryError")
    assert "2 done, 0 running, 0 pruned, 1 failed, 1 infeasible" in headline(hand.view).plain
    assert [line[:17] for line in failure_lines(hand.view)] == [
        "failed     once: ", "infeasible once: "
    ]  # fmt: skip


def test_the_record_of_the_winner_is_the_mean_and_its_best_run(repeated: Hand) -> None:
    record = answer(repeated.view, Path("folder"))
    assert (record["trial"], record["seeds"], record["runs"]) == (8, 2, [7, 8])
    assert (record["mean"], record["ties"]) == (pytest.approx(0.945), [])
    assert record["checkpoint"] == "folder/0008/best.pt"
    assert summary(repeated.view)["best"]["low"] == record["low"] < 0.945 < record["high"]


def test_with_one_seed_the_record_has_no_interval() -> None:
    hand = Hand()
    hand.trial("a", 0.6)
    record = answer(hand.view, Path())
    assert (record["mean"], record["low"], record["high"], record["seeds"]) == (0.6, None, None, 1)


def test_with_several_objectives_the_record_has_the_front() -> None:
    hand = Hand(metrics=TWO)
    for index, values in enumerate([(0.9, 0.9), (0.5, 0.1), (0.4, 0.2)]):
        hand.trial(str(index), *values)
    record = answer(hand.view, Path())
    assert [each["trial"] for each in record["front"]] == [0, 1]
    assert record["front"][1]["means"]["val/loss"]["mean"] == 0.1
    assert "Pareto front of val/accuracy and val/loss: trials 0 and 1" in answer_lines(hand.view)[0]
    assert len(best_tables(hand.view, 4)[0].columns) == 3


def test_nobody_won_is_said_as_such() -> None:
    with pytest.raises(LookupError, match="no completed trial yet"):
        answer(Hand("one").view, Path())


def test_the_tables_show_mean_and_seeds_where_there_are_repeats(repeated: Hand) -> None:
    assert "best 0.9450 ± 0.0635 (trial 8, 2 seeds)" in headline(repeated.view).plain
    table = _text(trials_table(repeated.view, 20)).splitlines()
    assert table[0].startswith("8 complete 0.9500 0.9450 ± 0.0635 2")
    assert table[1].startswith("7 complete 0.9400   ")
    side = _text(best_tables(repeated.view, 4)[0]).splitlines()
    assert side[1] == "mean 0.9450 ± 0.0635 0.7100 ± 0.1271 0.6100 ± 0.1271"
    assert side[2] == "seeds 2 2 2"


def test_the_tables_of_a_search_without_repeats_have_neither() -> None:
    hand = Hand()
    hand.trial("a", 0.6)
    assert [str(column.header) for column in trials_table(hand.view, 20).columns] == [
        "trial", "state", "val/accuracy", "epochs"
    ]  # fmt: skip
    assert "best 0.6000 (trial 0)" in headline(hand.view).plain


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ssl.digits_vit", "--repeats", "3"], "again, with 3 further seeds each (1 to 3)"),
        (["ssl.digits_grid", "--repeats", "2"], ", each with 2 seeds (0 and 1)"),
    ],
)
def test_the_plan_says_what_is_run_with_which_seeds(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(app, ["plan", *arguments])
    assert result.exit_code == 0, result.stderr
    assert words in result.stdout


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two finished searches below the working folder."""
    monkeypatch.chdir(tmp_path)
    store = Store(f"sqlite:///{tmp_path / 'runs/raysearch.db'}")
    for name in ("one", "two"):
        streams.search(store, name, tmp_path / "runs" / name)
    return store


def test_compare_has_a_row_for_each_search_in_json_csv_and_a_column_in_the_table(
    two: Store,
) -> None:
    found = json.loads(CliRunner().invoke(app, ["compare", "one", "two", "--json"]).stdout)
    assert [(row["search"], row["state"], row["winner"]) for row in found] == [
        ("one", "finished", 5), ("two", "finished", 5)
    ]  # fmt: skip
    assert found[0]["verdict"] == "1 seed: no interval"
    lines = CliRunner().invoke(app, ["compare", "one", "two", "--csv"]).stdout.splitlines()
    assert lines[0].startswith("search,sweep,state") and len(lines) == 3
    table = CliRunner().invoke(app, ["compare", "one", "two"]).stdout
    assert table.split()[:2] == ["one", "two"]


def test_searches_that_cannot_be_compared_are_one_sentence(two: Store) -> None:
    metrics = [{"name": "val/loss", "direction": "minimize", "reduce": "last"}]
    two.create("three", streams.spec(metrics=metrics))
    result = CliRunner().invoke(app, ["compare", "one", "three"])
    assert result.exit_code == 2
    assert "got maximize val/accuracy (one) and minimize val/loss (three)" in result.stderr


def test_best_says_how_sure_it_is(two: Store) -> None:
    lines = CliRunner().invoke(app, ["best", "one"]).stdout.splitlines()
    assert lines[0] == "val/accuracy: trial 5 is best: 0.6562, 1 seed: no interval"
    assert lines[1].startswith("checkpoint: ") and lines[1].endswith("step-00000004.pt")


def test_export_says_in_one_sentence_what_is_wrong(two: Store) -> None:
    result = CliRunner().invoke(app, ["export", "one", "--optuna", "nowhere"])
    assert result.exit_code == 2
    assert "--optuna 'nowhere' must be a database that can be written" in result.stderr


def test_given_values_are_shown_and_where_they_lie_outside_of_the_sweep() -> None:
    spec = make_spec(
        fixed={"model.layers": 99, "training.epochs": 2}, outside={"model.layers": "1 … 4"}
    )
    assert fixed_lines(spec) == [
        "fixed      model.layers=99 (the sweep says 1 … 4), training.epochs=2"
    ]
    assert fixed_lines(make_spec(fixed={})) == []


def test_how_many_run_at_once_is_shown_with_the_threads_that_decide_the_last_bits() -> None:
    assert resource_lines(make_spec(concurrent=3, threads=1)) == [
        "at once    3 trials, 1 thread each"
    ]
    assert resource_lines(make_spec(concurrent=1, threads=4, workers=2)) == [
        "at once    1 trials of 2 workers, 4 threads each"
    ]


def test_a_trial_is_starting_until_its_process_has_said_something(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'one.db'}")
    log = store.create("one", streams.spec())
    for number in range(2):
        streams.ask(log, number)
        log.append(
            fact("started", attempt=1, folder=f"{number:04d}/attempt-1", restored=None), number
        )
    streams.report(log, 1, 3, 0.5, 0.5, tmp_path)
    log.flush()
    view = SearchView.read(store, "one")
    assert [view.trials[number].doing for number in (0, 1)] == ["starting", "running"]
    assert "1 running, 1 starting" in headline(view).plain
    log.append(fact("started", attempt=2, folder="0001/attempt-2", restored=None), 1)
    log.flush()
    again = SearchView.read(store, "one")
    assert again.trials[1].doing == "starting", "each attempt loads what it needs"


def test_of_a_search_that_is_paused_it_is_said_how_far_its_trials_are(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'one.db'}")
    log = store.create("one", streams.spec())
    for number in range(3):
        streams.ask(log, number)
    streams.run(log, 0, tmp_path)
    streams.report(log, 1, 3, 0.5, 0.5, tmp_path)
    view = SearchView.read(store, "one")
    assert unfinished_lines(view) == ["unfinished trial 1 at 3 epochs, trial 2 at its start"]


def test_of_evaluated_trials_each_setting_is_said_with_its_mean() -> None:
    trained = {"search": "before", "config": {}, "distributions": {}, "checkpoint": "a.pt"}
    trained |= {"params": {"optimizer[adamw].lr": 0.1}}
    evaluated = [{**trained, "trial": number} for number in (3, 7)]
    hand = Hand(evaluates={"search": "before", "trials": evaluated})
    for number, (noise, value) in enumerate([(0.0, 0.9), (0.0, 0.8), (0.5, 0.6), (0.5, 0.7)]):
        params = {"optimizer[adamw].lr": 0.1 + number, "evaluation.noise": noise}
        hand.trial(f"pair-{number}", value, params=params)
    assert answer_lines(hand.view) == [
        "settings   evaluation.noise=0.0: mean 0.8500, 0.8000 to 0.9000, of 2 trials",
        "           evaluation.noise=0.5: mean 0.6500, 0.6000 to 0.7000, of 2 trials",
    ]


def test_list_and_status_say_how_the_seeds_ended_and_how_many_threads_there_are(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "one"
    store = Store(f"sqlite:///{tmp_path / 'raysearch.db'}")
    spec = {"sampler": "grid", "repeats": 3, "incomplete": "rank", "concurrent": 4, "threads": 2}
    log = store.create("one", streams.spec(**spec, search="one"))
    for seed, (state, value) in enumerate((("complete", 0.5), *[("infeasible", None)] * 2)):
        streams.ask(log, seed, like=0, seed=seed)
        streams.begin(log, seed, folder)
        streams.tell(log, seed, state, value)
    log.append(fact("resumed", command="", left=None, concurrent=1), commit=True)
    log.append(fact("finished", reason="", best=0), commit=True)

    def said(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--runs", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "3: 1 complete, 2 diverged" in " ".join(said("list").split())
    (row,) = json.loads(said("list", "--json"))
    assert (row["seeds"], row["outcomes"]) == (1, {"complete": 1, "diverged": 2})
    assert (row["failed"], row["infeasible"]) == (0, 2) and " infeasible " in said("list")
    assert "0 failed, 2 infeasible" in said("status", "one")
    assert "at once    1 trials, 2 threads each" in said("status", "one")
    status = json.loads(said("status", "one", "--json"))
    assert (status["at_once"], status["threads"]) == (1, 2)


def test_trials_that_failed_alike_but_for_numbers_are_counted_together() -> None:
    hand = Hand()
    for number in range(6):
        hand.trial(f"d{number}", state="infeasible")
        hand.view.trials[number].reason = f"diverged: nan at step {number}"
    (line,) = failure_lines(hand.view)
    said = "6 times: for example: diverged: nan at step 0  (raysearch logs by-hand 0)"
    assert line == f"infeasible {said}"
