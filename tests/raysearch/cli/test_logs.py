"""The log of a trial as it grows: all of it, once, until the trial ends."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from raysearch.cli import logs
from raysearch.cli.logs import follow_logs
from raysearch.events.log import Store
from raysearch.settings import Settings
from raysearch.trial.bounded_log import BoundedLog
from tests.raysearch.events import streams


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(logs, "_EVERY", 0.02)
    monkeypatch.setattr(logs, "_LAST", 0.2)
    settings = Settings.locate(tmp_path)
    settings.folder("one").mkdir()
    return settings


def test_what_is_there_and_what_comes_is_printed_once_until_the_trial_ends(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = settings.folder("one")
    log = Store(settings.store).create("one", streams.spec(search="one"))
    with Store(settings.store).lock("one", folder):
        streams.ask(log, 0)
        streams.begin(log, 0, folder)
        log.flush()
        file = folder / "0000" / "attempt-1" / "log.txt"
        file.write_text("first\n")

        def go_on() -> None:
            with file.open("a") as more:
                more.write("second\n")
            streams.tell(log, 0, "complete", 0.5)
            log.flush()

        timer = threading.Timer(0.2, go_on)
        timer.start()
        follow_logs("one", 0, settings)
        timer.join()
    said = capsys.readouterr().out
    assert said == f"== attempt-1: {file.parent}\nfirst\nsecond\n"


def test_a_trial_that_never_was_is_said_once_the_search_has_ended(settings: Settings) -> None:
    streams.search(Store(settings.store), "one", settings.folder("one")).flush()
    with pytest.raises(LookupError, match="search 'one' has no trial 70; it has 7"):
        follow_logs("one", 70, settings)


def test_the_traceback_is_printed_unless_the_log_ends_with_it(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    streams.search(Store(settings.store), "one", settings.folder("one")).flush()
    folder = settings.folder("one") / "0004" / "attempt-1"
    (folder / "log.txt").write_text("hello\n")
    (folder / "traceback.txt").write_text("Traceback: why\n")
    follow_logs("one", 4, settings)
    assert capsys.readouterr().out.endswith("hello\nTraceback: why\n")


def test_a_log_whose_middle_was_cut_out_is_followed_from_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"x" * 12_000_000)
    BoundedLog(log).look()
    length = logs._print_new(log, 12_000_000)
    shown = capsys.readouterr().out
    assert shown.startswith("\n[6.8 MB of output were cut out here]\nxxx")
    assert length == log.stat().st_size and logs._print_new(log, length) == length
    assert capsys.readouterr().out == ""


def test_a_letter_that_is_written_in_two_pieces_is_printed_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, letters = tmp_path / "attempt-1" / "log.txt", "größe ✓\n".encode()
    log.parent.mkdir()
    done: int | None = None
    for end in range(len(letters) + 1):
        log.write_bytes(letters[:end])
        done = logs._print_new(log, done)
    assert done == len(letters) and capsys.readouterr().out.endswith("\ngröße ✓\n")
