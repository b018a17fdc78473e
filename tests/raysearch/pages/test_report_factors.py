"""An objective is drawn by one setting, or by two, from what the trials say."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.errors import BadSetting, UnknownName
from raysearch.pages.factors import cells_of, draw_factors
from raysearch.pages.objectives import Objective, completed
from raysearch.pages.picture import Picture
from raysearch.pages.writing import write_report
from raysearch.results.factors import factors_of, read_factors
from raysearch.results.view import SearchView
from tests.raysearch.pages import report_streams as streams
from tests.raysearch.pages.report_pages import Page

UP = Objective(0, "val/accuracy", "maximize", "best")
KIND, PATCH = "optimizer.kind", "model.patch_size"


@pytest.fixture(scope="module")
def view() -> SearchView:
    return streams.many(120).view()


def test_a_cell_has_the_objective_of_just_its_trials(view: SearchView) -> None:
    kind, patch = factors_of(view, [KIND, PATCH])
    assert kind.values == ("adamw", "sgd") and list(patch.values) == sorted(patch.values)
    cells = cells_of(view, UP, kind, patch)
    for (at, panel), values in cells.items():
        own = {KIND: kind.values[at], PATCH: patch.values[panel]}
        alike = [
            value
            for trial, value in completed(view, UP)
            if all(trial.params[name] == value for name, value in own.items())
        ]
        assert values == alike
    assert sum(map(len, cells.values())) == len(completed(view, UP))
    alone = cells_of(view, UP, kind, None)
    assert all(
        sorted(alone[at, 0])
        == sorted(itertools.chain(*(v for (place, _), v in cells.items() if place == at)))
        for at in range(2)
    )


def test_a_setting_that_was_not_sampled_is_one_too(view: SearchView) -> None:
    (seed,) = factors_of(view, ["training.seed"])
    assert seed.values == (0,)


def test_true_is_not_1_and_numbers_come_before_words() -> None:
    stream = streams.Stream({"trials": 6})
    choices: list[Any] = ["b", 10**400, 1, True, 0.5, None]
    for number, value in enumerate(choices):
        stream.ask(number, {"x": value}, {"x": streams.choice(*choices)})
    (factor,) = factors_of(stream.view(), ["x"])
    assert factor.values == (0.5, 1, 10**400, None, True, "b")


@pytest.mark.parametrize(
    ("text", "paths"), [("a", ("a",)), ("a.b,c", ("a.b", "c")), (" a , b ", ("a", "b"))]
)
def test_one_or_two_settings_are_read(text: str, paths: tuple[str, ...]) -> None:
    assert read_factors(text) == paths


@pytest.mark.parametrize("text", ["", ",", "a,", "a,b,c", "a,a"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="--by must be one setting, or two different ones"):
        read_factors(text)


def test_a_setting_that_is_none_is_named_with_the_nearest(view: SearchView) -> None:
    with pytest.raises(UnknownName, match=r"has a setting 'optimizer.kin'.*'optimizer.kind'"):
        factors_of(view, ["optimizer.kin"])


def test_a_setting_with_as_many_values_as_trials_is_refused(view: SearchView) -> None:
    with pytest.raises(BadSetting, match=r"at most 12 different values, and optimizer.lr has \d+"):
        factors_of(view, ["optimizer.lr"])


def test_there_is_a_panel_for_each_value_of_the_second(view: SearchView, tmp_path: Path) -> None:
    factors = factors_of(view, [KIND, PATCH])
    drawn = draw_factors(view, UP, factors, tmp_path / "a.png")
    alone = draw_factors(view, UP, factors[:1], tmp_path / "b.png")
    assert isinstance(drawn, Picture) and isinstance(alone, Picture)
    assert drawn.alt == (
        f"val/accuracy by optimizer.kind and model.patch_size for {len(completed(view, UP))} "
        "completed trials."
    )
    assert len(factors[1].values) == 3 and drawn.width == round(96 * 2.85 * 3)
    assert np.ptp(imread(tmp_path / "a.png")[..., :3]) > 0.5


def test_where_nothing_has_completed_a_sentence_says_so(tmp_path: Path) -> None:
    stream = streams.Stream({"trials": 1})
    stream.ask(0, {"x": 1}, {"x": streams.choice(1, 2)})
    view = stream.view()
    said = draw_factors(view, UP, factors_of(view, ["x"]), tmp_path / "a.png")
    assert said == "val/accuracy by x: no trial has completed that has them."


@pytest.mark.slow
def test_the_page_has_it_where_it_is_asked_for(view: SearchView, tmp_path: Path) -> None:
    alt = "val/accuracy by optimizer.kind for"
    page = Page.read(write_report(view, tmp_path, [KIND]))
    assert [image["alt"] for image in page.all("img") if image["alt"].startswith(alt)]
    page = Page.read(write_report(view, tmp_path))
    assert not [image["alt"] for image in page.all("img") if image["alt"].startswith(alt)]


def test_the_command_refuses_what_cannot_be_drawn_by(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", "one", "--by", "a,b,c", "--runs", str(tmp_path)])
    assert done.exit_code == 2 and "--by must be one setting" in done.stderr
