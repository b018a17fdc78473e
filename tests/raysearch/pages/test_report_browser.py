"""The page of a report in a real browser."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from raysearch.pages.comparing import write_comparison
from raysearch.pages.words import number
from raysearch.pages.writing import write_report
from raysearch.results.tables import rows
from raysearch.results.view import SearchView
from tests.raysearch.pages import report_cases as cases
from tests.raysearch.pages.report_pages import Page
from tests.raysearch.pages.report_streams import many

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


def opened(page: Path, profile: Path, script: str = "", *flags: str) -> tuple[Page, str]:
    """The page as the browser has it after a script, which it allows, and what the browser said."""
    return _shown(with_script(page, script), profile, *flags)


def with_script(page: Path, script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = page.read_text().replace("script-src ", f"script-src &#39;sha256-{digest}&#39; ", 1)
    return allowed.replace("</body>", f"<script>{script}</script></body>")


def _shown(html: str, profile: Path, *flags: str) -> tuple[Page, str]:
    copy = profile.with_suffix(".html")
    copy.write_text(html)
    command = [str(CHROMIUM), *FLAGS, *flags, f"--user-data-dir={profile}", "--dump-dom"]
    command.append(copy.as_uri())
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


def test_the_page_opens_without_an_error_and_draws_all_charts(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    page, said = opened(written[1], tmp_path / "profile")
    assert not re.findall(r"CONSOLE.*", said)
    charts = [tag["data-chart"] for tag in page.all("figure") if "data-chart" in tag]
    assert len(page.all("svg")) == len(charts) > 8
    marked = {tag["data-t"] for _, tag in page.tags if "data-t" in tag}
    shown = [t for t in written[0].trials.values() if t.state != "waiting"]
    assert {str(trial.number) for trial in shown} <= marked


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
    for place, markup in enumerate(
        (f"<script>{script}</script>", f'<img src=x onerror="{script}">')
    ):
        page, said = _shown(html.replace("</body>", f"{markup}</body>"), tmp_path / str(place))
        assert "data-ran" not in page.all("body")[0]
        assert "Content Security Policy" in said
    page, _ = opened(written[1], tmp_path / "allowed", script)
    assert page.all("body")[0]["data-ran"] == "yes"


def test_of_hostile_texts_nothing_is_run(tmp_path: Path) -> None:
    path = write_report(cases.hostile().view(), tmp_path / "hostile")
    page, said = _shown(path.read_text(), tmp_path / "profile")
    assert len(page.programs) == 1 and not re.search(r"ERROR:CONSOLE|Security Policy", said)


# What the charts answer

EVENTS = """
function send(on, kind, x, y) {
  on.dispatchEvent(new PointerEvent(kind, {clientX: x, clientY: y, bubbles: true, button: 0,
    buttons: kind === 'pointermove' ? 0 : 1, pointerType: 'mouse'}));
}
const chart = (name) => document.querySelector(`[data-chart="${name}"] svg`);
const note = (key, value) => (document.body.dataset[key] = value);
"""
"""What a script needs that plays the pointer."""


def noted(page: Page) -> dict[str, str]:
    """What a script has written down in the page, by its names."""
    return {name: text for name, text in page.all("body")[0].items() if name.startswith("data-")}


def test_the_pointer_shows_a_trial_and_marks_it_in_all_charts(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    view, path = written
    best = view.best()
    assert best is not None
    script = (
        EVENTS
        + f"""
    const point = chart('history-1').querySelector('circle[data-t="{best.number}"]');
    const box = point.getBoundingClientRect();
    send(chart('history-1'), 'pointermove', box.x + box.width / 2, box.y + box.height / 2);
    note('said', document.querySelector('.tip.shown').innerText);
    const on = [...document.querySelectorAll('.on')];
    note('marked', on.every((each) => each.dataset.t === '{best.number}'));
    note('charts', new Set(on.map((each) => each.closest('figure'))).size);
    """
    )
    found = noted(opened(path, tmp_path / "profile", script)[0])
    assert found["data-said"].startswith(f"trial {best.number}complete")
    assert f"{(best.values or [0.0])[0]:.4g}" in found["data-said"]
    for name, value in best.params.items():
        assert name in found["data-said"] and str(number(value)) in found["data-said"]
    assert found["data-marked"] == "true" and int(found["data-charts"]) > 4


def test_a_box_zooms_and_a_double_click_shows_the_whole_chart(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    script = (
        EVENTS
        + """
    const all = () => [...chart('history-1').querySelectorAll('.tick')];
    const read = () => all().map((each) => each.textContent).join();
    const before = read(), button = () => document.querySelector('[data-chart="history-1"] .again');
    const draw = () => {
      const svg = chart('history-1'), box = svg.getBoundingClientRect();
      send(svg, 'pointerdown', box.x + box.width * 0.4, box.y + box.height * 0.3);
      send(svg, 'pointermove', box.x + box.width * 0.6, box.y + box.height * 0.5);
      send(svg, 'pointerup', box.x + box.width * 0.6, box.y + box.height * 0.5);
      return [read() !== before, !button().hidden];
    };
    note('zoomed', draw());
    button().click();
    note('again', [read() === before, button().hidden, ...draw()]);
    chart('history-1').dispatchEvent(new MouseEvent('dblclick', {bubbles: true}));
    note('twice', [read() === before, button().hidden]);
    """
    )
    found = noted(opened(written[1], tmp_path / "profile", script)[0])
    assert found["data-zoomed"] == "true,true"
    assert found["data-again"] == "true,true,true,true"
    assert found["data-twice"] == "true,true"


def test_a_brush_keeps_what_it_covers_in_charts_and_table_until_all_are_shown(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    view, path = written
    axes = [axis["name"] for axis in Page.read(path).data["charts"]["parallel"]["axes"]]
    script = (
        EVENTS
        + f"""
    const handle = chart('parallel').querySelectorAll('.handle')[{axes.index("model.dropout")}];
    const box = handle.getBoundingClientRect(), x = box.x + box.width / 2;
    const half = box.y + box.height / 2;
    send(handle, 'pointerdown', x, box.y);
    send(handle, 'pointerup', x, half);
    const left = [...document.querySelectorAll('tr[data-trial]:not([hidden])')];
    note('left', left.map((row) => row.dataset.trial));
    note('off', [...new Set([...document.querySelectorAll('.m.off')].map((e) => e.dataset.t))]);
    note('words', document.querySelector('#chosen span').textContent);
    document.querySelector('#chosen button').click();
    note('all', document.querySelectorAll('tr[data-trial]:not([hidden])').length);
    note('none', document.querySelectorAll('.m.off').length);
    """
    )
    found = noted(opened(path, tmp_path / "profile", script)[0])
    kept = {int(text) for text in found["data-left"].split(",")}
    high = {n for n, trial in view.trials.items() if trial.params["model.dropout"] > 0.15}
    near = {n for n, t in view.trials.items() if abs(t.params["model.dropout"] - 0.15) < 0.005}
    assert kept - near == high - near and 0 < len(kept) < len(view.trials)
    assert not kept & {int(text) for text in found["data-off"].split(",")}
    assert found["data-words"].startswith(f"{len(kept)} of {len(view.trials)} trials")
    assert (found["data-all"], found["data-none"]) == (str(len(view.trials)), "0")


def test_the_readers_preference_makes_the_page_dark(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    script = (
        EVENTS
        + """
    note('ground', getComputedStyle(document.body).backgroundColor);
    note('letters', getComputedStyle(chart('history-1').querySelector('.name')).fill);
    """
    )

    def brightness(text: str) -> float:
        return sum(map(int, re.findall(r"\d+", text)[:3])) / 3

    for scheme, is_dark in ((0, True), (1, False)):
        flag = f"--blink-settings=preferredColorScheme={scheme}"
        found = noted(opened(written[1], tmp_path / str(scheme), script, flag)[0])
        assert (brightness(found["data-ground"]) < 60) == is_dark
        assert (brightness(found["data-letters"]) > 180) == is_dark


def test_a_phone_needs_no_scrolling_sideways(
    written: tuple[SearchView, Path], tmp_path: Path
) -> None:
    """In a frame of 390 pixels, which the browser alone does not make its window."""
    script = (
        EVENTS
        + """
    const heights = [...document.querySelectorAll('svg text')].map(
      (each) => each.getBoundingClientRect().height);
    const told = [innerWidth, document.documentElement.scrollWidth, Math.min(...heights)];
    parent.postMessage(told, '*');
    """
    )
    inner = tmp_path / "inner.html"
    inner.write_text(with_script(written[1], script))
    outer = f"""<body><script>addEventListener('message', (event) => {{
      document.body.dataset.said = event.data.join(); }});</script>
      <iframe src="{inner.as_uri()}" style="width:390px;height:844px;border:0"></iframe></body>"""
    said = noted(_shown(outer, tmp_path / "profile")[0])["data-said"]
    width, needed, letters = map(float, said.split(","))
    assert width == 390 and needed <= 390 and letters > 10


def test_searches_on_one_page_have_a_line_each(tmp_path: Path) -> None:
    views: list[SearchView] = []
    for place, name in enumerate(("first", "second")):
        stream = many(40, seed=place)
        stream.name = cases.created(stream)["search"] = name
        views.append(stream.view())
    page, said = opened(write_comparison(views, tmp_path), tmp_path / "profile")
    assert not re.findall(r"CONSOLE.*", said)
    assert len(page.all("svg")) == 3
    assert sum(tag.get("class", "").strip() == "line" for tag in page.all("path")) == 4
