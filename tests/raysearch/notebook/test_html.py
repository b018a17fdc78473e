"""What a notebook shows of a search, a trial and a report: all of it, and nothing as markup."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from raysearch.events.log import Store
from raysearch.notebook.live import Board, in_notebook, watching
from raysearch.notebook.shown import Page, Searched
from raysearch.results.html import search_html
from raysearch.results.view import SearchView
from tests.raysearch.events import streams


@pytest.fixture
def view(tmp_path: Path) -> SearchView:
    """A search with trials of several states."""
    store = Store(f"sqlite:///{tmp_path / 'events.db'}")
    streams.search(store, "one", tmp_path / "one").flush()
    return SearchView.read(store, "one")


def numbers(html: str) -> list[str]:
    """The first cell of each row below the header."""
    return re.findall(r"<tr><td[^>]*>(\d+)</td>", html)


def test_a_search_shows_its_best_trials_first_and_counts_the_others(view: SearchView) -> None:
    ranked = [str(trial.number) for trial in view.ranked() if trial.state != "running"]
    running = [str(trial.number) for trial in view.trials.values() if trial.state == "running"]
    assert numbers(search_html(view, 100)) == [*running, *ranked]
    assert f"and {len(view.trials) - 2} trials more" in search_html(view, 2)
    assert len(numbers(search_html(view, 2))) == 2
    for state, count in view.counts().items():
        if state in ("complete", "pruned", "failed"):
            assert re.search(rf"{count} <span[^>]*>{state}<", search_html(view))


def test_nothing_that_a_user_wrote_is_markup(view: SearchView) -> None:
    hostile = "<script>alert(1)</script>"
    best = view.best()
    assert best is not None
    trial = replace(best, params={hostile: hostile}, reason=hostile)
    for html in (trial._repr_html_(), search_html(replace(view, search=hostile))):
        assert "<script" not in html and "&lt;script&gt;" in html


def test_the_name_of_a_search_is_a_text_with_its_best_trial(view: SearchView) -> None:
    name, best = Searched.of(view), view.best()
    assert name == "one" and isinstance(name, str) and f"{name}!" == "one!"
    assert best is not None and f">{best.number}<" in name._repr_html_()


def test_a_page_is_shown_in_a_frame_and_a_large_one_as_a_link(tmp_path: Path) -> None:
    page = Page(tmp_path / "page.html")
    page.write_text('<p title="a">b & c</p>')
    assert isinstance(page, Path) and page.parent == tmp_path
    assert 'srcdoc="&lt;p title=&quot;a&quot;&gt;b &amp; c&lt;/p&gt;"' in page._repr_html_()
    page.write_text("x" * ((4 << 20) + 1))
    assert page._repr_html_() == f'<a href="{page.as_uri()}">{page}</a>'


def test_outside_of_a_notebook_the_terminal_is_watched() -> None:
    assert not in_notebook() and not isinstance(watching(), Board)
