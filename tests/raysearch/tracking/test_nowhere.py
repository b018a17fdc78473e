"""A search without MLflow: `--tracking-uri none`."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysearch.events.log import Store
from raysearch.tracking.consumer import Tracker
from raysearch.tracking.mlflow.address import NOWHERE, check_tracking, client_of, consumer
from tests.raysearch.events.streams import search


def test_the_tracker_of_a_search_without_mlflow_ends_at_once_and_writes_nothing(tmp_path: Path):
    store = Store(f"sqlite:///{tmp_path / 'events.db'}")
    search(store, "one", tmp_path / "one")
    tracker = Tracker(store, "one", NOWHERE, tmp_path / "one")
    tracker.start()
    tracker.close(10)
    assert not tracker.is_alive() and tracker.problem is None
    assert store.cursor("one", consumer(NOWHERE, store.url)) == 0


def test_none_is_an_address_but_has_no_client():
    check_tracking(NOWHERE)
    with pytest.raises(ValueError, match="not in MLflow: its --tracking-uri is 'none'"):
        client_of(NOWHERE)
