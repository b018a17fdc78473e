"""Searches side by side."""

from __future__ import annotations

import json
from typing import Any

import pytest

from raysearch.results.compare import compare
from tests.raysearch.events.streams import Hand


def _grid(name: str, values: dict[str, list[float]], **spec: Any) -> Hand:
    """A grid whose cells have these values, one for each seed."""
    hand = Hand(name, sampler="grid", repeats=3, **spec)
    for seed in range(3):
        for digest, each in values.items():
            hand.trial(digest, each[seed], seed=seed)
    return hand


def test_a_row_says_what_a_search_found_and_cost() -> None:
    hand = Hand("one", repeats=2, finalists=1, fixed={})
    hand.trial("a", 0.5)
    best = hand.trial("b", 0.9)
    hand.trial("c", state="pruned")
    hand.trial("d", state="failed")
    hand.trial("b", 0.9, duplicate_of=best)
    again = hand.repeats(best, [0.7, 0.8])
    for number, score in zip(again, [0.6, 0.8], strict=True):
        hand.say("tested", number, role="winner", metrics={"test/accuracy": score}, error="")
    (row,) = compare([hand.view])
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    counted = ("trials", "complete", "pruned", "failed", "winner", "seeds", "found_after")
    assert [row[key] for key in counted] == [6, 4, 1, 1, again[1], 2, 2]
    assert (row["val/accuracy"], row["test/accuracy"]) == (
        pytest.approx(0.75), pytest.approx(0.7)
    )  # fmt: skip
    assert row["test/accuracy low"] < 0.7 < row["test/accuracy high"]
    assert row["hours"] == pytest.approx(hand.view.seconds() / 3600)
    assert row["trials_an_hour"] == pytest.approx(6 / row["hours"])


def test_the_steps_are_those_that_were_reported() -> None:
    hand = Hand()
    for number in range(2):
        hand.trial(str(number), 0.5)
        for step in (10, 20 + number):
            body = {"fidelity": 1, "metrics": {}, "values": [0.5], "checkpoint": None}
            hand.say("report", number, attempt=1, step=step, **body)
    assert compare([hand.view])[0]["steps"] == 41


def test_only_what_differs_has_a_column() -> None:
    one = Hand("one", fixed={"training.epochs": 4, "rate": 0.1})
    two = Hand("two", fixed={"training.epochs": 8}, git={"commit": "d" * 40})
    first, second = compare([one.view, two.view])
    assert (first["fixed training.epochs"], second["fixed training.epochs"]) == (4, 8)
    assert (first["fixed rate"], second["fixed rate"]) == (0.1, None)
    assert (first["git commit"], second["git commit"]) == ("c" * 40, "d" * 40)
    assert not {"package torch", "space"} & set(first)


@pytest.mark.parametrize(
    ("direction", "verdicts"),
    [("maximize", ["better", "worse"]), ("minimize", ["worse", "better"])],
)
def test_winners_that_differ_are_told_apart(direction: str, verdicts: list[str]) -> None:
    metrics = [{"name": "score", "direction": direction, "reduce": "best"}]
    one = _grid("one", {"a": [0.90, 0.91, 0.92]}, metrics=metrics)
    two = _grid("two", {"b": [0.80, 0.80, 0.82]}, metrics=metrics)
    found = compare([one.view, two.view])
    assert [row["verdict"] for row in found] == verdicts
    assert [row["difference"] for row in found] == pytest.approx([0.31 / 3, -0.31 / 3])
    assert found[0]["difference low"] == pytest.approx(-found[1]["difference high"])


def test_winners_that_cannot_be_told_apart_tie_and_one_seed_says_nothing() -> None:
    one = _grid("one", {"a": [0.90, 0.91, 0.92]})
    two = _grid("two", {"b": [0.93, 0.89, 0.92]})
    three = Hand("three")
    three.trial("c", 0.5)
    assert [row["verdict"] for row in compare([one.view, two.view])] == ["tie", "tie"]
    assert compare([one.view, three.view])[0]["verdict"] == "1 seed: no interval"


def test_searches_of_other_objectives_are_refused_by_both_names() -> None:
    metrics = [{"name": "val/loss", "direction": "minimize", "reduce": "last"}]
    one, two = Hand("one"), Hand("two", metrics=metrics)
    words = r"got maximize val/accuracy \(one\) and minimize val/loss \(two\)"
    with pytest.raises(ValueError, match=words):
        compare([one.view, two.view])


def test_a_search_without_a_winner_has_a_row() -> None:
    hand = Hand()
    (row,) = compare([hand.view])
    assert (row["winner"], row["val/accuracy"], row["found_after"]) == (None, None, None)
