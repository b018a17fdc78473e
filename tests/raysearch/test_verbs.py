"""What is done with searches that exist: filtered, noted, tagged, while they run too."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raysearch import verbs
from raysearch.cli.application import app
from raysearch.events.log import Store
from raysearch.results import opening
from raysearch.settings import Settings
from raysearch.verbs import Filter, parse_tags
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Three searches of one trial each; nothing is in MLflow."""
    settings = Settings.locate(tmp_path / "runs", tracking_uri="none")
    store = Store(settings.store)
    for name, group in (("one", "rates"), ("two", "rates"), ("three", "")):
        folder = settings.folder(name)
        said = {"search": name, "folder": str(folder), "group": group, "tracking_uri": "none"}
        log = store.create(name, streams.spec(**said))
        streams.trial(log, 0, folder)
        log.append(fact("finished", reason="", best=0), commit=True)
    return settings


def names(settings: Settings, *arguments: str) -> list[str]:
    """What `list` prints under `name`, through the command."""
    table = CliRunner().invoke(app, ["list", "--json", *arguments, "--runs", str(settings.runs)])
    assert table.exit_code == 0, table.output
    return [row["name"] for row in json.loads(table.stdout)]


def test_list_filters_by_group_tag_and_text(settings: Settings) -> None:
    verbs.tag(["one", "three"], {"paper": "yes"}, None, settings)
    verbs.note(["two"], "The warm-up was too short", settings)
    assert names(settings) == ["one", "two", "three"]
    assert names(settings, "--group", "rates") == ["one", "two"]
    assert names(settings, "--tag", "paper") == ["one", "three"]
    assert names(settings, "--tag", "paper=no") == []
    assert names(settings, "--tag", "data=digits", "--tag", "paper=yes") == ["one", "three"]
    assert names(settings, "--note", "WARM-UP") == ["two"]
    assert names(settings, "--group", "rates", "--tag", "paper=yes") == ["one"]


def test_tags_are_set_replaced_and_removed_and_a_group_too(settings: Settings) -> None:
    verbs.tag(["one"], {"data": "mnist", "paper": "yes"}, "sizes", settings)
    verbs.tag(["one"], {"paper": None}, None, settings)
    spec = opening.view_of("one", settings)[1].spec
    assert (spec.tags, spec.group) == ({"data": "mnist"}, "sizes")


def test_a_name_that_is_unknown_changes_none_of_the_others(settings: Settings) -> None:
    with pytest.raises(LookupError, match=r"no search is named 'thre'.*three"):
        verbs.note(["one", "thre"], "x", settings)
    assert opening.view_of("one", settings)[1].spec.notes == "by hand"


@pytest.mark.parametrize(
    ("put", "remove", "said"),
    [
        (["paper"], [], "a tag must have the form name=value, got 'paper'"),
        (["=yes"], [], "a tag must have the form name=value, got '=yes'"),
        (["paper=yes"], ["paper"], "tag 'paper' must be set or removed, not both"),
    ],
)
def test_bad_tags_are_one_sentence(put: list[str], remove: list[str], said: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_tags(put, remove)
    assert str(error.value) == said


def test_a_whole_group_is_renamed_at_once(settings: Settings) -> None:
    verbs.tag(["three"], {}, "sizes", settings)
    runs = ["--runs", str(settings.runs)]
    done = CliRunner().invoke(app, ["tag", "--of-group", "rates", "--group", "layers", *runs])
    assert done.exit_code == 0, done.output
    groups = {view.search: view.spec.group for view in verbs.searches(settings)}
    assert groups == {"one": "layers", "two": "layers", "three": "sizes"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["one", "--of-group", "rates"], "either names of searches or --of-group must be given"),
        ([], "either names of searches or --of-group must be given"),
        (["--of-group", "rate"], "no search is of group 'rate'; did you mean 'rates'?"),
    ],
)
def test_what_group_is_meant_must_be_clear(
    settings: Settings, arguments: list[str], said: str
) -> None:
    command = ["tag", *arguments, "--group", "x", "--runs", str(settings.runs)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2 and said in done.stderr


def test_nothing_to_set_and_a_tag_that_is_not_there_are_refused(settings: Settings) -> None:
    with pytest.raises(ValueError, match="--set, --remove or --group must be given"):
        verbs.tag(["one"], {}, None, settings)
    with pytest.raises(LookupError, match="search 'one' has no tag 'dat'.*data"):
        verbs.tag(["one"], {"dat": None}, None, settings)


def test_a_filter_reads_tags_with_and_without_a_value() -> None:
    assert Filter.read(None, ["a=1", "b"], None).tags == {"a": "1", "b": None}


@pytest.fixture
def driver(settings: Settings) -> Iterator[list[str]]:
    """Drives `one` as a driver does: it holds the lock and turns requests into events."""
    store, done, followed = Store(settings.store), threading.Event(), list[str]()
    ready = threading.Event()

    def drive() -> None:
        with store.lock("one", settings.folder("one")):
            log, seen = store.log("one"), 0
            ready.set()
            while not done.wait(0.05):
                for number, _, body in store.requests("one", seen):
                    seen = number
                    said = {key: value for key, value in body.items() if key != "action"}
                    log.append(fact(body["action"], **said), commit=True)
                    followed.append(body["action"])

    thread = threading.Thread(target=drive)
    thread.start()
    assert ready.wait(900)
    yield followed
    done.set()
    thread.join()


def test_of_a_running_search_its_driver_writes_what_is_said(
    settings: Settings, driver: list[str]
) -> None:
    before = Store(settings.store).log("one").last
    verbs.note(["one"], "so far so good", settings)
    verbs.tag(["one"], {"paper": "yes"}, None, settings)
    assert driver == ["noted", "tagged"]
    view = opening.view_of("one", settings)[1]
    assert (view.spec.notes, view.spec.tags["paper"]) == ("so far so good", "yes")
    assert view.last == before + 2, "each was written once"


def test_a_search_that_runs_is_not_deleted(settings: Settings, driver: list[str]) -> None:
    result = CliRunner().invoke(app, ["delete", "one", "--yes", "--runs", str(settings.runs)])
    assert result.exit_code == 2 and "is being driven by process" in result.stderr
    assert settings.folder("one").exists() and names(settings) == ["one", "two", "three"]


def test_delete_asks_for_a_yes_where_nobody_can_answer(settings: Settings) -> None:
    result = CliRunner().invoke(app, ["delete", "one", "--runs", str(settings.runs)])
    assert result.exit_code == 2 and "--yes must be given" in result.stderr
    assert names(settings) == ["one", "two", "three"]


def test_deleted_searches_leave_nothing_and_their_names_are_free(settings: Settings) -> None:
    arguments = ["delete", "one", "three", "--yes", "--runs", str(settings.runs)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert names(settings) == ["two"]
    assert not settings.folder("one").exists() and not Store(settings.store).exists("one")
