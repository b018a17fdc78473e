"""The local session keeps what it hears, and a step only once."""

from __future__ import annotations

from pathlib import Path

from trainables.core.session import LocalSession


def test_a_step_reported_again_changes_nothing() -> None:
    session = LocalSession(Path("here"))
    session.report(3, {"val/accuracy": 0.5}, Path("first.pt"))
    session.report(3, {"val/accuracy": 0.9}, Path("second.pt"))
    assert session.reports == {3: {"val/accuracy": 0.5}}
    assert session.checkpoints == {3: Path("first.pt")}


def test_what_was_given_is_restored_and_stop_is_passed_on() -> None:
    session = LocalSession(Path("here"), restored=Path("last.pt"))
    session.stop = True
    assert session.restored() == Path("last.pt") and session.should_stop()
