"""The command of a search that was renamed, given again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from raysearch.driver.plan import Request
from raysearch.driver.search import called_now
from raysearch.events.log import Store
from tests.raysearch.events import streams


def test_an_identical_command_goes_on_with_its_search_by_its_new_name(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/events.db")
    asked = Request("own:x", name="night", time_box=60.0)
    store.create("night", streams.spec(search="night", request=asked.to_json())).close()
    assert called_now(asked, store) is None
    with store.lock("night", tmp_path):
        store.rename("night", "kept", tmp_path / "kept")
    assert called_now(asked, store) == "kept"
    assert called_now(replace(asked, seed=1), store) is None
    assert called_now(replace(asked, time_box=None), store) is None
