"""A search without MLflow: `--tracking-uri none`."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysearch.events.log import Store
from raysearch.tracking.consumer import Followers
from raysearch.tracking.mlflow.address import NOWHERE, check_tracking, client_of, consumer
from raysearch.tracking.tracker import Place
from tests.raysearch.events.streams import search


def test_the_tracker_of_a_search_without_mlflow_ends_at_once_and_writes_nothing(tmp_path: Path):
    store = Store(f"sqlite:///{tmp_path / 'events.db'}")
    search(store, "one", tmp_path / "one")
    trackers = Followers(store, "mlflow", Place("one", tmp_path / "one", store.url, NOWHERE))
    trackers.start()
    trackers.close(10)
    assert trackers.problems == {} and trackers.aside == {} and not trackers._all
    assert store.cursor("one", consumer(NOWHERE, store.url)) == 0


def test_none_is_an_address_but_has_no_client():
    check_tracking(NOWHERE)
    with pytest.raises(ValueError, match="not in MLflow: its --tracking-uri is 'none'"):
        client_of(NOWHERE)
