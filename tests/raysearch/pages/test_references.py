"""A score beside every score of what learns nothing, and answers that are below it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysearch.pages import answer as said
from raysearch.pages.chart import Chart
from raysearch.pages.curves import curves_chart
from raysearch.pages.objectives import objectives
from raysearch.pages.tables import reference_table
from raysearch.results.answer import answer, answer_lines
from raysearch.results.compare import compare
from raysearch.results.ranking import winner
from raysearch.results.references import below, ordered, reference_rows
from raysearch.tracking.mlflow.tags import winner_metrics
from tests.raysearch.events.streams import Hand

SEGMENTS: list[dict[str, Any]] = [
    {"name": "val/foreground_ari", "direction": "maximize", "reduce": "mean(5)"}
]
ROWS = {"blocks": {"foreground_ari": 0.6}, "colors": {"foreground_ari": 0.1, "ari": 0.9}}


def found(*scores: float, rows: Any = ROWS, **spec: Any) -> Hand:
    """A search whose trials say what learns nothing scores, each in its one report."""
    stated: dict[str, Any] = {"metrics": SEGMENTS, "repeats": 1, **spec}
    hand = Hand(**stated)
    for digest, score in enumerate(scores):
        number = hand.trial(str(digest), score)
        hand.say("described", number, facts={"reference/val": rows, "data.name": "scenes"})
    return hand


def test_an_answer_below_blind_says_so_in_its_first_sentence() -> None:
    hand = found(0.2, 0.5)
    hand.say("finished", reason="", best=1)
    view = hand.view
    blind = "but below blind (blocks, which learns nothing, gets 0.6)"
    assert str(winner(view)).startswith(f"trial 1 is best, {blind}: 0.5")
    assert answer_lines(view)[0].startswith(f"winner     trial 1 is best, {blind}")
    assert said.answer(view)[0].startswith(f"Trial 1 is best, {blind}: val/foreground_ari 0.5")
    assert compare([view])[0]["below_blind"] == "blocks"


def test_an_answer_that_equals_blind_is_not_below_it(tmp_path: Path) -> None:
    hand = found(0.0, rows={"blind": {"foreground_ari": 0.0}})
    hand.say("finished", reason="", best=0)
    view = hand.view
    blind = "but equal to blind (blind, which learns nothing, gets 0)"
    assert str(winner(view)).startswith(f"trial 0 is best, {blind}: 0")
    assert said.answer(view)[0].startswith(f"Trial 0 is best, {blind}: ")
    (row,), record = compare([view]), answer(view, tmp_path)
    assert row["equal_to_blind"] == "blind" and "below_blind" not in row
    assert record["equal_to_blind"] == {"val/foreground_ari": "blind"}
    assert record["below_blind"] == {}


def test_an_answer_above_blind_has_it_beside_it(tmp_path: Path) -> None:
    view = found(0.2, 0.7).view
    assert "below" not in " ".join([str(winner(view)), *answer_lines(view), *said.answer(view)])
    assert answer_lines(view)[1] == "blind      val/foreground_ari: blocks 0.6000, colors 0.1000"
    record = answer(view, tmp_path)
    assert record["references"] == {"val/foreground_ari": {"blocks": 0.6, "colors": 0.1}}
    assert record["below_blind"] == {} and "below_blind" not in compare([view])[0]
    assert winner_metrics(view) == {"search/blind": 0.6}


@pytest.mark.parametrize(
    ("direction", "value", "row"),
    [
        ("maximize", 0.61, None),
        ("maximize", 0.6, "blocks"),
        ("minimize", 0.09, None),
        ("minimize", 0.1, "colors"),
        ("minimize", 0.6, "colors"),
    ],
)
def test_the_best_row_counts_and_to_equal_it_is_not_to_beat_it(
    direction: str, value: float, row: str | None
) -> None:
    runs = list(found(0.5).view.trials.values())
    blind = below(value, runs, "val/foreground_ari", direction)
    assert (blind.row if blind else None) == row
    assert list(ordered(reference_rows(runs, "val/foreground_ari"), direction))[0] == (
        "blocks" if direction == "maximize" else "colors"
    )


def test_a_row_is_the_mean_over_the_runs_that_count() -> None:
    hand = Hand(metrics=SEGMENTS, sampler="grid", repeats=2)
    for seed, value in enumerate([0.2, 0.4]):
        number = hand.trial("a", 0.3, seed=seed)
        rows = {"untrained": {"foreground_ari": value}}
        hand.say("described", number, facts={"reference/val": rows})
    (only,) = hand.view.ranking()
    assert reference_rows(only.runs, "val/foreground_ari") == {"untrained": pytest.approx(0.3)}


@pytest.mark.parametrize(
    "rows",
    [None, 3, "blocks", [], {}, {"blocks": 3}, {"blocks": {"foreground_ari": "0.9"}},
     {"blocks": {"foreground_ari": float("nan")}}, {"blocks": {"other": 0.9}}, {"blocks": None}],
    ids=str,
)  # fmt: skip
def test_what_is_no_row_is_no_row(rows: Any, tmp_path: Path) -> None:
    view = found(0.5, rows=rows).view
    assert str(winner(view)) == "trial 0 is best: 0.5, 1 seed: no interval"
    assert answer(view, tmp_path)["references"] == {} and reference_table(view) == ([], [])


def test_of_several_objectives_those_are_named_that_are_below_blind() -> None:
    metrics = [*SEGMENTS, {"name": "val/ari", "direction": "maximize", "reduce": "last"}]
    hand = Hand(metrics=metrics)
    for digest, scores in (("a", (0.7, 0.2)), ("b", (0.1, 0.5))):
        hand.say("described", hand.trial(digest, *scores), facts={"reference/val": ROWS})
    (text, *_), won = said.answer(hand.view), winner(hand.view)
    assert won is not None and [one.metric for one in won.blind] == ["val/ari"]
    assert "in val/ari below blind (colors, which learns nothing, gets 0.9)" in text


def test_the_report_has_a_table_and_lines_in_the_curves() -> None:
    hand = Hand(metrics=SEGMENTS)
    body: dict[str, Any] = {"params": {}, "distributions": {}, "config": {}, "digest": "a"}
    hand.say("asked", 0, **body, seed=0, origin="default")
    hand.say("started", 0, attempt=1, folder="", restored=None)
    hand.say("described", 0, facts={"reference/val": ROWS})
    for step in (1, 2, 3):
        report: dict[str, Any] = {"fidelity": step, "values": [0.1 * step], "checkpoint": None}
        metrics = {"val/foreground_ari": 0.1 * step}
        hand.say("report", 0, attempt=1, step=step, **report, metrics=metrics)
    told: dict[str, Any] = {"state": "complete", "values": [0.2], "reason": "", "constraint": 0}
    hand.say("told", 0, **told, best_checkpoint=None)
    header, rows = reference_table(hand.view)
    assert header == ["", "val/foreground_ari  ↑ better"]
    assert rows == [["blocks", "0.6"], ["trial 0", "0.2"], ["colors", "0.1"]]
    chart = curves_chart(hand.view, objectives(hand.view)[0])
    assert isinstance(chart, Chart)
    rules = {one["name"]: one["at"] for one in chart.spec["layers"] if one["kind"] == "rule"}
    assert rules == {"blocks": 0.6, "colors": 0.1}
    assert "Dashed: what learns nothing, blocks 0.6, colors 0.1." in chart.caption


def test_settings_that_are_evaluated_have_their_own_rows() -> None:
    trained = {
        "search": "before",
        "trial": 0,
        "checkpoint": "",
        "params": {},
        "config": {},
        "distributions": {},
    }
    hand = Hand(metrics=SEGMENTS, evaluates={"search": "before", "trials": [trained]})
    for slots, blocks in ((4, 0.3), (9, 0.8)):
        number = hand.trial(str(slots), 0.5, evaluates=trained)
        hand.view.trials[number].params["slots"] = slots
        rows = {"blocks": {"foreground_ari": blocks}}
        hand.say("described", number, facts={"reference/val": rows})
    first, second = answer_lines(hand.view)
    assert "slots=4: mean 0.5000, 0.5" in first
    assert "slots=9: mean 0.5000, below blind (blocks, which learns nothing, gets 0.8)" in second
