"""MLflow's page of a search in a real browser, by the link that raysearch prints."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch.events.log import Store
from raysearch.tracking.consumer import links, sync
from tests.raysearch.events import servers, streams

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
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1440,1000",
    "--virtual-time-budget=60000",
]


@pytest.fixture(scope="module")
def addresses(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("page")
    shutil.copy(migrated, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    store = Store(f"sqlite:///{folder / 'events.db'}")
    streams.search(store, "one", folder / "one")
    sync(store, "one", uri, folder / "one")
    port = servers.free_port()
    server = servers.serve(folder, port)
    servers.wait_for(port)
    yield links(store, "one", uri, f"http://127.0.0.1:{port}")
    servers.end(server)


def dom(address: str, profile: Path) -> str:
    """The page as the browser has it after a minute of virtual time, without tags."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    text = re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", done.stdout, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_the_link_opens_a_flat_table_sorted_by_the_objective(
    addresses: dict[str, str], tmp_path: Path
) -> None:
    page = dom(addresses["trials"], tmp_path / "profile")
    names = re.findall(r"\bt00\d(?:-[a-z]+)?\b", page)
    order = list(dict.fromkeys(names))
    assert order[:4] == ["t005", "t001", "t000-default", "t002-pruned"], "best first, no parent"
    ends = ["t000-default", "t001", "t002-pruned", "t003-infeasible", "t004-failed", "t005"]
    assert sorted(order) == ends, "what did not complete says so in the first column"
    for column in ("objective/val_accuracy", "model.layers", "optimizer.lr"):
        assert column in page
    assert "6 matching runs" in page


def test_the_plain_link_finds_the_same_trials(addresses: dict[str, str], tmp_path: Path) -> None:
    page = dom(addresses["plain"], tmp_path / "profile")
    assert "6 matching runs" in page


def test_the_charts_are_parallel_coordinates_and_curves(
    addresses: dict[str, str], tmp_path: Path
) -> None:
    page = dom(addresses["charts"], tmp_path / "profile")
    assert "Parallel Coordinates" in page
    assert "No chart data available" not in page
    assert "val/accuracy" in page
