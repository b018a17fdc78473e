"""A search in TensorBoard: as its own reader sees it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tensorboard.plugins.hparams import metadata

from raysearch import verbs
from raysearch.events.log import Store
from raysearch.events.schema import Reported
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.sweeps.search_spec import to_plain
from raysearch.tracking.consumer import Feed, delete, links, sync
from raysearch.tracking.findings import audit
from raysearch.tracking.tensorboard import TensorBoard, _messages
from raysearch.tracking.tracker import Place
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact

REQUEST = {"track": "tensorboard"}


def begun(tmp_path: Path) -> tuple[Store, Path, Any]:
    """A search that is written to TensorBoard alone, before its first trial."""
    store, folder = Store(f"sqlite:///{tmp_path / 'raysearch.db'}"), tmp_path / "one"
    body = to_plain(streams.spec(search="one", folder=str(folder)))
    log = store.create("one", streams.spec(**{**streams.SPEC, **body, "request": REQUEST}))
    return store, folder, log


def written(tmp_path: Path) -> tuple[Store, Path, Any]:
    store, folder, log = begun(tmp_path)
    for number, state in enumerate(("complete", "pruned", "failed")):
        streams.trial(log, number, folder, state)
    streams.ask(log, 3, duplicate_of=0)
    streams.tell(log, 3, "complete", 0.5, duplicate_of=0)
    log.append(fact("finished", reason="", best=0), commit=True)
    assert sync(store, "one", "none", folder) == log.last
    return store, folder, log


def read(folder: Path, number: int) -> Any:
    # Its reader would import TensorFlow, which takes seconds.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / f"tensorboard/trial-{number:04d}"))
    found.Reload()
    return found


def scalars(folder: Path, number: int) -> dict[str, list[tuple[int, float]]]:
    found = read(folder, number)
    return {
        tag: [(point.step, round(point.value, 6)) for point in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def wrong(store: Store, folder: Path) -> list[str]:
    return [
        one.what for one in audit(store, "one", folder, "none", []) if one.where == "tensorboard"
    ]


def test_its_own_reader_finds_curves_and_hyperparameters(tmp_path: Path) -> None:
    store, folder, _ = written(tmp_path)
    view = SearchView.read(store, "one")
    assert scalars(folder, 0)["val/accuracy"] == [(1, 0.25), (2, 0.375), (3, 0.4375), (4, 0.46875)]
    assert scalars(folder, 0)["objective/val/accuracy"] == [(4, 0.46875)]
    found = read(folder, 0).summary_metadata
    start = metadata.parse_session_start_info_plugin_data(
        found[metadata.SESSION_START_INFO_TAG].plugin_data.content
    )
    rate = view.trials[0].params["optimizer.lr"]
    assert start.hparams["optimizer.lr"].number_value == rate
    assert start.hparams["model.layers"].number_value == view.trials[0].params["model.layers"]
    ends = {
        number: metadata.parse_session_end_info_plugin_data(
            read(folder, number).summary_metadata[metadata.SESSION_END_INFO_TAG].plugin_data.content
        ).status
        for number in range(3)
    }
    messages = _messages()
    success, failure = messages.STATUS_SUCCESS, messages.STATUS_FAILURE
    assert ends == {0: success, 1: success, 2: failure}
    runs = sorted(path.name for path in (folder / "tensorboard").glob("trial-*"))
    assert runs == ["trial-0000", "trial-0001", "trial-0002"]  # the duplicate is none
    assert wrong(store, folder) == []


def test_a_killed_writer_goes_on_and_writes_nothing_twice(tmp_path: Path) -> None:
    store, folder, log = begun(tmp_path)
    streams.trial(log, 0, folder)
    sync(store, "one", "none", folder)
    before = scalars(folder, 0)
    file = next((folder / "tensorboard/trial-0000").iterdir())
    with file.open("ab") as more:
        more.write(file.read_bytes()[-200:])  # killed while it wrote
    stray = folder / "tensorboard/trial-0001/events.out.tfevents.1.raysearch"
    stray.parent.mkdir()
    stray.write_bytes(b"half of a file")
    streams.trial(log, 1, folder)
    assert sync(store, "one", "none", folder) > 0
    assert scalars(folder, 0) == before and len(scalars(folder, 1)["val/accuracy"]) == 4
    assert not stray.exists() and wrong(store, folder) == []


def test_where_it_has_more_or_less_than_the_cursor_says_each_point_is_there_once(
    tmp_path: Path,
) -> None:
    store, folder, log = written(tmp_path)
    name = "tracker:tensorboard"
    assert store.cursor("one", name) == log.last
    store.set_cursor("one", name, 5)  # it was written, and the cursor not
    sync(store, "one", "none", folder)
    assert wrong(store, folder) == [] and store.cursor("one", name) == log.last
    os.truncate(next((folder / "tensorboard/trial-0000").iterdir()), 60)  # a disk that lost some
    sync(store, "one", "none", folder)
    assert wrong(store, folder) == []
    os.unlink(folder / "tensorboard/written.json")
    sync(store, "one", "none", folder)
    assert wrong(store, folder) == []


def test_check_says_what_is_missing_other_or_twice(tmp_path: Path) -> None:
    store, folder, log = written(tmp_path)
    place = Place("one", folder, store.url, "none")
    file = next((folder / "tensorboard/trial-0001").iterdir())
    tracker, kept = TensorBoard(place), file.read_bytes()
    view = SearchView.read(store, "one")
    report = next(store.events("one", kinds=[Reported], trial=1))
    tracker._take(report, view)
    tracker._append(next(iter(tracker._pending)), next(iter(tracker._pending.values())))
    # That was a file of its own records alone: those of the rest are gone.
    assert "objective/val/accuracy at step 2 is there 0 times" in wrong(store, folder)
    file.write_bytes(kept + file.read_bytes())
    assert "val/accuracy at step 1 is there 2 times" in wrong(store, folder)
    file.write_bytes(b"")
    said = wrong(store, folder)
    total = len({one for one in said if "points are missing" in one})
    assert total == 1 and len(said) == 1, "many are one line"
    file.write_bytes(kept)
    view.trials[1].reports[0][3]["val/accuracy"] += 1
    assert [one.what[:29] for one in tracker.check(store, view, log.last)] == [
        "val/accuracy at step 1 is 0.2"
    ]
    assert "events are not written yet" in tracker.check(store, view, 3)[0].what


def test_it_is_linked_deleted_and_written_by_choice(tmp_path: Path) -> None:
    store, folder, _ = written(tmp_path)
    shown = links(store, "one", "none", "http://there")
    assert shown == {"TensorBoard": f"tensorboard --logdir {folder / 'tensorboard'}"}
    delete(SearchView.read(store, "one"), "none", folder)
    assert not (folder / "tensorboard").exists()
    settings = Settings.locate(tmp_path, tracking_uri="none")
    assert verbs.sync("one", settings, track="tensorboard") > 0
    assert wrong(store, folder) == []
    with pytest.raises(LookupError, match="--track must be"):
        verbs.sync("one", settings, track="tensorbord")


def test_a_feed_that_fails_half_way_leaves_whole_files(tmp_path: Path) -> None:
    store, folder, log = begun(tmp_path)
    streams.trial(log, 0, folder)
    tracker = TensorBoard(Place("one", folder, store.url, "none"))
    feed = Feed(store, "one", tracker, "tracker:tensorboard")
    (folder / "tensorboard").mkdir(parents=True)
    (folder / "tensorboard/.partial").touch()  # the state cannot be written
    with pytest.raises(OSError, match=r"\.partial"):
        feed.catch_up()
    (folder / "tensorboard/.partial").unlink()
    feed.catch_up()
    assert wrong(store, folder) == [] and len(scalars(folder, 0)["val/accuracy"]) == 4
