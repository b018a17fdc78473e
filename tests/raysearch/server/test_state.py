"""What a service says of itself: for its owner's eyes, whole, and only while it lives."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from raysearch.server.state import (
    ServiceState,
    default_state,
    ensure_token,
    kept_number,
    kept_secret,
    token,
)


def service(pid: int) -> ServiceState:
    return ServiceState(
        pid=pid,
        address="http://127.0.0.1:8267",
        runs="/runs",
        store="postgresql+psycopg://raysearch:hush@127.0.0.1:5432/raysearch",
        tracking_uri="http://127.0.0.1:5000",
        tracking_user="raysearch",
        tracking_password="hush",
        options={"user_limit": 4},
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".ray" / "auth_token"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    service(os.getpid()).write(tmp_path)
    assert ServiceState.read(tmp_path) == service(os.getpid())


def test_nobody_else_may_read_what_has_secrets(tmp_path: Path) -> None:
    service(os.getpid()).write(tmp_path)
    kept_secret(tmp_path, "one")
    assert {mode(tmp_path / name) for name in ("service.json", "secrets.json")} == {0o600}
    assert "hush" not in repr(service(os.getpid()))


def test_where_no_service_is_it_is_said_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no service runs on .*raysearch serve --state"):
        ServiceState.read(tmp_path)


def test_a_service_that_is_gone_is_none(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    service(gone.pid).write(tmp_path)
    with pytest.raises(LookupError, match=rf"\(process {gone.pid}\) is gone"):
        ServiceState.read(tmp_path)


def test_secrets_and_numbers_stay_as_they_were_made(tmp_path: Path) -> None:
    one, two = kept_secret(tmp_path, "one"), kept_secret(tmp_path, "two")
    assert one != two and one.isalnum() and one == kept_secret(tmp_path, "one")
    assert [kept_number(tmp_path, "port", lambda made=made: made) for made in (7, 8)] == [7, 7]


def test_the_token_is_found_as_ray_finds_it(
    no_token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_token.parent.mkdir()
    no_token.write_text("from home\n")
    assert token() == "from home"
    (tmp_path / "other").write_text("from a file")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "other"))
    assert token() == "from a file"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "from the environment")
    assert token() == "from the environment"


def test_a_missing_token_is_said_with_the_command_that_makes_one(no_token: Path) -> None:
    with pytest.raises(LookupError, match="ray get-auth-token --generate"):
        token()


def test_a_token_is_made_once_for_its_owner_alone(no_token: Path) -> None:
    made = ensure_token()
    assert made == ensure_token() == token() and len(made) == 64 and mode(no_token) == 0o600


@pytest.mark.slow
def test_ray_takes_the_token_that_was_made(no_token: Path) -> None:
    made = ensure_token()
    code = "from ray.scripts.scripts import cli; cli(['get-auth-token'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == made


def test_the_state_lies_in_the_home_folder_or_where_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAYSEARCH_STATE", raising=False)
    assert default_state() == tmp_path / ".raysearch"
    monkeypatch.setenv("RAYSEARCH_STATE", "/elsewhere")
    assert default_state() == Path("/elsewhere")
