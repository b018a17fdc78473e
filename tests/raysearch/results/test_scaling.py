"""How an error falls over the trials of a search: from their settings, facts and reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from raysearch import verbs
from raysearch.cli import show_scaling
from raysearch.cli.application import app
from raysearch.errors import BadSetting, UnknownName
from raysearch.pages.objectives import Objective
from raysearch.pages.picture import Picture
from raysearch.pages.scaling import draw_scaling
from raysearch.results import power_law
from raysearch.results.scaling import scaling
from raysearch.results.view import SearchView
from tests.raysearch.pages import report_streams as streams

SIZES = (100, 200, 400, 800, 1600)
ALL = {"type": "int", "low": 100, "high": 1600, "log": True, "step": None}
UP = Objective(0, "val/accuracy", "maximize", "best")


def searched() -> SearchView:
    """Three seeds at each of five sizes; errors are 3 · x^−½ + 0.05, and 1 % more or less."""
    stream = streams.Stream({"trials": 15})
    for number in range(15):
        size, more = SIZES[number // 3], (0.99, 1.0, 1.01)[number % 3]
        error = (3 * size**-0.5 + 0.05) * more
        stream.ask(number, {"data.limit": size}, {"data.limit": ALL})
        stream.say("described", number, facts={"parameters": 10 * size})
        metrics = {"val/accuracy": 1 - error, "val/loss": 2 * error}
        stream.say(
            "report", number, attempt=1, step=1, fidelity=1, metrics=metrics,
            values=[1 - error], checkpoint=None,
        )  # fmt: skip
        stream.tell(number, "complete", [1 - error])
    return stream.view()


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_law, "RESAMPLES", 60)


def test_the_law_is_of_what_is_missing_to_one() -> None:
    found = scaling(searched(), "data.limit")
    assert found.error == "1 - val/accuracy" and len(found.x) == 15
    assert found.law.b.low < 0.5 < found.law.b.high
    assert found.law.b.value == pytest.approx(0.5, abs=0.05)
    assert found.law.c.value == pytest.approx(0.05, abs=0.02)


def test_facts_and_other_metrics_count_too() -> None:
    view = searched()
    by_size, by_limit = scaling(view, "parameters"), scaling(view, "data.limit", "val/loss")
    assert sorted(set(by_size.x)) == [10.0 * size for size in SIZES]
    assert by_limit.error == "val/loss"
    assert by_limit.law.at(400).value == pytest.approx(2 * (3 * 400**-0.5 + 0.05), rel=0.02)
    assert scaling(view, "data.limit", top=0.9).error == "0.9 - val/accuracy"


def test_beyond_what_was_run_intervals_are_wider() -> None:
    rows = scaling(searched(), "data.limit").rows()
    assert [row["data.limit"] for row in rows] == [*SIZES, 3200, 16000]
    assert [row["trials"] for row in rows] == [3] * 5 + [0, 0]
    widths = [(row["high"] - row["low"]) / row["law"] for row in rows]
    assert widths[-1] > widths[-2] > min(widths)


@pytest.mark.parametrize(
    ("setting", "metric", "kind", "sentence"),
    [
        ("data.limits", None, UnknownName, "has a number as 'data.limits'.*'data.limit'"),
        ("data.limit", "val/los", UnknownName, "has a metric 'val/los'.*'val/loss'"),
        ("training.epochs", None, BadSetting, "by training.epochs: a power law needs .* 15 at 1"),
    ],
)
def test_what_has_no_law_is_said(
    setting: str, metric: str | None, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        scaling(searched(), setting, metric)


def test_the_command_fits_into_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    view = searched()
    monkeypatch.setattr(verbs, "view_of", lambda *_: (None, view))
    found = CliRunner().invoke(app, ["scaling", "by-hand", "data.limit"], env={"COLUMNS": "80"})
    lines = found.output.splitlines()
    assert found.exit_code == 0 and max(map(len, lines)) <= 80
    assert lines[1].startswith("law        error = ") and "beyond" in lines[-1]
    plain = CliRunner().invoke(app, ["scaling", "by-hand", "data.limit", "--json"])
    assert json.loads(plain.output)["b"] == show_scaling.as_plain(scaling(view, "data.limit"))["b"]


def test_the_report_shows_it_by_a_number_and_by_nothing_else(tmp_path: Path) -> None:
    view = searched()
    picture = draw_scaling(view, UP, "data.limit", tmp_path / "law.png")
    assert isinstance(picture, Picture) and "15 completed trials" in picture.caption
    assert imread(tmp_path / "law.png").std() > 0.05
    assert draw_scaling(view, UP, "training.epochs", tmp_path / "none.png") is None
    assert not (tmp_path / "none.png").exists()
