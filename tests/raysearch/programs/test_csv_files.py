"""Tables of Lightning's CSVLogger are read row by row, also when they are written anew."""

from __future__ import annotations

import math
import time
from pathlib import Path

from raysearch.programs.readers.csv_files import CsvFile, CsvFiles
from raysearch.programs.readers.watched import Watched


def steps(path: Path, file: CsvFile, text: str) -> list[tuple[int, dict[str, float]]]:
    path.write_text(text)
    return [(one.step, one.metrics) for one in file.read()]


def test_rows_count_once_and_only_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    file = CsvFile(path)
    assert file.read() == []
    assert steps(path, file, "epoch,step,lo") == []
    start = "epoch,step,loss\n0,9,0.5\n"
    assert steps(path, file, start + "0,19,0.") == [(9, {"epoch": 0.0, "loss": 0.5})]
    assert steps(path, file, start + "0,19,0.25\n") == [(19, {"epoch": 0.0, "loss": 0.25})]
    assert file.read() == []


def test_a_new_column_passes_over_the_rows_that_were_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    file = CsvFile(path)
    steps(path, file, "loss,step\n0.5,9\n0.4,19\n")
    assert steps(path, file, "acc,loss,step\n,0.5,9\n") == []  # half of it is there again
    text = "acc,loss,step\n,0.5,9\n,0.4,19\n0.9,,19\n"
    assert steps(path, file, text) == [(19, {"acc": 0.9})]
    assert steps(path, file, text + "nan,inf,29\n")[0][1]["loss"] == math.inf


def test_a_table_without_steps_counts_epochs_and_words_are_no_metrics(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    found = steps(path, CsvFile(path), 'epoch,acc,note\n1,0.5,"a, b"\n2,0.6,x\n-1,3,x\n1.5,4,x\n')
    assert found == [(1, {"acc": 0.5}), (2, {"acc": 0.6})]


def test_rows_from_before_the_program_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "metrics.csv"
    path.parent.mkdir()
    path.write_text("step,a\n1,1\n")
    reader = CsvFiles(Watched([tmp_path], list, time.time() + 0.5))
    assert reader.poll() == []
    path.write_text("step,a\n1,1\n2,2\n")
    assert [one.metrics for one in reader.poll()] == [{"a": 2.0}]
