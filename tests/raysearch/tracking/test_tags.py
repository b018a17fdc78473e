"""MLflow follows what is said of a search after it began, and how its trials hang together."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raysearch.events.log import EventLog, Store
from raysearch.results.intervals import interval
from raysearch.tracking import findings as auditing
from raysearch.tracking.consumer import sync
from raysearch.tracking.mlflow.address import client_of, consumer
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact
from tests.raysearch.events.servers import Fragile
from tests.raysearch.tracking.kept import Kept
from tests.raysearch.tracking.test_writer import feed_of

pytestmark = pytest.mark.slow
SCORES = {8: 0.91, 9: 0.94, 10: 0.92}
"""Of three repeats of trial 5."""


class Said:
    """A search that went on after its end: notes, tags, more trials, repeats, a report."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.store, self.folder, self.uri = Store(f"sqlite:///{folder / 'e.db'}"), folder / "s", uri
        self.log = log = streams.search(self.store, "one", self.folder)
        self.sync()
        log.append(fact("noted", notes="looks good"), commit=True)
        log.append(fact("tagged", tags={"data": None, "paper": "v2"}, group="final"), commit=True)
        log.append(fact("extended", trials=20, time=90.0), commit=True)
        log.append(fact("retried"), 4, commit=True)
        log.append(fact("resumed", command=""), commit=True)
        streams.ask(log, 7, like=4, retry_of=4, origin="retry")
        streams.run(log, 7, self.folder)
        for number, score in SCORES.items():
            repeat(log, number, 5, score, self.folder)
        where = {"search": "other", "trial": 3, "checkpoint": "/runs/other/3.pt"}
        streams.ask(log, 11, evaluates=where, origin="evaluation")
        streams.run(log, 11, self.folder)
        for path in self.folder.glob("0001/attempt-*/checkpoints/*"):
            path.unlink()
        path = "0001/attempt-1/checkpoints/step-00000004.pt"
        log.append(fact("removed", path=path, reason="for the quota"), 1, commit=True)
        log.append(fact("finished", reason="", best=9), commit=True)
        self.report("page.html", "history.png")

    def report(self, *names: str) -> None:
        folder = self.folder / "report"
        for old in folder.rglob("*.*"):
            old.unlink()
        for name in names:
            file = folder / ("pictures" if name.endswith("png") else ".") / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name)
        self.log.append(fact("artifact", name="report", path="report"), commit=True)

    def sync(self) -> None:
        sync(self.store, "one", self.uri, self.folder)

    def run(self, trial: int | None = None) -> Any:
        role = "search" if trial is None else "trial"
        where = f"tags.`raysearch.role` = '{role}'"
        if trial is not None:
            where += f" AND tags.`raysearch.trial` = '{trial}'"
        client = client_of(self.uri)
        experiment = client.get_experiment_by_name("ssl/by_hand")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id], where)
        return run

    def files(self) -> list[str]:
        client, run = client_of(self.uri), self.run().info.run_id
        under = ("report", "report/pictures")
        found = [file for path in under for file in client.list_artifacts(run, path)]
        return sorted(file.path for file in found if not file.is_dir)

    def findings(self) -> list[str]:
        found = auditing.audit(self.store, "one", self.folder, self.uri, [])
        return [str(one) for one in found if one.where != "study"]


def repeat(log: EventLog, number: int, of: int, score: float, folder: Path) -> None:
    """Another run of a trial, with a seed of its own."""
    streams.ask(log, number, like=of, seed=number, repeat_of=of, origin="repeat")
    streams.begin(log, number, folder)
    where = streams.report(log, number, 1, score, score, folder)
    streams.tell(log, number, "complete", score, where)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> tuple[Kept, Said]:
    """A search that went on, all of it in MLflow."""
    folder = tmp_path_factory.mktemp("said") / "all"
    folder.mkdir()
    shutil.copy(migrated, folder / "mlflow.db")
    found = Said(folder, f"sqlite:///{folder / 'mlflow.db'}")
    found.sync()
    return Kept(folder), found


@pytest.fixture
def said(kept: tuple[Kept, Said]) -> Said:
    folder, found = kept
    folder.restore()
    found.log = found.store.log("one")
    return found


def test_notes_tags_and_group_follow(said: Said) -> None:
    tags = said.run().data.tags
    assert tags["mlflow.note.content"] == "looks good"
    assert tags["raysearch.group"] == "final" and tags["raysearch.tag.paper"] == "v2"
    assert "raysearch.tag.data" not in tags
    said.log.append(fact("tagged", tags={"paper": None}, group=""), commit=True)
    said.sync()
    tags = said.run().data.tags
    assert "raysearch.tag.paper" not in tags and "raysearch.group" not in tags
    assert said.findings() == []


def test_an_extended_search_keeps_its_parameters_and_is_tagged_with_the_new_ones(
    said: Said,
) -> None:
    run = said.run()
    assert run.data.params["trials"] == "12"
    assert (run.data.tags["raysearch.trials"], run.data.tags["raysearch.time"]) == ("20", "90.0")


def test_trials_name_those_that_they_hang_together_with(said: Said) -> None:
    tags = {number: said.run(number).data.tags for number in (1, 4, 5, 7, 8, 11)}
    assert tags[1]["raysearch.duplicates"] == "6" and "raysearch.duplicates" not in tags[5]
    assert tags[4]["raysearch.retried_by"] == "7" and tags[7]["raysearch.retry_of"] == "4"
    assert tags[8]["raysearch.repeat_of"] == "5"
    assert tags[11]["raysearch.evaluates"] == "other 3"
    assert tags[11]["raysearch.evaluates.checkpoint"] == "/runs/other/3.pt"
    assert tags[1]["raysearch.removed"] == "for the quota"
    assert tags[7]["raysearch.attempt"] == "1"
    assert said.run(8).info.run_name == "t008-repeat"


def test_the_winner_has_its_mean_interval_and_number_of_seeds(said: Said) -> None:
    expected, metrics = interval(list(SCORES.values())), said.run().data.metrics
    assert metrics["search/winner_mean"] == pytest.approx(expected.mean)
    assert metrics["search/winner_low"] == pytest.approx(expected.low)
    assert metrics["search/winner_high"] == pytest.approx(expected.high)
    assert metrics["search/winner_seeds"] == 3
    assert said.run().data.tags["raysearch.best_trial"] == "9"


def test_a_report_is_uploaded_whole_and_replaced_whole(said: Said) -> None:
    assert said.files() == ["report/page.html", "report/pictures/history.png"]
    said.report("page.html", "curves.png")
    said.sync()
    assert said.files() == ["report/page.html", "report/pictures/curves.png"]
    assert said.findings() == []


def test_a_paused_search_is_killed_in_mlflow_until_it_goes_on(
    tmp_path: Path, tracking: str
) -> None:
    store, folder = Store(f"sqlite:///{tmp_path / 'e.db'}"), tmp_path / "s"
    log = streams.search(store, "one", folder, ends=False)
    streams.ask(log, 7)
    streams.begin(log, 7, folder)
    log.append(fact("paused", reason="its time box is over", best=5), commit=True)
    sync(store, "one", tracking, folder)
    found = auditing.audit(store, "one", folder, tracking, [])
    assert [str(one) for one in found if one.where != "study"] == []
    experiment = client_of(tracking).get_experiment_by_name("ssl/by_hand")
    assert experiment is not None
    runs = client_of(tracking).search_runs([experiment.experiment_id], "status = 'KILLED'")
    assert len(runs) == 2
    assert {run.data.tags["raysearch.state"] for run in runs} == {"paused", "waiting"}


def everything(said: Said) -> dict[str, Any]:
    client, found = client_of(said.uri), dict[str, Any]()
    experiment = client.get_experiment_by_name("ssl/by_hand")
    assert experiment is not None
    for run in client.search_runs([experiment.experiment_id]):
        name, data = run.info.run_name, run.data
        points = [
            (point.key, point.step, point.timestamp, point.value)
            for metric in data.metrics
            for point in client.get_metric_history(run.info.run_id, metric)
        ]
        found[str(name)] = (run.info.status, data.tags, data.params, sorted(points))
    return found | {"files": said.files()}


def test_reading_all_events_again_changes_nothing(said: Said) -> None:
    assert said.findings() == []
    before = everything(said)
    said.store.set_cursor("one", consumer(said.uri, said.store.url), 0)
    said.sync()
    assert everything(said) == before and said.findings() == []


def test_written_in_one_go_or_event_by_event_mlflow_has_the_same(
    tmp_path: Path, tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raysearch.tracking.consumer._GROUP", 7)
    said = Said(tmp_path, tracking)
    said.sync()
    assert said.findings() == []
    assert said.run().data.metrics["search/winner_seeds"] == 3


def alter_note(said: Said) -> None:
    client_of(said.uri).set_tag(said.run().info.run_id, "mlflow.note.content", "bad")


def add_tag(said: Said) -> None:
    client_of(said.uri).set_tag(said.run().info.run_id, "raysearch.tag.data", "digits")


def drop_tag(said: Said) -> None:
    client_of(said.uri).delete_tag(said.run().info.run_id, "raysearch.tag.paper")


def alter_trials(said: Said) -> None:
    client_of(said.uri).set_tag(said.run().info.run_id, "raysearch.trials", "12")


def drop_link(said: Said) -> None:
    client_of(said.uri).delete_tag(said.run(8).info.run_id, "raysearch.repeat_of")


def drop_removed(said: Said) -> None:
    client_of(said.uri).delete_tag(said.run(1).info.run_id, "raysearch.removed")


def add_duplicates(said: Said) -> None:
    client_of(said.uri).set_tag(said.run(5).info.run_id, "raysearch.duplicates", "9")


def drop_page(said: Said) -> None:
    run = said.run().info.run_id
    next(said.folder.parent.glob(f"mlartifacts/**/{run}/artifacts/report/page.html")).unlink()


def add_picture(said: Said) -> None:
    client_of(said.uri).log_text(said.run().info.run_id, "old", "report/old.png")


def another_mean(said: Said) -> None:
    run, step = said.run().info.run_id, said.log.last + 1
    client_of(said.uri).log_metric(run, "search/winner_mean", 0.5, step=step)


def removed_is_there(said: Said) -> None:
    path = said.folder / "0001/attempt-1/checkpoints/step-00000004.pt"
    path.write_text("still here")


def retried_in_vain(said: Said) -> None:
    said.log.append(fact("retried"), 3, commit=True)
    said.sync()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (alter_note, "search: mlflow: tag mlflow.note.content is 'bad', events say 'looks good'"),
        (add_tag, "search: mlflow: tag raysearch.tag.data is 'digits', the events do not know it"),
        (drop_tag, "search: mlflow: tag raysearch.tag.paper is None, events say 'v2'"),
        (alter_trials, "search: mlflow: tag raysearch.trials is '12', events say '20'"),
        (drop_link, "trial 8: mlflow: tag raysearch.repeat_of is None, events say '5'"),
        (drop_removed, "trial 1: mlflow: tag raysearch.removed is None"),
        (add_duplicates, "trial 5: mlflow: tag raysearch.duplicates is '9', the events do not"),
        (drop_page, "search: mlflow: artifact report/page.html is missing"),
        (add_picture, "search: mlflow: artifact report/old.png is no longer part of it"),
        (another_mean, "search: mlflow: metric search/winner_mean has step"),
        (removed_is_there, "trial 1: folders: 0001/attempt-1/checkpoints/step-00000004.pt of a"),
        (retried_in_vain, "trial 3: events: was to be run again, and was not"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_planted_damage_is_found(said: Said, damage: Callable[[Said], None], words: str) -> None:
    damage(said)
    (found,) = said.findings()
    assert found.startswith(words)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("after", [True, False], ids=["lost answer", "no answer"])
def test_whichever_call_fails_what_is_said_is_there_once(
    tmp_path: Path, tracking: str, after: bool
) -> None:
    found, count, is_over = list[str](), 0, False
    while not is_over:
        count += 1
        (tmp_path / str(count)).mkdir()
        said = Said(tmp_path / str(count), tracking)
        feed, mlflow = feed_of(said.store, tracking, said.folder)
        feed.prime()
        fragile: Any = Fragile(client_of(tracking), count, after=after)
        mlflow.writer._client = fragile
        try:
            feed.catch_up()
        except ConnectionError:
            said.sync()
        is_over = fragile.count > 0
        found += [f"call {count}: {one}" for one in said.findings()]
    assert found == [] and count > 30
