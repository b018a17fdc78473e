"""MLflow holds what the events say, read back by its own client; writing again adds nothing."""

from __future__ import annotations

import base64
import json
import math
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from raysearch.events.locks import FileLock
from raysearch.events.log import SearchIsRunning, Store
from raysearch.results.view import SearchView
from raysearch.tracking.consumer import Feed, Follower, links, sync
from raysearch.tracking.findings import audit
from raysearch.tracking.mlflow.address import check_tracking, client_of, consumer
from raysearch.tracking.mlflow.names import key
from raysearch.tracking.mlflow.tracker import Mlflow
from raysearch.tracking.mlflow.views import TAG, view_key
from raysearch.tracking.tracker import Place
from tests.raysearch.events import servers, streams
from tests.raysearch.events.facts import fact
from tests.raysearch.events.servers import Fragile

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


def feed_of(store: Store, uri: str, folder: Path) -> tuple[Feed, Mlflow]:
    """The tracker of search `one` in MLflow, and what gives it its events."""
    mlflow = Mlflow(Place("one", folder, store.url, uri))
    return Feed(store, "one", mlflow, consumer(uri, store.url)), mlflow


class Page:
    """What MLflow has of a search."""

    def __init__(self, uri: str, search: str) -> None:
        self.client = client_of(uri)
        experiment = self.client.get_experiment_by_name("ssl/by_hand")
        assert experiment is not None
        self.experiment = experiment
        runs = self.client.search_runs(
            [self.experiment.experiment_id],
            f"tags.`raysearch.search` = '{search}'",
            max_results=100,
        )
        self.parents = [run for run in runs if run.data.tags["raysearch.role"] == "search"]
        self.trials = {
            int(run.data.tags["raysearch.trial"]): run
            for run in runs
            if run.data.tags["raysearch.role"] == "trial"
        }
        self.count = len(runs)

    def points(self, number: int | None, name: str) -> list[tuple[int, float]]:
        run = self.parents[0] if number is None else self.trials[number]
        history = self.client.get_metric_history(run.info.run_id, name)
        return sorted((point.step, point.value) for point in history)

    def files(self, number: int, under: str) -> list[str]:
        run = self.trials[number].info.run_id
        return [file.path for file in self.client.list_artifacts(run, under)]


@pytest.fixture
def written(tmp_path: Path, tracking: str) -> tuple[Store, Path, str]:
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    streams.search(store, "one", folder)
    sync(store, "one", tracking, folder)
    return store, folder, tracking


def test_a_search_is_a_parent_with_a_child_for_each_trial(written: Any) -> None:
    page = Page(written[2], "one")
    assert len(page.parents) == 1 and sorted(page.trials) == [0, 1, 2, 3, 4, 5]
    parent = page.parents[0]
    for run in page.trials.values():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    tags = parent.data.tags
    assert tags["mlflow.runName"] == "one"
    assert tags["raysearch.state"] == "finished"
    assert tags["raysearch.best_trial"] == "5"
    assert tags["mlflow.source.git.commit"] == "c" * 40
    assert tags["mlflow.source.git.branch"] == "main"
    assert tags["raysearch.group"] == "rates" and tags["raysearch.tag.data"] == "digits"
    assert parent.data.params["sampler"] == "tpe"
    assert parent.data.params["fixed.training.epochs"] == "4"
    assert page.experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_an_artifact_has_the_name_that_it_was_given_not_that_of_its_file(
    tmp_path: Path, tracking: str
) -> None:
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    log = store.create("one", streams.spec(search="one"))
    streams.ask(log, 0)
    streams.begin(log, 0, folder)
    path = folder / "0000/attempt-1/a.pth"
    path.write_text("weights")
    for name in ("notes/a.txt", "b.bin", "c/a.pth"):
        log.append(fact("artifact", name=name, path=str(path.relative_to(folder))), 0)
    streams.tell(log, 0, "failed", None)
    log.append(fact("finished", reason="", best=None), commit=True)
    sync(store, "one", tracking, folder)
    page = Page(tracking, "one")
    assert page.files(0, "notes") == ["notes/a.txt"] and page.files(0, "c") == ["c/a.pth"]
    assert "b.bin" in page.files(0, "")
    found = [str(one) for one in audit(store, "one", folder, tracking, [])]
    assert not [one for one in found if "mlflow" in one]


@pytest.mark.parametrize("way", ["file", "folder", "damaged", "gone"])
def test_the_winner_is_uploaded_with_its_checkpoint_if_that_is_what_was_reported(
    tmp_path: Path, tracking: str, way: str
) -> None:
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    log = store.create("one", streams.spec(search="one"))
    streams.ask(log, 0)
    streams.begin(log, 0, folder)
    path = folder / streams.report(log, 0, 1, 0.5, 0.5, folder)
    if way == "folder":
        path = path.with_name("step-2")
        (path / "shards").mkdir(parents=True)
        (path / "shards/1.bin").write_text("weights")
    elif way == "damaged":
        path.write_text("0 2")
    elif way == "gone":
        path.unlink()
    streams.tell(log, 0, "complete", 0.5, str(path.relative_to(folder)))
    log.append(fact("finished", reason="", best=0), commit=True)
    sync(store, "one", tracking, folder)
    page = Page(tracking, "one")
    name = f"checkpoint/{path.name}"
    files = page.files(0, name) if way == "folder" else page.files(0, "checkpoint")
    there = {"file": [name], "folder": [f"{name}/shards"]}
    assert files == there.get(way, [])
    missing = page.trials[0].data.tags.get("raysearch.missing_artifact", "")
    assert bool(missing) is (way in ("damaged", "gone"))
    found = [str(one) for one in audit(store, "one", folder, tracking, [])]
    assert not [one for one in found if "mlflow" in one]


def test_states_reasons_and_statuses(written: Any) -> None:
    page = Page(written[2], "one")
    found = {
        number: (run.data.tags["raysearch.state"], run.info.status)
        for number, run in page.trials.items()
    }
    assert found == {
        0: ("complete", "FINISHED"),
        1: ("complete", "FINISHED"),
        2: ("pruned", "FINISHED"),
        3: ("infeasible", "FAILED"),
        4: ("failed", "FAILED"),
        5: ("complete", "FINISHED"),
    }
    names = {number: run.info.run_name for number, run in page.trials.items()}
    assert names == {
        0: "t000-default",
        1: "t001",
        2: "t002-pruned",
        3: "t003-infeasible",
        4: "t004-failed",
        5: "t005",
    }
    assert page.trials[2].data.tags["raysearch.reason"] == "pruned for a reason"
    assert page.parents[0].info.status == "FINISHED"


def test_parameters_are_dotted_paths_with_the_logarithm_of_log_scaled_ones(written: Any) -> None:
    store, _, uri = written
    view, page = SearchView.read(store, "one"), Page(uri, "one")
    for number, run in page.trials.items():
        rate = view.trials[number].params["optimizer.lr"]
        assert run.data.params["optimizer.lr"] == str(rate)
        assert float(run.data.params["log10.optimizer.lr"]) == pytest.approx(
            math.log10(rate), rel=1e-5
        )
        assert run.data.params["optimizer.kind"] == "adamw"
        assert run.data.params["seed"] == "0"


def test_each_metric_has_each_step_once(written: Any) -> None:
    page = Page(written[2], "one")
    goal = 0.5 + 0.04 * 5
    expected = [(step, goal * (1 - 0.5**step)) for step in range(1, 5)]
    assert page.points(5, "val/accuracy") == expected
    assert page.points(5, "objective/val_accuracy") == [expected[-1]]
    assert page.points(5, "test/accuracy") == [(4, 0.61)]
    assert [step for step, _ in page.points(None, "search/trial_value")] == [0, 1, 5]
    best = page.points(None, "search/best")
    assert [value for _, value in best] == sorted(value for _, value in best)


def test_data_set_figures_and_the_winners_checkpoint_are_there(written: Any) -> None:
    page = Page(written[2], "one")
    inputs = page.trials[5].inputs
    assert inputs is not None
    dataset = inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("digits", "7a624bc2b66161d5")
    assert page.files(5, "figures") == ["figures/confusion.png"]
    assert page.files(5, "checkpoint") == ["checkpoint/step-00000004.pt"]
    assert page.files(1, "checkpoint") == []


def everything(page: Page) -> dict[str, Any]:
    metrics = ["val/accuracy", "train/loss", "objective/val_accuracy"]
    found: dict[str, Any] = {
        f"{number} {name}": page.points(number, name) for number in page.trials for name in metrics
    }
    found |= {name: page.points(None, name) for name in ("search/best", "search/trial_value")}
    return found | {"runs": page.count}


def test_writing_everything_again_adds_no_run_and_no_point(written: Any) -> None:
    store, folder, uri = written
    before = everything(Page(uri, "one"))
    store.set_cursor("one", consumer(uri, store.url), 0)
    assert sync(store, "one", uri, folder) > 0
    assert everything(Page(uri, "one")) == before
    assert sync(store, "one", uri, folder) == 0


def test_an_interrupted_search_is_killed_and_runs_again_after_a_resume(
    tmp_path: Path, tracking: str
) -> None:
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    log = streams.search(store, "one", folder, ends=False)
    streams.ask(log, 7)
    streams.begin(log, 7, folder)
    log.append(fact("interrupted", reason="SIGINT", best=5), commit=True)
    sync(store, "one", tracking, folder)
    page = Page(tracking, "one")
    assert page.trials[7].info.status == page.parents[0].info.status == "KILLED"
    log.append(fact("resumed", command=""), commit=True)
    streams.begin(log, 7, folder, attempt=2)
    log.flush()
    sync(store, "one", tracking, folder)
    page = Page(tracking, "one")
    assert page.trials[7].info.status == page.parents[0].info.status == "RUNNING"
    assert page.count == 8


def test_a_trial_that_its_user_stopped_is_killed_one_that_never_began_too(
    tmp_path: Path, tracking: str
) -> None:
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    log = store.create("one", streams.spec(search="one"))
    streams.ask(log, 0)
    streams.begin(log, 0, folder)
    log.append(fact("requested", request=1, action="stop", trial=0), 0, commit=True)
    streams.tell(log, 0, "pruned", None)
    streams.ask(log, 1)
    log.append(fact("requested", request=2, action="stop", trial=None), commit=True)
    log.append(fact("stopped", reason="stopped by request", best=None), commit=True)
    sync(store, "one", tracking, folder)
    page = Page(tracking, "one")
    assert [page.trials[number].info.status for number in (0, 1)] == ["KILLED", "KILLED"]
    assert page.trials[0].data.tags["raysearch.state"] == "pruned"
    assert page.trials[1].data.tags["raysearch.state"] == "waiting"
    log.append(fact("resumed", command=""), commit=True)
    streams.run(log, 1, folder)
    sync(store, "one", tracking, folder)
    page = Page(tracking, "one")
    assert [page.trials[number].info.status for number in (0, 1)] == ["KILLED", "FINISHED"]
    assert page.parents[0].info.status == "RUNNING"


def test_searches_of_one_name_in_two_stores_share_nothing(tmp_path: Path, tracking: str) -> None:
    for number, who in enumerate(("ann", "bob")):
        store, folder = Store(f"sqlite:///{tmp_path / who / 'events.db'}"), tmp_path / who / "one"
        log = store.create("one", streams.spec(search="one", seed=number))
        streams.trial(log, 0, folder)
        log.append(fact("finished", reason="", best=0), commit=True)
        sync(store, "one", tracking, folder)
    page = Page(tracking, "one")
    assert page.count == 4 and len(page.parents) == 2
    assert {run.data.params["seed"] for run in page.parents} == {"0", "1"}
    views = [tag for tag in page.experiment.tags if tag.startswith(TAG)]
    assert len(views) == 2


def test_a_search_that_is_driven_is_synchronised_by_its_driver(written: Any) -> None:
    store, folder, uri = written
    with FileLock(folder), pytest.raises(SearchIsRunning, match="'one' is being driven"):
        sync(store, "one", uri, folder)


LOSSES = [
    pytest.param(True, False, id="lost answer, goes on"),
    pytest.param(True, True, id="lost answer, killed"),
    pytest.param(False, True, id="no answer, killed"),
]


def there_once(folder: Path, uri: str, first: int, every: int, after: bool, anew: bool) -> None:
    """Each run and point is there once if a call fails, whichever of those counted."""
    found, count, is_over = list[str](), first, False
    while not is_over:
        store, place = Store(f"sqlite:///{folder / f'{count}.db'}"), folder / str(count)
        streams.search(store, "one", place, states=("failed", "complete", "complete"))
        feed, mlflow = feed_of(store, uri, place)
        fragile: Any = Fragile(client_of(uri), count, after=after)
        mlflow.writer._client = fragile
        try:
            feed.catch_up()
        except ConnectionError:
            sync(store, "one", uri, place) if anew else feed.catch_up()
        is_over = fragile.count > 0
        findings = audit(store, "one", place, uri, [])
        found += [f"call {count}: {one}" for one in findings if one.where == "mlflow"]
        count += every
    assert found == [] and count > 20


@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_whichever_call_fails_each_run_and_point_is_there_once(
    tmp_path: Path, tracking: str, first: int
) -> None:
    after, anew = ((True, False), (True, True), (False, True), (True, True))[first - 1]
    there_once(tmp_path, tracking, first, 4, after, anew)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("after", "anew"), LOSSES)
def test_whichever_call_fails_in_whichever_way_each_run_and_point_is_there_once(
    tmp_path: Path, tracking: str, after: bool, anew: bool
) -> None:
    there_once(tmp_path, tracking, 1, 1, after, anew)


def test_the_view_is_sorted_by_the_objective_with_axes_that_every_trial_has(written: Any) -> None:
    store, _, uri = written
    page = Page(uri, "one")
    identity = SearchView.read(store, "one").identity
    packed = json.loads(page.experiment.tags[TAG + view_key("one", identity)])["state"]
    state = json.loads(zlib.decompress(base64.b64decode(packed.removeprefix("deflate;"))))
    assert state["orderByKey"] == "metrics.`objective/val_accuracy`"
    assert state["orderByAsc"] is False
    assert "params.`optimizer.lr`" in state["selectedColumns"]
    assert state["compareRunCharts"][0]["selectedParams"] == ["log10.optimizer.lr", "model.layers"]
    found = links(store, "one", uri, "http://127.0.0.1:5000")
    assert f"viewStateShareKey={view_key('one', identity)}" in found["trials"]
    assert "orderByKey=metrics" in found["plain"]


def test_names_that_mlflow_refuses_are_rewritten() -> None:
    assert key("val/AP@50 (%)") == "val/AP_0x40_50 _0x28-25-29_"
    assert key("val/ap-50.x:y z") == "val/ap-50.x:y z"


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://x",
        "file:///tmp/x",
        "runs",
        "sqlite:////proc/none/a.db",
        "sqlite:////tmp",
        "sqlite://",
        "sqlite:///:memory:",
        "http://",
        "http://:5000",
        "http://head:port",
        "mysql+nodriver://me@head/mlflow",
        "postgresql://head:port/mlflow",
    ],
)
def test_an_address_that_can_never_be_written_is_named(uri: str) -> None:
    with pytest.raises(ValueError, match="--tracking-uri") as caught:
        check_tracking(uri)
    assert repr(uri) in str(caught.value)


def test_a_file_that_is_no_database_is_no_tracking_address(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    check_tracking(f"sqlite:///{file}")
    file.touch()
    check_tracking(f"sqlite:///{file}")
    file.write_text("these are notes")
    with pytest.raises(ValueError, match="mlflow.db is not an SQLite database"):
        check_tracking(f"sqlite:///{file}")


TAKES = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"


def test_looking_at_a_database_gives_up_no_lock_on_it(tmp_path: Path) -> None:
    """As closing a file does that was opened beside SQLite: POSIX locks are those of a process."""
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as holder:
        holder.execute("CREATE TABLE notes (text)")
        holder.execute("BEGIN IMMEDIATE")
        check_tracking(f"sqlite:///{file}")
        other = [sys.executable, "-c", TAKES, str(file)]
        done = subprocess.run(other, capture_output=True, text=True, check=False)
    assert "database is locked" in done.stderr


def test_a_file_that_cannot_be_stored_holds_nothing_else_back(
    tmp_path: Path, tracking: str
) -> None:
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    streams.search(store, "one", folder)
    (tmp_path / "mlartifacts").write_text("a file where the folder of artifacts should be")
    client = client_of(tracking)
    client.create_experiment("ssl/by_hand", (tmp_path / "mlartifacts").as_uri())
    feed, mlflow = feed_of(store, tracking, folder)
    mlflow.writer._client = client
    assert feed.catch_up() > 0
    page = Page(tracking, "one")
    assert len(page.points(5, "val/accuracy")) == 4
    assert page.trials[5].data.tags["raysearch.missing_artifact"].startswith("0005/attempt-1/")
    findings = [str(one) for one in audit(store, "one", folder, tracking, [])]
    assert "trial 5: mlflow: artifact figures/confusion.png is missing" in findings


class Nobody:
    """A server that is not there, and says so without a word."""

    def __getattr__(self, name: str) -> Any:
        raise ConnectionError


def test_an_error_without_words_does_not_end_the_thread(written: Any) -> None:
    store, folder, uri = written
    store.set_cursor("one", consumer(uri, store.url), 0)
    tracker = Follower(store, "mlflow", Place("one", folder, store.url, uri))
    tracker._feed, mlflow = feed_of(store, uri, folder)
    mlflow.writer._client = Nobody()
    tracker.start()
    time.sleep(0.3)
    assert tracker.is_alive()
    tracker.close(10)
    assert not tracker.is_alive() and tracker.problem == "ConnectionError: ConnectionError"


def test_a_server_that_is_down_is_no_bad_address() -> None:
    check_tracking("http://127.0.0.1:9")


@pytest.mark.timeout(1800)
def test_what_an_unreachable_server_missed_is_written_once_when_it_is_back(
    tmp_path: Path, tracking: str, unused_port: int
) -> None:
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    uri = f"http://127.0.0.1:{unused_port}"
    tracker = Follower(store, "mlflow", Place("one", folder, store.url, uri))
    log = store.create("one", streams.spec(search="one"))
    log.listeners.append(lambda event: tracker.wake())
    tracker.start()
    streams.trial(log, 0, folder)  # nobody is there
    server = servers.serve(tmp_path, unused_port)
    servers.wait_for(unused_port)
    streams.trial(log, 1, folder)
    deadline = time.monotonic() + 900
    while store.cursor("one", consumer(uri, store.url)) < log.last and time.monotonic() < deadline:
        time.sleep(0.1)
    assert store.cursor("one", consumer(uri, store.url)) == log.last
    servers.end(server)
    streams.trial(log, 2, folder)  # nobody is there again
    log.append(fact("finished", reason="", best=2), commit=True)
    tracker.close(60)
    assert not tracker.is_alive() and tracker.problem is not None
    with pytest.raises(ConnectionError, match=f"'{uri}'"):
        sync(store, "one", uri, folder)
    server = servers.serve(tmp_path, unused_port)
    servers.wait_for(unused_port)
    try:
        assert sync(store, "one", uri, folder) > 0
        page = Page(uri, "one")
        assert sorted(page.trials) == [0, 1, 2] and page.count == 4
        for number in range(3):
            goal = 0.5 + 0.04 * number
            expected = [(step, goal * (1 - 0.5**step)) for step in range(1, 5)]
            assert page.points(number, "val/accuracy") == expected
    finally:
        servers.end(server)
