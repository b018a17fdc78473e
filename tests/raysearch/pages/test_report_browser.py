"""The page of a report in a real browser."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from raysearch.pages.writing import write_report
from raysearch.results.view import SearchView, rows
from tests.raysearch.pages import report_cases as cases
from tests.raysearch.pages.report_pages import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(CHROMIUM is None, reason="needs the program chromium, which is absent"),
]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--window-size=1200,1000",
    "--virtual-time-budget=10000",
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchView, Path]:
    view = cases.running().view()
    return view, write_report(view, tmp_path_factory.mktemp("report"))


def opened(page: Path, profile: Path, script: str = "") -> tuple[Page, str]:
    """The page as the browser has it after a script, which it allows, and what the browser said."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = page.read_text().replace("script-src ", f"script-src &#39;sha256-{digest}&#39; ", 1)
    return _shown(allowed.replace("</body>", f"<script>{script}</script></body>"), profile)


def _shown(html: str, profile: Path) -> tuple[Page, str]:
    copy = profile.with_suffix(".html")
    copy.write_text(html)
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=True)
    return Page(done.stdout), done.stderr


def order(page: Page, column: str) -> list[str]:
    """The keys of a column from top to bottom."""
    table = page.table("remark")
    place = [text for text, _ in table[0]].index(column)
    return [row[place][1] for row in table[1:]]


def click(column: str) -> str:
    """A script that clicks on the heading of a column."""
    find = f"[...document.querySelectorAll('button')].find(b => b.textContent === '{column}')"
    return f"{find}.click();"


def test_the_page_opens_without_an_error_and_shows_all_pictures(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    script = (
        "addEventListener('load', () => { for (const image of document.images)"
        " image.setAttribute('data-drawn', image.naturalWidth); });"
    )
    page, said = opened(written[1], tmp_path / "profile", script)
    assert not re.findall(r"CONSOLE.*", said)
    assert page.all("img") and all(int(tag["data-drawn"]) > 100 for tag in page.all("img"))


def test_an_error_on_the_page_would_be_heard(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    assert "CONSOLE" in opened(written[1], tmp_path / "profile", "nothing.here;")[1]


def test_a_click_sorts_by_a_column_and_another_one_backwards(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    view, page = written
    values = [trial.params.get("optimizer.weight_decay") for trial in view.trials.values()]
    known = sorted(value for value in values if value is not None)
    blank = [""] * values.count(None)
    click_it = click("optimizer.weight_decay")
    up, _ = opened(page, tmp_path / "up", click_it)
    assert order(up, "optimizer.weight_decay") == [*map(repr, known), *blank]
    down, _ = opened(page, tmp_path / "down", click_it + click_it)
    assert order(down, "optimizer.weight_decay") == [*map(repr, known[::-1]), *blank]
    assert {"aria-sort": "descending", "scope": "col"} in down.all("th")


def test_words_are_sorted_as_words_and_the_table_begins_best_first(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    view, page = written
    first, _ = opened(page, tmp_path / "first")
    assert order(first, "trial") == [str(row["trial"]) for row in rows(view)]
    words, _ = opened(page, tmp_path / "words", click("state"))
    assert order(words, "state") == sorted(order(first, "state"))


def test_a_script_that_is_not_the_pages_own_is_not_run(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    """Should a text ever get through as markup, the browser still refuses it."""
    html, script = written[1].read_text(), "document.body.dataset.ran = 'yes'"
    for number, markup in enumerate(
        (f"<script>{script}</script>", f'<img src=x onerror="{script}">')
    ):
        page, said = _shown(html.replace("</body>", f"{markup}</body>"), tmp_path / str(number))
        assert "data-ran" not in page.all("body")[0]
        assert "Content Security Policy" in said
    page, _ = opened(written[1], tmp_path / "allowed", script)
    assert page.all("body")[0]["data-ran"] == "yes"


def test_of_hostile_texts_nothing_is_run(tmp_path: Path) -> None:
    path = write_report(cases.hostile().view(), tmp_path / "hostile")
    page, said = _shown(path.read_text(), tmp_path / "profile")
    assert len(page.all("script")) == 1 and not re.search(r"ERROR:CONSOLE|Security Policy", said)
