"""Addresses name the file that is meant, and only its owner reads what is made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from raysearch.driver.plan import check_name
from raysearch.errors import BadSetting, WrongState
from raysearch.events.locks import FileLock, claim
from raysearch.events.log import Store
from raysearch.files import allowed
from raysearch.settings import Settings
from raysearch.sqlite_files import absolute, sqlite_address, sqlite_file
from raysearch.sweeps.search_spec import UNKNOWN
from raysearch.tracking.mlflow.address import consumer
from tests.raysearch.events import streams

ODD = ["what?", "a%20b", "%2F", "a#1", "it's", "x&y=1;z", "a+b", "größe π", "new\nline", 'q"', ":@"]


@pytest.mark.parametrize("name", ODD)
def test_the_databases_lie_in_their_folder_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    settings = Settings.locate(tmp_path / name / "runs")
    store = Store(settings.store)
    store.create("one", UNKNOWN)
    assert os.listdir(tmp_path) == [name]
    assert (settings.runs / "raysearch.db").exists()
    assert Store(settings.store).searches() == ["one"]
    assert sqlite_file(settings.tracking_uri) == settings.runs / "mlflow.db"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1))
def test_an_address_leads_back_to_its_file(name: str) -> None:
    file = Path("/somewhere") / name / "raysearch.db"
    assert sqlite_file(sqlite_address(file)) == file
    assert sa.make_url(sqlite_address(file)).database == str(file)


def test_a_relative_address_means_the_folder_in_which_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("sqlite:///a/b.db") == f"sqlite:///{tmp_path}/a/b.db"
    for address in ("sqlite://", "sqlite:///:memory:", "http://head:5000", "none", "x://"):
        assert absolute(address) == address


@pytest.mark.parametrize(
    ("umask", "folder"),
    [(0o022, 0o700), (0o077, 0o700), (0o027, 0o700), (0o002, 0o770), (0o007, 0o770), (0, 0o777)],
)
def test_others_read_what_the_umask_lets_them_write(
    tmp_path: Path, umask: int, folder: int
) -> None:
    assert allowed(umask) == folder
    code = (
        "import os, sys; os.umask(int(sys.argv[1]))\n"
        "from raysearch.sweeps.search_spec import UNKNOWN\n"
        "from raysearch.events.log import Store\n"
        "from raysearch.settings import Settings\n"
        "settings = Settings.locate(sys.argv[2])\n"
        "store = Store(settings.store)\n"
        "with store.lock('one', settings.folder('one')): store.create('one', UNKNOWN)\n"
    )
    runs = tmp_path / "runs"
    subprocess.run([sys.executable, "-c", code, str(umask), str(runs)], check=True)
    for path in (runs, runs / "one"):
        assert path.stat().st_mode & 0o777 == folder
    for path in (runs / "raysearch.db", runs / "one/lock"):
        assert path.stat().st_mode & 0o777 == folder & 0o666


def test_a_folder_that_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0o755)
    Store(Settings.locate(tmp_path / "runs").store)
    assert (tmp_path / "runs").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "runs/raysearch.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "name", ["mlartifacts", "MLartifacts", "mlflow.db", "raysearch.db", "raysearch.db-wal", "repro"]
)
def test_names_of_what_lies_beside_searches_are_refused(name: str) -> None:
    with pytest.raises(BadSetting, match="--name must be none of mlartifacts, .*, got 'm?"):
        check_name(name)


@pytest.mark.parametrize("name", ["mlartifacts-1", "my.mlflow.db", "train1", "a"])
def test_other_names_are_free(name: str) -> None:
    check_name(name)


def test_a_folder_without_a_lock_of_ours_is_nobodys_to_take(tmp_path: Path) -> None:
    claim(tmp_path / "one")
    claim(tmp_path / "one")
    FileLock(tmp_path / "two").acquire()
    claim(tmp_path / "two")
    (tmp_path / "empty").mkdir()
    claim(tmp_path / "empty")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("years of work")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("mine", "file", "link"):
        with pytest.raises(WrongState, match=f"--name '{name}' cannot be used: .* no folder of a"):
            claim(tmp_path / name)


def test_a_search_keeps_only_an_address_that_is_not_the_default_of_its_folder(
    tmp_path: Path,
) -> None:
    runs = tmp_path / "a?b" / "runs"
    assert Settings.locate(runs).pinned_tracking is None
    assert Settings.locate(runs, None, sqlite_address(runs / "mlflow.db")).pinned_tracking is None
    assert Settings.locate(runs, None, "http://me:hush@head").pinned_tracking == "http://me@head"
    old = {"tracking_uri": "sqlite:////old/runs/mlflow.db", "folder": "/old/runs/one"}
    moved = Settings.locate(runs)
    assert moved.tracking_of(streams.spec(**old)) == moved
    other = {**old, "tracking_uri": "sqlite:////shared/mlflow.db"}
    assert moved.tracking_of(streams.spec(**other)).tracking_uri == "sqlite:////shared/mlflow.db"


def test_the_cursor_of_a_folder_is_the_same_wherever_it_lies() -> None:
    one, two = Settings.locate("/a/runs"), Settings.locate("/b c/runs")
    assert consumer(one.tracking_uri, one.store) == consumer(two.tracking_uri, two.store)
    assert consumer(one.tracking_uri, two.store) != consumer(one.tracking_uri, one.store)
