from __future__ import annotations

import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.errors import BadSetting
from raysearch.events.log import Store
from raysearch.extras import PACKAGES, require
from raysearch.tracking.mlflow.address import check_tracking

ROOT = Path(__file__).parents[2]
URL = "postgresql+psycopg://me:secret@nowhere/raysearch"
SENTENCE = (
    "needs the extra 'postgres' of raysearch (psycopg: not installed): "
    "pip install 'raysearch[postgres]'"
)


@pytest.fixture
def without_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)


def test_each_extra_of_the_installation_says_what_is_imported_of_it() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(PACKAGES) == set(stated["optional-dependencies"]) - {"all", "dev"}


@pytest.mark.parametrize("extra", sorted(PACKAGES))
def test_what_is_installed_is_not_refused(extra: str) -> None:
    if not all(map(find_spec, PACKAGES[extra])):
        pytest.skip(f"the extra {extra} is not installed")
    require(extra, "this")


def test_only_packages_that_lack_are_named(without_psycopg: None) -> None:
    with pytest.raises(BadSetting) as refused:
        require("server", "raysearch serve")
    assert str(refused.value) == (
        "raysearch serve needs the extra 'server' of raysearch (psycopg: not installed): "
        "pip install 'raysearch[server]'"
    )


def test_a_store_on_postgresql_names_its_extra(without_psycopg: None) -> None:
    with pytest.raises(BadSetting) as refused:
        Store(URL)
    assert str(refused.value) == f"--store {URL.replace('secret', '***')!r} {SENTENCE}"


def test_tracking_on_postgresql_names_its_extra(without_psycopg: None) -> None:
    with pytest.raises(BadSetting) as refused:
        check_tracking(URL)
    assert str(refused.value) == f"--tracking-uri {URL.replace('secret', '***')!r} {SENTENCE}"


def test_a_command_that_lacks_its_extra_is_bad_input(without_psycopg: None, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["serve", "--state", str(tmp_path / "state")])
    assert result.exit_code == 2 and not (tmp_path / "state").exists()
    assert "raysearch[server]" in result.stderr
