"""The verbs from Python: the same answers as the command's, as tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import raysearch
from raysearch.cli.application import app
from raysearch.events.log import Store
from raysearch.results.tables import rows
from raysearch.results.view import SearchView
from raysearch.trial.session import PRELOAD
from tests.raysearch.events import streams


@pytest.fixture
def client(tmp_path: Path) -> raysearch.Client:
    """A client of a folder with the search `one`, which is in no MLflow."""
    client = raysearch.Client(tmp_path / "runs", tracking_uri="none", show=False)
    store = Store(client.settings.store)
    log = streams.search(store, "one", client.settings.folder("one"))
    streams.search(store, "two", client.settings.folder("two"))
    log.flush()
    return client


def view(client: raysearch.Client) -> SearchView:
    return SearchView.read(Store(client.settings.store), "one")


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import raysearch, sys; print([m for m in ('ray', 'optuna', 'mlflow', 'pandas', "
    code += "'torch', 'sqlalchemy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_attribute_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'raysearch' has no attribute 'Clint'"):
        raysearch.Clint  # noqa: B018  # pyright: ignore


def test_results_are_the_rows_of_the_command_as_a_table(client: raysearch.Client) -> None:
    table = client.results("one")
    expected = rows(view(client))
    assert list(table.index) == [row["trial"] for row in expected]
    assert list(table["val/accuracy"].dropna()) == [
        row["val/accuracy"] for row in expected if row["val/accuracy"] is not None
    ]


def test_results_are_rows_of_a_table_for_latex(client: raysearch.Client) -> None:
    table = client.results("one")[["val/accuracy"]]
    lines = table.to_latex(float_format="%.3f", escape=True).splitlines()
    column = zip(table.index, table["val/accuracy"], strict=True)
    written = [f"{number} & {value:.3f}" for number, value in column]
    assert [line.removesuffix(r" \\") for line in lines[-2 - len(table) : -2]] == written


def test_curves_have_every_report(client: raysearch.Client) -> None:
    table, trials = client.curves("one"), view(client).trials
    assert len(table) == sum(len(trial.reports) for trial in trials.values())
    of_five = table[table["trial"] == 5]["val/accuracy"]
    assert list(of_five) == [metrics["val/accuracy"] for *_, metrics in trials[5].reports]


def test_best_status_and_trial_say_what_the_events_say(client: raysearch.Client) -> None:
    best = view(client).best()
    assert best is not None and client.best("one")["trial"] == best.number
    assert client.best("one")["config"] == best.config
    assert client.status("one")["counts"] == view(client).counts()
    assert client.trial("one", best.number).values == best.values
    with pytest.raises(LookupError, match="search 'one' has no trial 99"):
        client.trial("one", 99)


def test_searches_are_listed_compared_noted_tagged_and_deleted(client: raysearch.Client) -> None:
    client.note(["one", "two"], "from a notebook")
    client.tag("two", {"paper": "yes"})
    assert list(client.list(tags={"paper": None}).index) == ["two"]
    assert list(client.list(text="notebook").index) == ["one", "two"]
    assert list(client.compare("one", "two").index) == ["one", "two"]
    client.delete("two")
    assert list(client.list().index) == ["one"]


def test_a_name_that_does_not_exist_is_one_sentence(client: raysearch.Client) -> None:
    with pytest.raises(LookupError, match="no search is named 'ones'; did you mean 'one'"):
        client.results("ones")


def test_a_plan_is_the_specification_and_an_unknown_option_is_named(
    client: raysearch.Client,
) -> None:
    spec = client.plan("ssl.digits_grid", {"training.epochs": 3}, repeats=2)
    assert (spec["points"], spec["repeats"], spec["fixed"]) == (18, 2, {"training.epochs": 3})
    with pytest.raises(LookupError, match="a search has no option 'repeat'.*repeats"):
        client.plan("ssl.digits_grid", repeat=2)


def test_report_and_export_write_what_the_commands_write(
    client: raysearch.Client, tmp_path: Path
) -> None:
    page = client.report("one")
    assert page.read_text().startswith("<!DOCTYPE html>") and page.parent.name == "report"
    count = client.export("one", f"sqlite:///{tmp_path / 'study.db'}")
    assert count == len(view(client).trials)


@pytest.mark.search
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_search_from_python_runs_resumes_and_is_extended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PRELOAD, "")
    client = raysearch.Client(tmp_path / "runs", tracking_uri="none", show=False)
    sweep = "tests.raysearch.searches.sweeps:chain"
    name = client.search(sweep, trials=3, sampler="random", concurrent=1, name="mine")
    assert (name, len(client.results("mine"))) == ("mine", 3)
    before = client.view("mine").trials
    for verb, words in (
        ("extend", "--trials or --time must be given"),
        ("retry", "no failed trial"),
    ):
        refused = CliRunner().invoke(app, [verb, "mine", "--runs", str(tmp_path / "runs")])
        assert refused.exit_code == 2 and words in refused.stderr
    client.extend("mine", trials=2)
    assert len(client.results("mine")) == 5 and client.resume("mine") == "mine"
    for number, trial in client.view("mine").trials.items():
        assert len(trial.attempts) == 1
        assert number not in before or trial.reports == before[number].reports
    assert client.check("mine") == []
