"""Several searches on one page."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysearch.errors import BadSetting
from raysearch.pages.comparing import best_line, charts_of, table_of, verdict, write_comparison
from raysearch.pages.objectives import objectives
from raysearch.results.compare import compare
from raysearch.results.view import SearchView
from tests.raysearch.pages import report_cases as cases
from tests.raysearch.pages import report_streams as streams
from tests.raysearch.pages.report_pages import Page


def named(name: str, stream: streams.Stream) -> SearchView:
    stream.name = cases.created(stream)["search"] = name
    return stream.view()


@pytest.fixture(scope="module")
def views() -> list[SearchView]:
    return [named(f"vit-{seed}", streams.many(40, epochs=6, seed=seed)) for seed in (0, 1)]


def test_the_best_so_far_by_trial_and_by_time_is_the_best_that_had_ended(
    views: list[SearchView],
) -> None:
    (view, _), (goal, *_) = views, objectives(views[0])
    done = [t for t in view.trials.values() if t.state == "complete"]
    by_trial = best_line(view, goal, lambda view, trial: float(trial))
    for at, value, _ in by_trial:
        assert value == max((t.values or [0.0])[0] for t in done if t.number <= at)
    assert by_trial[-1][0] == max(view.trials)

    def seconds(view: SearchView, trial: int) -> float:
        return view.seconds(0, view.trials[trial].ended or 0)

    for at, value, _ in best_line(view, goal, seconds):
        ended = [t for t in done if seconds(view, t.number) <= at]
        assert value == max((t.values or [0.0])[0] for t in ended)


def test_the_page_has_a_line_for_each_search_and_facts_of_its_trials(
    views: list[SearchView], tmp_path: Path
) -> None:
    path = write_comparison(views, tmp_path)
    assert path == tmp_path / "comparisons" / "vit-0+vit-1.html"
    page = Page.read(path)
    assert page.unclosed == [] and len(page.programs) == 1
    assert list(page.data["charts"]) == ["trials-1", "time-1", "curves-1"]
    for name in ("trials-1", "time-1"):
        layers = page.data["charts"][name]["layers"]
        assert [layer["name"] for layer in layers] == ["vit-0", "vit-1"]
        trials = {trial for layer in layers for _, _, trial in layer["data"]}
        assert trials <= set(page.data["trials"])
    first = page.data["trials"]["vit-0/0"]
    names = page.data["names"]
    shown = {name: text for name, text in zip(names, first["p"], strict=True) if text}
    assert shown.keys() == views[0].trials[0].params.keys()
    assert [path.name for path in path.parent.iterdir()] == [path.name]


def test_of_curves_each_search_has_its_winners_in_front(views: list[SearchView]) -> None:
    chart = charts_of(views)[-1]
    best = [layer for layer in chart.spec["layers"] if layer.get("bold")]
    winners = [view.best() for view in views]
    assert [layer["data"][0][0] for layer in best] == [
        f"{view.search}/{won.number}"
        for view, won in zip(views, winners, strict=True)
        if won is not None
    ]


def test_the_table_has_a_column_for_each_search_and_no_empty_row(views: list[SearchView]) -> None:
    heads, rows = table_of(compare(views))
    assert heads == ["vit-0", "vit-1"]
    assert all(len(cells) == 2 and any(cells) for _, cells in rows)
    assert "trials/h" in dict(rows) and not any("_" in name for name in dict(rows))
    assert dict(rows)["winner"] == [str(won.number) for view in views if (won := view.best())]


def test_the_verdict_says_who_is_better_or_that_nobody_knows(views: list[SearchView]) -> None:
    assert "with one seed that says nothing yet" in verdict(compare(views))
    assert verdict(compare([*views, named("vit-2", streams.many(20, epochs=6))])) == ""
    rows = [{"search": "a", "verdict": "worse", "difference": -0.2, "difference low": -0.3,
             "difference high": -0.1}, {"search": "b"}]  # fmt: skip
    assert verdict(rows) == "a is worse than b by -0.2 (95 % interval -0.3 to -0.1)."


def test_searches_with_other_objectives_are_on_no_page(
    views: list[SearchView], tmp_path: Path
) -> None:
    other = named("two", cases.two_directions(4))
    with pytest.raises(BadSetting, match="must have the same objectives"):
        write_comparison([views[0], other], tmp_path)
    assert not (tmp_path / "comparisons").exists()


def test_a_search_without_a_result_stands_beside_one_with_many(
    views: list[SearchView], tmp_path: Path
) -> None:
    none = named("none", cases.none_completed())
    page = Page.read(write_comparison([views[0], none], tmp_path))
    layers = {layer["name"]: layer["data"] for layer in page.data["charts"]["trials-1"]["layers"]}
    assert layers["none"] == [] and layers["vit-0"]


def test_long_names_make_a_file_name_that_fits(tmp_path: Path) -> None:
    long = [named(f"{letter * 90}", cases.none_completed()) for letter in "ab"]
    first, again = write_comparison(long, tmp_path), write_comparison(long[::-1], tmp_path)
    assert len(first.name) < 100 and first.name != again.name


def test_a_search_with_one_result_is_a_mark(views: list[SearchView], tmp_path: Path) -> None:
    one = named("one", streams.many(1, epochs=6, seed=1))
    (trial,) = one.trials.values()
    page = Page.read(write_comparison([views[0], one], tmp_path))
    for name in ("trials-1", "time-1"):
        layers = {layer["name"]: layer for layer in page.data["charts"][name]["layers"]}
        assert layers["one"]["kind"] == "points" and layers["vit-0"]["kind"] == "line"
        assert [each[1:] for each in layers["one"]["data"]] == [
            [pytest.approx((trial.values or [0.0])[0], rel=1e-5), "one/0"]
        ]


@pytest.mark.parametrize("is_maximized", [True, False])
def test_with_one_seed_the_verdict_says_which_is_better(is_maximized: bool) -> None:
    rows = [{"search": "a", "verdict": "1 seed: no interval", "difference": -0.2,
             "difference low": None, "difference high": None}, {"search": "b"}]  # fmt: skip
    ahead = "b is better than that of a" if is_maximized else "a is better than that of b"
    assert f"The winner of {ahead} by 0.2; with" in verdict(rows, is_maximized=is_maximized)
