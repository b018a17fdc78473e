"""Tables fit the width they are given; number, state, objective and fidelity are never cut."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.driver.progress import best_tables, trials_table
from raysearch.events.log import Store
from raysearch.results.headings import headings
from raysearch.results.layout import broken, fitted, on
from raysearch.results.markup import marked_up
from raysearch.results.tables import terminal_columns, trial_columns, trial_rows
from raysearch.texts import decimals
from tests.raysearch.events import streams
from tests.raysearch.events.streams import Hand

WIDTHS = (80, 100, 140)
LONG = "ssl.pretraining_on_small_channels_with_a_name_of_many_words_as_long_as_allowed-1"
NAMES = [f"augmentation.color_jitter.strength_of_the_part_number_{n:02d}" for n in range(20)]


def wide(metric: str = "val/accuracy", repeats: bool = False) -> Hand:
    """Trials with twenty long names."""
    metrics = [{"name": metric, "direction": "maximize", "reduce": "best"}]
    hand, draw = Hand(metrics=metrics, repeats=2, finalists=1), random.Random(0)
    for number in range(12):
        params = {name: draw.random() for name in NAMES}
        hand.trial(f"d{number}", draw.random(), params=params)
    if repeats:
        best = hand.view.ranking()[0].trial
        hand.repeats(best.number, [0.9, 0.8], params=best.params)
    return hand


def lines(table: object, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("metric", ["val/accuracy", "val/mean_average_precision_of_small_ones"])
def test_what_matters_is_never_cut(width: int, repeats: bool, metric: str) -> None:
    view = wide(metric, repeats).view
    text = lines(trials_table(view, 99, width), width)
    assert all(len(line) <= width and "…" not in line for line in text)
    header = next(at for at, line in enumerate(text) if line.startswith("trial"))
    rows = {int(line.split()[0]): line.split() for line in text[header + 1 :]}
    assert rows.keys() == view.trials.keys()
    for number, trial in view.trials.items():
        assert rows[number][1:3] == [trial.state, decimals((trial.values or [0.0])[0])]
    dropped = int(text[header].split("+")[1].split()[0])
    shown = len(trials_table(view, 99, width).columns) - (4 + 2 * repeats) - 1
    assert dropped == 20 - shown


def test_wider_terminals_show_more_parameters_and_a_wide_one_all() -> None:
    view = wide().view
    counts = [len(trials_table(view, 9, width).columns) for width in (*WIDTHS, 2000)]
    assert counts == sorted(set(counts)) and counts[-1] == 24


@pytest.mark.parametrize("width", WIDTHS)
def test_the_best_side_by_side_are_whole(width: int) -> None:
    view = wide(repeats=True).view
    text = [line for table in best_tables(view, 4, width) for line in lines(table, width)]
    assert all(len(line) <= width for line in text)
    whole = "".join(line.split("  ")[0].strip() for line in text)
    assert all(name in whole for name in NAMES)
    for rank in view.ranking()[:4]:
        assert any(f"trial {rank.trial.number}" in line for line in text)
        assert any(decimals(rank.mean) in line for line in text)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    store = Store(f"sqlite:///{tmp_path / 'runs/raysearch.db'}")
    for name in (LONG, "one", "two", "three", "four", "five"):
        streams.search(store, name, tmp_path / "runs" / name)
    return tmp_path


@pytest.mark.parametrize("width", WIDTHS)
def test_names_of_searches_are_never_cut(
    width: int, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = CliRunner().invoke(app, ["list"]).stdout.splitlines()
    assert all(len(line) <= width for line in text)
    assert any(line.strip().startswith(LONG) for line in text)
    assert "".join(text).count("0.6562") == 6 and "".join(text).count("finished") == 6
    found = CliRunner().invoke(app, ["compare", LONG, "one", "two", "three", "four", "five"])
    assert all(len(line) <= width for line in found.stdout.splitlines())
    assert found.stdout.count("0.6562") == 6 and "…" not in found.stdout


@pytest.mark.parametrize("most", [1, 8, 16])
def test_a_broken_name_is_the_name_when_joined(most: int) -> None:
    for name in (*NAMES, LONG, "", "a", "世界" * 9, "plain" * 9):
        parts = broken(name, most)
        assert "".join(parts) == name
        assert all(len(part) <= most for part in parts)


def test_a_column_is_dropped_from_the_right_and_the_lowest_priority_first() -> None:
    view = wide().view
    columns = on(trial_columns(view), "terminal")
    table = fitted(columns, trial_rows(view), 100)
    assert [*table.columns, *table.left_out] == columns
    assert all(column.may_drop for column in table.left_out)


def test_latex_and_markdown_have_all_cells_and_escape_what_is_theirs() -> None:
    hand = Hand()
    hand.trial("a", 0.6, params={"a_b": "50%|x"})
    hand.trial("b", 0.5, params={"a_b": "c"})
    view = hand.view
    columns, rows = on(trial_columns(view), "terminal"), trial_rows(view)
    latex = marked_up(columns, rows, "latex").splitlines()
    assert latex[0] == r"\begin{tabular}{rlrrl}"
    assert latex[2] == r"trial & state & val/accuracy & epochs & a\_b \\"
    assert latex[4] == r"0 & complete & 0.6000 &  & 50\%\textbar{}x \\"
    markdown = marked_up(columns, rows, "markdown").splitlines()
    assert markdown[:3] == [
        r"| trial | state | val/accuracy | epochs | a\_b |",
        "| ---: | --- | ---: | ---: | --- |",
        r"| 0 | complete | 0.6000 |  | 50%\|x |",
    ]


def test_intervals_stand_in_the_tables_of_papers(runs: Path) -> None:
    latex = marked_up(
        on(trial_columns(wide(repeats=True).view), "terminal"),
        trial_rows(wide(repeats=True).view), "latex",
    )  # fmt: skip
    assert r"0.8500 $\pm$ 0.6353 & 2" in latex
    found = CliRunner().invoke(app, ["compare", "one", "two", "--latex"]).stdout
    assert "one & 6 & 1 & 0.6562 & 0.6100 & 18" in found
    both = CliRunner().invoke(app, ["compare", "one", "two", "--latex", "--csv"])
    assert both.exit_code == 2 and "got both: --csv, --latex" in both.stderr


ALIKE = [f"encoder_transformer_block_number_{n}_learning_rate_multiplier" for n in range(20)]


def test_headings_that_are_cut_keep_what_differs() -> None:
    found = headings(ALIKE)
    assert found[7] == "…number_7_learning_…" and found[17] == "…number_17_learning_…"
    assert headings(["lr", "lr", "x" * 90])[:2] == ["lr", "lr"]


@given(st.lists(st.text("ab_./é世", max_size=30), max_size=8), st.integers(4, 12))
def test_headings_differ_where_names_do(names: list[str], most: int) -> None:
    found = headings(names, most)
    assert len(set(found)) == len(set(names))
    assert all(one == name for one, name in zip(found, names, strict=True) if len(name) <= most)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_long_names_that_are_alike_are_told_apart_and_the_objective_is_whole(width: int) -> None:
    metric = "val/mean_average_precision_of_small_objects_in_the_dark"
    metrics = [{"name": metric, "direction": "maximize", "reduce": "best"}]
    hand = Hand(metrics=metrics)
    for number in range(3):
        params = {name: 0.1 * number for name in ALIKE}
        hand.trial(f"d{number}", number / 4, params=params)
    view = hand.view
    table = fitted(terminal_columns(view), trial_rows(view), width)
    heads = ["".join(header) for header in table.headers]
    assert metric in heads and len(set(heads)) == len(heads)
    assert table.is_whole and any("number" in head for head in heads)


def test_papers_have_objective_and_fidelity_also_where_nothing_completed() -> None:
    hand = Hand()
    for name in "ab":
        hand.trial(name, state="failed", params={"lr": name})
    markdown = marked_up(terminal_columns(hand.view), trial_rows(hand.view), "markdown")
    assert markdown.startswith("| trial | state | val/accuracy | epochs | lr |")
