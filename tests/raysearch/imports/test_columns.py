"""Each column of a table has one meaning, and `--known` reads what `results` wrote."""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from raysearch.pages.tables import trials_table
from raysearch.results.compare import compare
from raysearch.results.tables import columns_of, rows
from raysearch.study.known_trials import read_known
from raysearch.sweeps.columns import Columns, has_path
from raysearch.sweeps.space import Point, Space
from raysearch.sweeps.sweep import Metric, Sweep, sweep
from raysearch.terminal import print_csv
from tests.raysearch.events.streams import Hand
from tests.raysearch.odd import ODD
from trainables.core.training import ExperimentConfig

WORDS = ["1", "None", "true", "a, b", 'say "hi"', " ", "two\nlines", "a\rb", "=1+1", "[cls]"]


class Clashing(ExperimentConfig):
    experiment = "tests:run"
    name = "tests.clashing"
    trial: int = 0
    state: str = "complete"
    step: float = 0.1
    seconds: float = 1.0
    reason: str = "a"
    evaluates: bool = False
    seeds: float | None = None
    loss: float = 0.0


def clashing(trial: Any) -> Clashing:
    return Clashing(
        trial=trial.suggest_int("trial", 1, 1024, log=True),
        state=trial.suggest_categorical("state", ["failed", "complete", "pruned"]),
        step=trial.suggest_float("step", 0.0, 1.0, step=0.1),
        seconds=trial.suggest_float("seconds", 1e-7, 30.0, log=True),
        reason=trial.suggest_categorical("reason", WORDS),
        evaluates=trial.suggest_categorical("evaluates", [True, False]),
        seeds=trial.suggest_categorical("seeds", [None, 0.1]),
        loss=trial.suggest_float("loss", 0.0, 1.0),
    )


def declared(*metrics: str) -> Sweep:
    return sweep(metrics=[Metric(name, "minimize") for name in metrics], sampler="random")(clashing)


def ran(made: Sweep, *, varying: bool = True, seeds: int = 1) -> tuple[Hand, list[Point]]:
    """A search of a few points, and one that failed."""
    rng, space = random.Random(4), Space(made)
    points = [space.sample(rng) for _ in range(14 if varying else 1)]
    spec = [{"name": m.name, "direction": m.direction, "reduce": "last"} for m in made.metrics]
    hand = Hand(metrics=spec)
    for number, point in enumerate([*points, space.sample(rng)]):
        asked: dict[str, Any] = {
            "params": point.params, "config": point.config.to_json(),
            "distributions": {name: d.to_json() for name, d in point.distributions.items()},
        }  # fmt: skip
        if number == len(points):
            hand.trial(point.digest, state="failed", **asked)
            continue
        values = [number / 8 + place for place in range(len(spec))]
        first = hand.trial(point.digest, *values, **asked)
        for seed in range(1, seeds):
            hand.trial(point.digest, *values, seed=seed, repeat_of=first, origin="repeat", **asked)
    return hand, points


def written(folder: Path, hand: Hand, kind: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = folder / f"past.{kind}"
    if kind == "json":
        file.write_text(json.dumps(rows(hand.view)))
        return file
    with monkeypatch.context() as patched, file.open("wb") as stream:
        patched.setattr(sys, "stdout", io.TextIOWrapper(stream, encoding="ascii"))
        print_csv(rows(hand.view))
        return file


METRICS = [("val acc",), ("loss",), ("step", "seconds"), ("state", "trial"), ("loss mean", "loss")]


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize("metrics", METRICS)
def test_what_results_wrote_is_known(
    metrics: tuple[str, ...], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = declared(*metrics)
    hand, points = ran(made)
    found = read_known(written(tmp_path, hand, kind, monkeypatch), Space(made))
    assert [row["params"] for row in found] == [point.params for point in points]
    wanted = [[number / 8 + place for place in range(len(metrics))] for number in range(14)]
    assert [row["values"] for row in found] == wanted


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_of_repeats_the_first_is_known(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = declared("loss")
    hand, points = ran(made, seeds=2)
    hand.trial(points[0].digest, state="infeasible", seed=2, repeat_of=0, origin="repeat",
               params=points[0].params, config=points[0].config.to_json())  # fmt: skip
    assert any(row.get("outcomes") for row in rows(hand.view)), "a column of its own"
    found = read_known(written(tmp_path, hand, kind, monkeypatch), Space(made))
    assert sorted(row["values"] for row in found) == [[number / 8] for number in range(14)]


@pytest.mark.parametrize("metrics", METRICS)
def test_a_parameter_stands_under_its_own_name_and_all_else_is_there_too(
    metrics: tuple[str, ...],
) -> None:
    hand, _ = ran(declared(*metrics), seeds=2)
    columns = columns_of(hand.view)
    table = {row[columns.own("trial")]: row for row in rows(hand.view)}
    for number, trial in hand.view.trials.items():
        row = table[number]
        assert {name: row[name] for name in trial.params} == trial.params
        assert row[columns.own("state")] == trial.state
        assert [row[columns.metric(name)] for name in metrics] == (
            trial.values or [None] * len(metrics)
        )
    assert len({len(row) for row in table.values()}) == 1
    header, shown = trials_table(hand.view)
    assert len(set(header)) == len(header) and len(shown) == len(table)


def test_a_column_is_called_the_same_whether_the_parameter_varies_or_not() -> None:
    few, many = (ran(declared("loss"), varying=varying)[0].view for varying in (False, True))
    own = ("trial", "state", "step", "seconds", "reason")
    assert [columns_of(few).own(name) for name in own] == [f"raysearch:{name}" for name in own]
    assert [columns_of(many).own(name) for name in own] == [f"raysearch:{name}" for name in own]
    assert columns_of(few).metric("loss") == "metric:loss" == columns_of(many).metric("loss")


def test_all_trials_are_looked_at_once_for_each_name() -> None:
    asked: list[str] = []
    columns = Columns(lambda name: asked.append(name) is not None, ["val/loss"])
    for _ in range(100):
        assert columns.own("seeds") == "seeds" and columns.metric("val/loss") == "val/loss"
    assert asked == ["val/loss", "seeds"]


def test_without_a_clash_names_stay() -> None:
    columns = Columns({"lr"}.__contains__, ["val/loss"])
    found = (columns.own("step"), columns.metric("val/loss"), columns.of_metric("val/loss", "low"))
    assert found == ("step", "val/loss", "val/loss low")


def test_names_are_free_however_often_they_clash() -> None:
    columns = Columns({"a", "metric:a", "raysearch:step"}.__contains__, ["a", "step"])
    assert columns.metric("a") == "metric:metric:a"
    assert columns.own("step") == "raysearch:raysearch:step"


UNICODE = {name: text for name, text in ODD.items() if name != "surrogate"}
"""Others are refused as choices."""


@pytest.mark.parametrize("text", UNICODE.values(), ids=UNICODE.keys())
def test_any_choice_is_known_again_by_json_and_by_csv(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sweep(metrics=[Metric("val acc", "minimize")], sampler="grid")(
        lambda trial: Clashing(reason=trial.suggest_categorical("reason", [text, "other", "b"]))
    )
    hand = Hand(metrics=[{"name": "val acc", "direction": "minimize", "reduce": "last"}])
    points = list(Space(made).points())
    for number, point in enumerate(points):
        config = point.config.to_json()
        hand.trial(point.digest, float(number), params=point.params, config=config)
    for kind in ("csv", "json"):
        found = read_known(written(tmp_path, hand, kind, monkeypatch), Space(made))
        assert [row["params"] for row in found] == [point.params for point in points]


def choosing(*choices: Any) -> Sweep:
    def choose(trial: Any) -> Clashing:
        chosen = trial.suggest_categorical("state", list(choices))
        return Clashing(state=repr(chosen), trial=1)

    return sweep(metrics=[Metric("m", "minimize")], sampler="grid")(choose)


@pytest.mark.parametrize(
    ("choices", "cell", "value"),
    [
        ((None, "a"), "", None), ((None, "a"), "None", None), ((None, "a"), "a", "a"),
        ((None, "None"), "None", "None"), ((None, "None"), "", None), (("", "a"), "", ""),
        ((True, False), "true", True), ((1, "a"), "1.0", 1), ((0.5, None), "0.50", 0.5),
    ],
)  # fmt: skip
def test_a_cell_of_a_csv_is_the_choice_that_it_says(
    choices: tuple[Any, ...], cell: str, value: object, tmp_path: Path
) -> None:
    (tmp_path / "past.csv").write_text(f"state,m\n{cell},1\n")
    (row,) = read_known(tmp_path / "past.csv", Space(choosing(*choices)))
    assert row["params"] == {"state": value}


@pytest.mark.parametrize(
    ("choices", "cell"), [((None, ""), ""), ((True, "True"), "True"), ((1, "1"), "1")]
)
def test_a_cell_that_may_be_two_choices_is_refused_and_json_tells_them(
    choices: tuple[Any, ...], cell: str, tmp_path: Path
) -> None:
    made = Space(choosing(*choices))
    (tmp_path / "past.csv").write_text(f"state,m\n{cell},1\n")
    with pytest.raises(ValueError, match="state must be told by JSON: as text .* may be"):
        read_known(tmp_path / "past.csv", made)
    for place, choice in enumerate(choices):
        (tmp_path / "past.json").write_text(json.dumps([{"state": choice, "m": place}]))
        (row,) = read_known(tmp_path / "past.json", made)
        assert row["params"] == {"state": choice}
        assert type(row["params"]["state"]) is type(choice)


def test_a_column_that_is_missing_is_no_choice_of_none(tmp_path: Path) -> None:
    (tmp_path / "past.csv").write_text("m\n1\n")
    with pytest.raises(ValueError, match="state must be given, it is in"):
        read_known(tmp_path / "past.csv", Space(choosing(None, "a")))


def test_searches_whose_metric_is_called_like_a_column_are_compared() -> None:
    spec = [{"name": "state", "direction": "maximize", "reduce": "last"}]
    hands = [Hand(name, metrics=spec) for name in ("one", "two")]
    for place, hand in enumerate(hands):
        hand.trial("a", 0.5 + place)
    found = compare([hand.view for hand in hands])
    assert [row["state"] for row in found] == [0.5, 1.5]
    assert [row["raysearch:state"] for row in found] == ["running", "running"]


def test_a_path_is_there_where_the_configuration_has_it() -> None:
    config = {"a": {"b": 1}, "c.d": 2}
    assert [has_path(config, path) for path in ("a", "a.b", "a.b.c", "c", "a.x")] == [
        True, True, False, False, False
    ]  # fmt: skip
