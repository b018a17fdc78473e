"""The notebook of the tutorials, executed by a kernel: what its cells show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from raysearch.client import Client

ROOT = Path(__file__).parents[3]
NOTEBOOK = ROOT / "docs/tutorials/notebook.ipynb"


def html(cell: Any) -> str:
    """All HTML below a cell."""
    found = (output.get("data", {}).get("text/html", "") for output in cell.outputs)
    return "\n".join(filter(None, found))


def executed(path: Path, folder: Path) -> list[Any]:
    """The cells of code of a notebook that a kernel has executed in a folder."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources)
    done = client.execute()
    return [cell for cell in done.cells if cell.cell_type == "code"]


@pytest.mark.search
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebook_runs_and_shows_the_search_and_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSEARCH_PRELOAD", "sklearn.linear_model")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAYSEARCH_TRACKING_URI", "none")
    cells = executed(NOTEBOOK, tmp_path)
    running, name, table, trial, report = cells[3:]
    assert "digits-1" in html(running) and "val/accuracy" in html(running)
    assert "4" in html(name) and "best trial" in html(name)
    assert table.outputs[0].data["text/html"].count("<tr") == 1 + 1 + 4
    best = Client(tmp_path / "runs", show=False).best("digits-1")
    assert f"<b>trial {best['trial']}</b>" in html(trial)
    assert "iframe srcdoc" in html(report)


def test_the_notebook_is_kept_without_what_it_showed() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    assert NOTEBOOK.stat().st_size < 100_000
