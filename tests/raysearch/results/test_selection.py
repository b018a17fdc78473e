"""Rows are chosen by a small safe expression, sorted, and grouped with means."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.errors import BadSetting, UnknownName
from raysearch.results.conditions import Condition
from raysearch.results.intervals import interval
from raysearch.results.layout import fitted, on, records
from raysearch.results.selection import (
    Chosen,
    chosen_columns,
    chosen_rows,
    group_columns,
    grouped,
    groups,
)
from raysearch.results.tables import trial_columns
from tests.raysearch.events.streams import Hand

ROWS = [
    {"optimizer.kind": "adamw", "lr": 0.1, "val/acc": 0.9, "a b": True, "x": None},
    {"optimizer.kind": "sgd", "lr": 0.01, "val/acc": 0.5, "a b": False, "x": 3},
    {"optimizer.kind": "lars", "lr": None, "val/acc": 0.7, "a b": True, "x": "auto"},
]
NAMES = [*ROWS[0], "val", "acc"]


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        ("optimizer.kind=='adamw'", [0]),
        ("optimizer.kind != 'adamw'", [1, 2]),
        ("lr < 0.05", [1]),
        ("not lr < 0.05", [0, 2]),
        ("lr == None", [2]),
        ("lr is not None", [0, 1]),
        ("val/acc > 0.6 and lr >= 0.1", [0]),
        ("0.5 < val/acc <= 0.7", [2]),
        ("optimizer.kind in ('sgd', 'lars')", [1, 2]),
        ("optimizer.kind not in ['sgd']", [0, 2]),
        ("'ad' in optimizer.kind or x == 3", [0, 1]),
        ("`a b` and `val/acc` > 0.8", [0]),
        ("x > -1", [1]),
        ("lr", [0, 1]),
    ],
)
def test_a_condition_chooses_the_rows_in_which_it_holds(text: str, fit: list[int]) -> None:
    found = Condition.read(text, NAMES).choose(ROWS)
    assert [at for at, holds in enumerate(found) if holds] == fit


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "open('x')", "lr.real.conjugate()", "[x for x in lr]",
        "lambda: 1", "lr if lr else 1", "f'{lr}'", "lr + 1 > 2", "9**9**9 > 1", "lr[0] > 1",
        "(lr := 1) > 0", "lr <", "import os", "", "(" * 5000, "1" * 5000, "b'x' == lr", "a\0b",
        "lr == ...", "-'a' == lr", "~1 == lr", "*lr", "lr > 1; lr",
    ],
)  # fmt: skip
def test_nothing_else_is_read(text: str) -> None:
    with pytest.raises((BadSetting, UnknownName), match="--where"):
        Condition.read(text, NAMES)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_one_sentence(text: str) -> None:
    try:
        Condition.read(text, NAMES).choose(ROWS)
    except (BadSetting, UnknownName) as error:
        assert "--where" in str(error)


def test_an_unknown_name_is_said_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'optimizer.knd'; did you mean 'optimizer.kind'"):
        Condition.read("optimizer.knd == 'sgd'", NAMES)


def test_what_has_no_order_in_any_row_is_refused() -> None:
    with pytest.raises(BadSetting, match="a text and a number, which have no order"):
        Condition.read("optimizer.kind < 3", NAMES).choose(ROWS)


@pytest.fixture
def hand() -> Hand:
    found = Hand(repeats=2, finalists=1, trials=8)
    draw = random.Random(0)
    for number in range(8):
        kind = "adamw" if number % 2 else "sgd"
        params = {"optimizer.kind": kind, "lr": draw.random()}
        state = "complete" if number < 7 else "failed"
        values = [draw.random()] if state == "complete" else []
        config = {"optimizer": {"kind": kind}, "layers": number}
        found.trial(f"d{number}", *values, state=state, params=params, config=config)
    best = found.view.ranking()[0].trial
    found.repeats(best.number, [0.9, 0.8], params=best.params, config=best.config)
    return found


def test_rows_are_best_first_unless_sorted(hand: Hand) -> None:
    numbers = [row.trial.number for row in chosen_rows(hand.view, Chosen())]
    assert numbers == [trial.number for trial in hand.view.ranked()]
    rates = {number: trial.params["lr"] for number, trial in hand.view.trials.items()}
    rising = [row.trial.number for row in chosen_rows(hand.view, Chosen(sort="lr"))]
    assert [rates[each] for each in rising] == sorted(rates.values())
    two = [row.trial for row in chosen_rows(hand.view, Chosen(sort="optimizer.kind,-lr"))]
    by = [(trial.params["optimizer.kind"], -trial.params["lr"]) for trial in two]
    assert by == sorted(by)
    ends = chosen_rows(hand.view, Chosen(sort="-val/accuracy"))
    assert ends[-1].trial.state == "failed", "what has no value comes last in either direction"


def test_a_setting_that_no_parameter_is_can_be_asked_for(hand: Hand) -> None:
    found = chosen_rows(hand.view, Chosen(where="layers == 3"))
    assert [row.trial.number for row in found] == [3]


def test_groups_count_each_configuration_once_by_its_mean(hand: Hand) -> None:
    view = hand.view
    found = groups(view, chosen_rows(view, Chosen()), "optimizer.kind")
    means: dict[str, list[float]] = {}
    for rank in view.ranking():
        kind = rank.trial.config["optimizer"]["kind"]
        means.setdefault(kind, []).append(
            sum((run.values or [0])[0] for run in rank.runs) / rank.seeds
        )
    assert {row.value: row.means[0] for row in found} == {
        kind: interval(values) for kind, values in means.items()
    }
    assert {row.value: row.best[0] for row in found} == {
        kind: max(values) for kind, values in means.items()
    }
    assert sum(row.trials for row in found) == len(view.trials)
    table = records(group_columns(view, "optimizer.kind"), found)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert list(table[0])[:3] == ["optimizer.kind", "trials", "configurations"]


@pytest.mark.parametrize("chosen", [Chosen(sort="lrr"), Chosen(group_by="lrr")])
def test_columns_that_are_not_there_are_named(hand: Hand, chosen: Chosen) -> None:
    with pytest.raises(UnknownName, match=r"--(sort|group-by): no column is named 'lrr'; did you"):
        groups(hand.view, chosen_rows(hand.view, chosen), chosen.group_by or "lr")


@pytest.mark.parametrize(
    ("chosen", "name"),
    [(Chosen(sort="-p19"), "p19"), (Chosen(where="p18 < 9"), "p18"), (Chosen(sort="size"), "size"),
     (Chosen(sort="seconds"), "seconds")],
)  # fmt: skip
def test_what_is_asked_for_by_name_stands_behind_the_fidelity(chosen: Chosen, name: str) -> None:
    hand = Hand()
    for number in range(3):
        params = {f"a.p{n}": n + number / 8 for n in range(20)}
        hand.trial(f"d{number}", number / 4, params=params, config={"size": number})
    found = fitted(chosen_columns(hand.view, chosen), chosen_rows(hand.view, chosen), 60)
    headers = [column.header for column in found.columns]
    assert found.left_out and headers[headers.index("epochs") + 1] == name


def test_every_column_that_is_shown_can_be_named(hand: Hand) -> None:
    shown = [column.header for column in on(trial_columns(hand.view), "terminal")]
    assert {"epochs", "lr", "mean", "kind"} & set(shown) >= {"epochs", "mean"}
    for name in shown:
        chosen_rows(hand.view, Chosen(sort=name, where=f"`{name}` is not None"))
        groups(hand.view, chosen_rows(hand.view, Chosen()), name)
    assert "epochs" in records(trial_columns(hand.view), chosen_rows(hand.view, Chosen()))[0]


@pytest.mark.parametrize(
    "sort", ["-best", "best", "mean", "-trials", "-configurations,optimizer.kind"]
)
def test_groups_are_sorted_by_their_own_columns(hand: Hand, sort: str) -> None:
    found = grouped(hand.view, Chosen(sort=sort, group_by="optimizer.kind"))
    name = sort.split(",")[0].removeprefix("-")
    said = [
        {"best": row.best[0] or 0.0, "mean": row.means[0].mean if row.means[0] else 0.0,
         "trials": float(row.trials), "configurations": float(row.configurations)}[name]
        for row in found
    ]  # fmt: skip
    assert len(said) == 2 and said == sorted(said, reverse=sort.startswith("-"))


@pytest.mark.parametrize(
    ("chosen", "words"),
    [(Chosen(sort="lr", group_by="layers"), "a table of groups has no column 'lr'; there are"),
     (Chosen(group_by="layers,lr"), "--group-by must name one column, got 'layers,lr'")],
)  # fmt: skip
def test_what_groups_do_not_have_is_said(hand: Hand, chosen: Chosen, words: str) -> None:
    with pytest.raises((BadSetting, UnknownName), match=words):
        grouped(hand.view, chosen)


def test_the_headings_of_groups_say_what_is_counted(hand: Hand) -> None:
    headers = [column.header for column in group_columns(hand.view, "optimizer.kind")]
    assert "configurations" in headers and "best mean val/accuracy" in headers
