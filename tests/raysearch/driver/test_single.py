"""What a run without a search prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysearch.driver.single import PrintingSession


def test_facts_and_rows_of_references_have_a_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {
        "majority": {"knn": 0.1, "knn_low": 1 / 3, "student/knn": 1},
        "odd": "none",
        "pixels": {"knn": "unsaid"},
    }
    PrintingSession(tmp_path).describe({"parameters": 12, "reference/val": rows, "reference/x": 3})
    assert capsys.readouterr().out.splitlines() == [
        "parameters: 12",
        "reference/val majority: knn 0.1, knn_low 0.3333",
        "reference/val odd: none",
        "reference/val pixels: knn unsaid",
        "reference/x: 3",
    ]


def test_a_report_is_a_line_of_what_is_not_too_deep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PrintingSession(tmp_path).report(3, {"val/knn": 0.5, "val/student/knn": 0.4}, costs={"s": 2.0})
    assert capsys.readouterr().out == "step 3: val/knn 0.5, s 2\n"
