"""Stores of earlier versions are listed, read, reported, checked and gone on with.

Each was left by a search of five trials whose driver was killed while the third waited, two reports
in: by the first version that had a store, by one from the middle, and by the last that wrote no
format. In each archive are the tables as SQL with `@HOME@` for the folder, the sweep, and the code
that was kept of it, its list of packages cut short. Checkpoints hold the number of their step.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from raysearch.audit import audit_search
from raysearch.cli.application import app
from raysearch.driver.live_trial import unfinished
from raysearch.events.log import Store
from raysearch.provenance.resumed_code import code_of
from raysearch.settings import Settings
from tests.raysearch.command import NOWHERE, raysearch, store_of, view_of

STORES = Path(__file__).parent / "old_stores"
VERSIONS = ("first", "middle", "last")


@pytest.fixture(params=VERSIONS)
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the search was begun, as its driver left it."""
    own = tmp_path / "runs" / "one"
    own.mkdir(parents=True)
    with zipfile.ZipFile(STORES / f"{request.param}.zip") as archive:
        (tmp_path / "own.py").write_bytes(archive.read("own.py"))
        for name in archive.namelist():
            if name.startswith("code/"):
                archive.extract(name, own)
        sql = archive.read("raysearch.sql").decode().replace("@HOME@", str(tmp_path))
    connection = sqlite3.connect(tmp_path / "runs" / "raysearch.db")
    connection.executescript(sql)
    for (text,) in connection.execute("SELECT body FROM events WHERE kind = 'report'"):
        body = json.loads(text)
        path = own / body["checkpoint"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(body["step"]))
    connection.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own", raising=False)
    return tmp_path


def loss(x: float, step: int = 3) -> float:
    """What the experiment reports."""
    return (x - 0.3) ** 2 + 1 / step


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_is_listed_with_its_results(home: Path) -> None:
    [row] = json.loads(said("list", "--json"))
    assert (row["name"], row["sweep"], row["state"], row["trials"]) == (
        "one",
        "own.toy",
        "killed",
        3,
    )
    rows: list[dict[str, Any]] = json.loads(said("results", "one", "--json"))
    found = {row["trial"]: (row["state"], row["step"], row["val/loss"]) for row in rows}
    xs = {0: 0.5, 1: 0.41355784216491587, 2: 0.14306337515348894}
    assert found == {
        0: ("complete", 3, pytest.approx(loss(xs[0]))),
        1: ("complete", 3, pytest.approx(loss(xs[1]))),
        2: ("running", 2, pytest.approx(loss(xs[2], 2))),
    }
    assert "Which rate?" in json.dumps(view_of(home, "one").spec.to_body())


def test_it_is_reported_and_exported(home: Path) -> None:
    said("report", "one")
    page = (home / "runs/one/report/index.html").read_text()
    assert "Which rate?" in page and "own.toy" in page
    said("status", "one")
    said("best", "one")


def test_nothing_is_wrong_with_it(home: Path) -> None:
    settings = Settings.locate("runs", tracking_uri="none")
    assert audit_search(Store(settings.store, is_new=False), "one", settings) == []
    said("check", "one", *NOWHERE)


def test_its_identity_in_mlflow_is_that_which_it_had(home: Path) -> None:
    connection = sqlite3.connect(home / "runs/raysearch.db")
    [(text, time)] = connection.execute("SELECT body, time FROM events WHERE seq = 1").fetchall()
    connection.close()
    known = json.dumps(["one", time, json.loads(text)], sort_keys=True)
    assert view_of(home, "one").identity == hashlib.sha256(known.encode()).hexdigest()[:16]


def test_what_is_written_to_it_states_the_format(home: Path) -> None:
    said("tag", "one", "--set", "old=yes")
    assert view_of(home, "one").spec.tags == {"kind": "toy", "old": "yes"}
    connection = sqlite3.connect(home / "runs/raysearch.db")
    assert [number for number, _ in connection.execute("SELECT * FROM formats")] == [2]
    connection.close()
    said("delete", "one", "--yes", *NOWHERE)
    assert store_of(home).searches() == []


def test_its_trial_that_was_not_done_goes_on_with_the_code_that_is_here(home: Path) -> None:
    view, settings = view_of(home, "one"), Settings.locate("runs", tracking_uri="none")
    with ExitStack() as stack:
        code = code_of(view.spec, settings, "refuse", stack)
        assert code.found is not None and code.paths[-1] == str(home)
    [live] = unfinished([*store_of(home).events("one")], view.spec)
    assert (live.number, live.attempt) == (2, 1)
    assert live.last is not None and live.last.step == 2


LATER = [pytest.param(version, marks=pytest.mark.long) for version in VERSIONS[1:]]


@pytest.mark.search
@pytest.mark.parametrize("home", [VERSIONS[0], *LATER], indirect=True)
def test_it_goes_on_where_it_was(home: Path) -> None:
    before = view_of(home, "one")
    done = raysearch(home, "resume", "one", *NOWHERE)
    assert done.returncode == 0, done.stdout + done.stderr
    view = view_of(home, "one")
    assert view.state == "finished" and view.identity == before.identity
    assert view.begun == before.begun
    trials = view.trials.values()
    assert [len(trial.attempts) for trial in trials] == [1, 1, 2, 1, 1]
    for trial in trials:
        assert (trial.state, trial.values) == ("complete", [pytest.approx(loss(trial.params["x"]))])
    code = before.begun.code
    assert code is None or (view.spec.code is not None and view.spec.code.source == code.source)
