"""The report that a search leaves where it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysearch.driver.last_report import leave_report
from raysearch.events.log import EventLog, Store
from raysearch.results.view import SearchView
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact


@pytest.fixture
def ended(tmp_path: Path) -> tuple[Store, EventLog, Path]:
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    return store, streams.search(store, "one", folder, ends=False), folder


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_a_search_that_ends_has_its_page_and_says_so_in_its_events(
    ended: tuple[Store, EventLog, Path], state: str
) -> None:
    store, log, folder = ended
    log.append(fact(state, reason="", best=5), commit=True)
    page, problem = leave_report(SearchView.read(store, "one"), folder, log)
    assert (page, problem) == (str(folder / "report" / "index.html"), "")
    assert f'<span class="badge {state}">' in Path(page).read_text()
    assert SearchView.read(store, "one").artifacts == {"report": "report"}


@pytest.mark.parametrize("state", ["paused", "interrupted"])
def test_a_search_that_goes_on_is_not_kept_waiting_for_a_page(
    ended: tuple[Store, EventLog, Path], state: str
) -> None:
    store, log, folder = ended
    log.append(fact(state, reason="SIGTERM", best=5), commit=True)
    assert leave_report(SearchView.read(store, "one"), folder, log) == ("", "")
    assert not (folder / "report").exists()


def test_a_search_without_a_trial_has_no_page(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'events.db'}")
    log = store.create("one", streams.spec(search="one", folder=str(tmp_path / "one")))
    log.append(fact("stopped", reason="by request", best=None), commit=True)
    assert leave_report(SearchView.read(store, "one"), tmp_path / "one", log) == ("", "")


def test_a_page_that_cannot_be_written_is_a_sentence_and_no_event(
    ended: tuple[Store, EventLog, Path], tmp_path: Path
) -> None:
    store, log, _ = ended
    log.append(fact("finished", reason="", best=5), commit=True)
    (tmp_path / "file").write_text("in the way")
    page, problem = leave_report(SearchView.read(store, "one"), tmp_path / "file" / "one", log)
    assert page == "" and problem and "\n" not in problem
    assert SearchView.read(store, "one").artifacts == {}
