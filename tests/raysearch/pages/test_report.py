"""The page of a report."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raysearch.driver.plan import parse_overrides
from raysearch.events.schema import Asked, Told
from raysearch.pages.answer import answer
from raysearch.pages.facts import failures, repeat_command, savings, shell
from raysearch.pages.page import command
from raysearch.pages.words import elapsed, listed, number, ranges
from raysearch.pages.writing import write_report
from raysearch.results.ranking import winner
from raysearch.results.tables import rows
from raysearch.results.view import SearchView
from raysearch.sweeps.search_spec import UNKNOWN
from raysearch.texts import block, shown_value
from tests.raysearch.odd import ODD
from tests.raysearch.pages import report_cases as cases
from tests.raysearch.pages import report_streams as streams
from tests.raysearch.pages.report_pages import Page
from tests.raysearch.test_texts import acts
from tests.raysearch.toys import Adam, Toy, Training

QUICK = ("none_completed", "empty")
EVERY = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow, id=name)
    for name in cases.CASES
]


Written = Callable[[str], tuple[SearchView, Path]]


def page_of(view: SearchView, folder: Path) -> Page:
    return Page.read(write_report(view, folder))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The search of a name and its page, written once for all tests."""
    known: dict[str, tuple[SearchView, Path]] = {}

    def write(name: str) -> tuple[SearchView, Path]:
        if name not in known:
            view = cases.CASES[name]().view()
            known[name] = view, write_report(view, tmp_path_factory.mktemp(name))
        return known[name]

    return write


@pytest.mark.parametrize("name", EVERY)
def test_every_sort_of_search_has_a_page_that_needs_nothing_else(
    name: str, written: Written
) -> None:
    _, path = written(name)
    page = Page.read(path)
    assert page.unclosed == []
    loads = [tag[key] for _, tag in page.tags for key in ("src", "href", "srcset") if key in tag]
    assert all(address.startswith("data:") for address in loads)
    style = path.read_text().partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style and "@import" not in style
    assert all(image["alt"] for image in page.all("img"))


@pytest.mark.parametrize("name", EVERY)
def test_the_pictures_on_the_page_are_those_beside_it(name: str, written: Written) -> None:
    _, path = written(name)
    shown = [tag["src"].partition("base64,")[2] for tag in Page.read(path).all("img")]
    beside = {file.read_bytes() for file in path.parent.iterdir() if file != path}
    assert {base64.b64decode(text) for text in shown} == beside


@pytest.mark.parametrize("name", EVERY)
def test_each_place_for_a_chart_has_its_data_and_words(name: str, written: Written) -> None:
    view, path = written(name)
    page = Page.read(path)
    places = [tag["data-chart"] for tag in page.all("figure") if "data-chart" in tag]
    assert places == sorted(set(places), key=places.index) and set(places) == set(
        page.data["charts"]
    )
    labels = [tag["aria-label"] for tag in page.all("div") if tag.get("class") == "chart"]
    assert len(labels) == len(places) and all(labels)
    ran = {str(n) for n, trial in view.trials.items() if trial.state != "duplicate"}
    assert set(page.data["trials"]) == ran


@pytest.mark.slow
def test_a_page_of_two_hundred_trials_is_below_four_megabytes(written: Written) -> None:
    assert written("many")[1].stat().st_size < 4_000_000


@pytest.mark.parametrize("name", EVERY)
def test_the_table_of_trials_is_the_table_of_results(name: str, written: Written) -> None:
    view, path = written(name)
    wanted = rows(view)
    if not wanted:
        assert "All trials" not in Page.read(path).text
        return
    table = Page.read(path).table("remark")
    header = [text for text, _ in table[0]]
    found = [dict(zip(header, row, strict=True)) for row in table[1:]]
    assert [int(row["trial"][0]) for row in found] == [row["trial"] for row in wanted]
    assert [row["state"][0] for row in found] == [row["state"] for row in wanted]
    for column in (*(metric.name for metric in view.spec.metrics), "step", "seconds"):
        keys = [row[column][1] for row in found]
        assert keys == ["" if row[column] is None else repr(row[column]) for row in wanted]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["many", "grid", "evaluating"])
def test_the_table_has_the_parameters_of_each_trial_and_blanks_where_it_has_none(
    name: str, written: Written
) -> None:
    view, path = written(name)
    table = Page.read(path).table("remark")
    header = [text for text, _ in table[0]]
    for row in table[1:]:
        texts = dict(zip(header, (text for text, _ in row), strict=True))
        params = view.trials[int(texts["trial"])].params
        shown = {name: shown_value(params[name]) for name in view.varying() if name in params}
        assert {name: texts[name] for name in view.varying() if texts[name]} == shown


@pytest.mark.slow
def test_what_people_wrote_is_text(written: Written) -> None:
    page = Page.read(written("hostile")[1])
    assert len(page.programs) == len(page.all("style")) == 1
    assert not page.all("u") and page.unclosed == []
    for text in ("<script>alert('q')</script>", "<script>alert(2)</script>", "<img src=x>"):
        assert text in page.text
    assert "</style><script>alert(1)</script>" in page.text


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 4, 8, 12])
def test_texts_of_any_kind_are_texts_of_the_page(first: int, tmp_path: Path) -> None:
    texts = list(ODD.values())[first : first + 4]
    view = cases.odd(texts).view()
    path = write_report(view, tmp_path)
    page, source = Page.read(path), path.read_text(encoding="utf-8")
    assert page.unclosed == []
    assert len(page.programs) == len(page.all("style")) == 1 and not page.all("img")
    assert not [name for _, tag in page.tags for name in tag if name.startswith("on")]
    assert set(acts(source)) <= {"\n", "\t", "\r"}
    for text in filter(lambda text: len(text) < 100, texts):
        assert "".join(block(text).split()) in "".join(page.text.split())


@pytest.mark.slow
def test_the_page_allows_one_script_and_that_is_its_own(written: Written) -> None:
    page = written("hostile")[1].read_text(encoding="utf-8")
    policy = next(t["content"] for t in Page(page).all("meta") if "http-equiv" in t)
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy and policy.startswith("default-src 'none';")


@pytest.mark.slow
def test_the_same_events_give_the_same_page(tmp_path: Path) -> None:
    view = cases.single().view()
    first = write_report(view, tmp_path).read_bytes()
    assert write_report(cases.single().view(), tmp_path).read_bytes() == first


def test_a_new_report_replaces_the_old_one_whole(tmp_path: Path) -> None:
    write_report(cases.single().view(), tmp_path)
    page = write_report(cases.none_completed().view(), tmp_path)
    assert page == tmp_path / "report" / "index.html"
    assert [file.name for file in page.parent.iterdir()] == ["index.html"]
    assert [file.name for file in tmp_path.iterdir()] == ["report"]


def test_a_report_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    before = write_report(cases.none_completed().view(), tmp_path).read_bytes()
    broken = cases.single().view()
    broken.spec = UNKNOWN
    with pytest.raises(Exception, match="index"):
        write_report(broken, tmp_path)
    assert (tmp_path / "report" / "index.html").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["report"]


def test_figures_of_the_winner_are_on_the_page_and_others_are_named(tmp_path: Path) -> None:
    stream = cases.single()
    stream.events.pop()
    for name in ("figures/confusion.png", "figures/gone.png", "notes.txt"):
        stream.say("artifact", 0, name=name, path=f"0000/attempt-1/{name}")
    streams.picture(tmp_path / "0000/attempt-1/figures/confusion.png")
    (tmp_path / "0000/attempt-1/notes.txt").write_text("words")
    page = page_of(stream.view(), tmp_path)
    alts = {tag["alt"]: tag["src"] for tag in page.all("img")}
    data = base64.b64decode(alts["figures/confusion.png of trial 0"].partition("base64,")[2])
    assert data == (tmp_path / "0000/attempt-1/figures/confusion.png").read_bytes()
    assert "figures/gone.png (0000/attempt-1/figures/gone.png): no longer there" in page.text
    assert "notes.txt (0000/attempt-1/notes.txt): no picture" in page.text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none_completed", "No trial has completed: there is no answer."),
        ("none_completed", "stopped (5 attempts failed with the same traceback) when 4 of 12"),
        ("none_completed", "it needs 10 completed trials, and 0 trials have done so"),
        ("empty", "No trial has completed: there is no answer yet."),
        ("empty", "had not ended when this page was made: 0 of 12 trials had ended"),
        ("single", "Trial 0 is best: val/accuracy 0.8 (one seed, so no interval)."),
        ("single", "it needs 10 completed trials, and 1 trial has done so"),
        ("single", "There was no early stopping."),
        ("single", "c" * 40),
    ],
)
def test_a_page_says_plainly_what_there_is_not(name: str, words: str, written: Written) -> None:
    assert words in Page.read(written(name)[1]).text


def test_the_answer_has_mean_interval_seeds_ties_and_test_scores() -> None:
    view = cases.repeats().view()
    won = winner(view)
    assert won is not None and len(won.ties) == 2
    said = answer(view)
    mean, low, high = (f"{x:.4g}" for x in (won.rank.mean, won.rank.low, won.rank.high))
    assert f"val/accuracy {mean} (95 % interval {low} to {high}), mean of 4 seeds" in said[0]
    ties = " and ".join(str(each.trial.number) for each in won.ties)
    assert said[1].startswith(f"It is tied with trials {ties}: ")
    assert "test/accuracy is 0.951, that of the default configuration 0.874" in said[2]


def test_the_answer_to_two_directions_is_the_front() -> None:
    view = cases.two_directions(30).view()
    won = winner(view)
    assert won is not None
    numbers = listed(each.trial.number for each in won.front)
    assert f"has {len(won.front)} configurations: trials {numbers}." in answer(view)[0]
    assert answer(view)[0].startswith("The Pareto front of val/accuracy (maximize) and val/milli")


def test_what_early_stopping_saved_is_what_full_trials_would_have_cost() -> None:
    view = streams.many(60).view()
    pruned = [trial for trial in view.trials.values() if trial.state == "pruned"]
    taken = sum(trial.reports[-1][1] or 0 for trial in pruned)
    everything = sum(trial.reports[-1][1] or 0 for trial in view.trials.values())
    saved = savings(view)
    assert saved is not None and (saved.full, saved.unit) == (20, "epochs")
    assert (saved.trials, saved.taken, saved.saved) == (
        len(pruned),
        taken,
        20 * len(pruned) - taken,
    )
    assert saved.share == pytest.approx(saved.saved / (everything + saved.saved))
    # an epoch takes half a second, and its end 0.2 s a trial
    paces = [(trial.reports[-1][1] or 0) for trial in pruned]
    seconds = sum((0.5 * epochs + 0.2) / epochs * (20 - epochs) for epochs in paces)
    assert saved.seconds == pytest.approx(seconds)


def test_a_trial_that_its_user_stopped_saved_nothing() -> None:
    stream = cases.single()
    stream.events.pop()
    draw = streams.random.Random(0)
    stream.ask(1, *streams.vit(draw))
    stream.report(1, 1, [0.2], [0.2])
    stream.say("requested", 1, action="stop", trial=1, request=1)
    stream.tell(1, "pruned", [0.2], "stopped by request")
    assert savings(stream.view()) is None


def test_failures_are_grouped_by_reason_whatever_numbers_are_in_it(tmp_path: Path) -> None:
    view = streams.many(200).view()
    found = failures(view, tmp_path / "runs" / "by-hand")
    states = {state: view.counts()[state] for state in ("failed", "infeasible")}
    assert {each.state: len(each.trials) for each in found} == states
    assert found[0].command == f"raysearch logs by-hand {found[0].trials[0]}"
    assert {each.kind for each in found} == {"exception", "diverged"}
    assert all(each.reason.startswith("for example: ") for each in found)
    elsewhere = failures(view, tmp_path / "my runs" / "by-hand")[0].command
    assert shlex.split(elsewhere)[-2:] == ["--runs", str(tmp_path / "my runs")]


def test_attempts_that_were_followed_by_another_are_told_by_kind(tmp_path: Path) -> None:
    stream = cases.single()
    stream.events.pop()
    for trial in (1, 2):
        stream.ask(trial, *streams.vit(streams.random.Random(trial)))
        said = {"kind": "lost", "message": f"node {trial} is gone", "traceback": None}
        stream.say("failed", trial, attempt=1, again=True, **said)
    (found,) = failures(stream.view(), tmp_path / "runs" / "by-hand")
    assert (found.kind, found.reason, found.state) == ("lost", "node 1 is gone", "tried again")
    assert found.trials == (1, 2) and found.command == "raysearch logs by-hand 1"


def test_what_is_doubtful_of_trials_is_on_the_page(tmp_path: Path) -> None:
    stream, kept = cases.single(), "0000/attempt-1/kept/00000380/last.pt"
    told = next(event.body for event in stream.events if isinstance(event.body, Told))
    told.best_checkpoint = kept
    stream.say("damaged", 0, attempt=1, path=kept, what="was changed after it was reported")
    stream.say("noticed", 0, text="it began anew")
    values = {"metrics": {"val/accuracy": 0.5}, "before": {"val/accuracy": 0.4}}
    stream.say("differed", 0, attempt=2, step=38, **values)
    page = page_of(stream.view(), tmp_path)
    assert f"{tmp_path / kept}. It was changed after it was reported." in page.text
    for text in (f"checkpoint {kept} was changed", "it began anew", "not repeatable: attempt 2"):
        assert text in page.text


def told(config: dict[str, Any], **links: Any) -> SearchView:
    """A search whose only trial has this configuration."""
    stream = cases.single()
    asked = next(event.body for event in stream.events if isinstance(event.body, Asked))
    for name, value in {"config": config, **links}.items():
        setattr(asked, name, value)
    return stream.view()


def as_the_shell_reads(command: str) -> list[str]:
    """The words of a command, by a shell."""
    script = f"printf '%s\\0' {command}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def test_the_command_to_repeat_the_winner_leads_to_its_configuration() -> None:
    config = Toy(optimizer=Adam(lr=3e-05), rate=0.1, training=Training(seed=5))
    view = told(config.to_json())
    words = as_the_shell_reads(shell(repeat_command(view, view.trials[0], Path("runs/by-hand"))))
    assert words[:3] == ["raysearch", "train", "ssl.supervised"]
    assert Toy().with_values(parse_overrides(words[3:])) == config


def test_a_trial_of_ones_own_experiment_is_repeated_by_its_number() -> None:
    stream = cases.single()
    created = cases.created(stream)
    created["experiment"] = "mine.training:run"
    command = ["raysearch", "repro", "by-hand", "0"]
    own = repeat_command(stream.view(), stream.view().trials[0], Path("elsewhere/by-hand"))
    assert own == [*command, "--here", "--runs", "elsewhere"], "its code was not kept"
    created["code"] = {"snapshot": "a" * 32, "source": "b" * 32, "versions": "c" * 32}
    assert repeat_command(stream.view(), stream.view().trials[0], Path("runs/by-hand")) == command


@pytest.mark.parametrize("value", ["adamw", "true", "12", "null", "a b", "", None, True, [1, 2.5]])
def test_each_value_survives_the_command_line(value: Any) -> None:
    view = told({"part": {"value": value}})
    words = as_the_shell_reads(shell(repeat_command(view, view.trials[0], Path("runs/by-hand"))))
    assert parse_overrides(words[3:]) == {"part.value": value}


def test_an_evaluation_is_repeated_from_its_checkpoint_with_its_own_settings_only() -> None:
    view = cases.evaluating().view()
    trial = view.trials[29]
    words = repeat_command(view, trial, Path("runs/by-hand"))
    checkpoint = "/runs/vit-1/0005/attempt-1/checkpoints/step-00000760.pt"
    assert words[2:] == ["ssl.supervised", "--evaluate-only", checkpoint, "knn.k=50"]


@pytest.mark.slow
def test_the_configuration_of_the_winner_is_on_the_page_as_json(written: Written) -> None:
    view, path = written("many")
    best = view.best()
    assert best is not None
    shown = (
        path.read_text()
        .partition('<pre id="config">')[2]
        .partition("</pre>")[0]
        .replace("&#34;", '"')
    )
    assert json.loads(shown) == best.config


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"), (9.94, "9.9 s"), (59, "59 s"), (60, "1 min"), (3599.4, "59 min 59 s"),
        (3600, "1 h"), (7_260, "2 h 1 min"), (86_400, "1 d"), (180_000, "2 d 2 h"),
    ],
)  # fmt: skip
def test_times_are_read_by_people(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text


def test_lists_are_read_by_people() -> None:
    assert listed([3]) == "3" and listed([3, 7, 9]) == "3, 7 and 9"
    assert listed(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert ranges([0, 1, 2, 3, 7, 9, 10]) == "0–3, 7, 9–10"
    assert number(1e-05) == "1e-5" and number(0.123456) == "0.1235" and number(7) == "7"


def test_in_a_command_no_line_ends_within_an_option_and_nothing_is_a_tag() -> None:
    said = command("raysearch search a-b --repeats 3 -x '<b>' --" + "y" * 99)
    assert re.findall('<span class="option">(.*?)</span>', said) == ["--repeats", "-x"]
    assert said.striptags() == "raysearch search a-b --repeats 3 -x '<b>' --" + "y" * 99
