"""What programs say becomes reports that a session takes, whatever they say."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raysearch.programs import function, reports
from raysearch.programs.endings import ended
from raysearch.programs.output import traceback_in
from raysearch.programs.readers.pattern import Patterns
from raysearch.programs.reports import Reports
from raysearch.study.failures import KINDS
from raysearch.trial.endings import KnownFailure
from raysearch.trial.rerun import Session

LINE = r"epoch (?P<step>\d+) .* acc (?P<val_acc>[\d.,%]+)"


class Heard:
    """Reports into the session of a trial that is run again, which writes down what it hears."""

    def __init__(self, folder: Path, *objectives: str) -> None:
        self.folder, self.notes = folder, list[str]()
        said = str(folder / "said.jsonl")
        job = {"said": said, "wanted": [], "last": None, "workers": 1, "objectives": objectives}
        self.session = Session(job, folder, None)
        self.reports = Reports(self.session, self.notes.append)

    def take(self, step: int | None, source: str = "raysearch", **metrics: Any) -> None:
        self.reports.take(step, metrics, None, source)

    @property
    def said(self) -> list[tuple[int, dict[str, float]]]:
        file = self.folder / "said.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        found = [json.loads(line) for line in lines]
        return [(one["step"], one["metrics"]) for one in found if one["kind"] == "report"]


def test_patterns_find_steps_and_metrics() -> None:
    read = Patterns([LINE, r"loss=(?P<loss>\S+)"]).read
    assert read("\x1b[1mepoch 3 | acc 93.5%, loss=1e-3") == [
        (3, {"val_acc": 93.5}),
        (None, {"loss": 1e-3}),
    ]
    assert read("epoch 3 | acc 1,024") == [(3, {"val_acc": 1024.0})]
    patterns = Patterns([r"loss: (?P<loss>\S+)"])
    for text in ("0,95", "0,950", "1,02", "1,0245", "1,024,5"):
        assert patterns.read(f"loss: {text}") == []
    assert len(patterns.notes) == 1 and "'0,95' as loss" in patterns.notes[0]
    for text, value in (("1,024.5", 1024.5), ("-12,345,678", -12345678.0), ("0.5,", 0.5)):
        assert patterns.read(f"loss: {text}") == [(None, {"loss": value})]
    assert read("epoch x acc 1") == [] and read("loss=high") == []
    assert read("loss=nan")[0][1]["loss"] != 0


def test_a_metric_of_the_sweep_is_known_by_its_letters_and_steps_are_its_fidelity(
    tmp_path: Path,
) -> None:
    heard = Heard(tmp_path, "val/acc")
    heard.take(3, val_acc=0.5)
    more: dict[str, Any] = {"val/acc": 0.6, "progress/epochs": 2.0}
    heard.take(4, **more)
    assert heard.said == [
        (3, {"val/acc": 0.5, "progress/epochs": 3.0}),
        (4, {"val/acc": 0.6, "progress/epochs": 2.0}),
    ]


def test_without_steps_one_begins_with_what_is_said_again(tmp_path: Path) -> None:
    heard = Heard(tmp_path, "acc")
    for value in (0.1, 0.2):
        heard.take(None, loss=1 - value)
        heard.take(None, acc=value)
    heard.reports.close()
    accuracies = [(step, metrics["acc"]) for step, metrics in heard.said if "acc" in metrics]
    assert accuracies == [(1, 0.1), (2, 0.2)]


def test_steps_that_go_back_and_second_values_are_left_out_and_said_once(tmp_path: Path) -> None:
    heard = Heard(tmp_path, "acc")
    for step in (5, 5, 4, 4, 6):
        heard.take(step, acc=step + len(heard.said) / 10)
    assert [(step, metrics["acc"]) for step, metrics in heard.said] == [(5, 5.0), (6, 6.1)]
    assert len(heard.notes) == 2
    assert "metric 'acc' has several values in one step" in heard.notes[0]
    assert "a report of step 4 after step 5 is left out" in heard.notes[1]


def test_other_sources_are_reported_with_the_one_that_has_the_metric(tmp_path: Path) -> None:
    heard = Heard(tmp_path, "acc")
    heard.take(500, "wandb", loss=1.0)
    heard.take(1, "output", acc=0.5)
    heard.take(1000, "wandb", loss=0.5, acc=0.9)
    heard.take(2, "output", acc=0.6)
    assert heard.said[-1] == (2, {"loss": 0.5, "acc": 0.6, "progress/epochs": 2.0})
    assert [step for step, _ in heard.said] == [1, 2]


def test_many_reports_without_the_metric_cost_no_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_EVERY", 3600.0)
    heard = Heard(tmp_path, "acc")
    for step in range(1000):
        heard.take(step, loss=step / 2)
    heard.take(1000, acc=0.5)
    assert len(heard.said) <= 2
    assert heard.said[-1][1]["acc"] == 0.5 and heard.said[-1][1].get("loss", 499.5) == 499.5


def test_a_session_that_refuses_ends_no_trial(tmp_path: Path) -> None:
    heard = Heard(tmp_path, "acc")
    heard.reports.take(1, {"acc": 0.5, "x" * 300: 1.0, "progress/samples": -1.0}, None, "raysearch")
    heard.reports.take(2, {"acc": 0.6}, tmp_path / "none.pt", "raysearch")
    assert [metrics["acc"] for _, metrics in heard.said] == [0.5, 0.6]
    assert any("its name is no name" in note for note in heard.notes)
    assert any("none.pt cannot be kept" in note for note in heard.notes)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "it ended well, and nothing was heard of it: no val/acc; report it by"),
        (
            {"val/accuracy": 0.5},
            "without val/acc; heard were 1 value of val/accuracy; did you mean",
        ),
    ],
)
def test_an_end_without_the_metric_says_what_was_heard(
    said: dict[str, Any], words: str, tmp_path: Path
) -> None:
    heard = Heard(tmp_path, "val/acc")
    if said:
        heard.take(1, **said)
    with pytest.raises(KnownFailure, match=words) as raised:
        heard.reports.close()
    assert raised.value.kind == "unreported" and not KINDS["unreported"].again


@pytest.mark.parametrize("before", [[], ["loss"], ["val/acc"]])
def test_a_later_attempt_may_end_without_what_an_earlier_one_reported(
    before: list[str], tmp_path: Path
) -> None:
    heard = Heard(tmp_path, "val/acc")
    session: Any = SimpleNamespace(
        job=SimpleNamespace(attempt=2, restored=None, kept=[], reported=before),
        objectives=["val/acc"],
    )
    later = Reports(session, heard.notes.append)
    if before == ["val/acc"]:
        later.close()
        assert heard.notes == ["this attempt ended without val/acc: those before it count"]
    else:
        with pytest.raises(KnownFailure, match="nothing was heard of it: no val/acc"):
            later.close()


TRACEBACK = """Traceback (most recent call last):
  File "a.py", line 1, in <module>
    raise ValueError("bad lr")
ValueError: bad lr"""
ELASTIC = """Traceback (most recent call last):
  File "/lib/torch/distributed/elastic/multiprocessing/api.py", line 1, in f
    raise ChildFailedError(
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:"""


@pytest.mark.parametrize("prefix", ["", "[rank0]: "])
def test_the_traceback_is_the_programs_and_not_that_of_what_launched_it(prefix: str) -> None:
    own = [f"{prefix}{line}" for line in TRACEBACK.splitlines()]
    lines = ["step 1", *own, "W1130 closing", *ELASTIC.splitlines()]
    assert traceback_in(lines) == (TRACEBACK, "ValueError: bad lr")
    assert traceback_in(["Traceback (most recent call last):"]) == ("", "")


@pytest.mark.parametrize(
    ("code", "lines", "kernel", "kind", "message"),
    [
        (1, TRACEBACK.splitlines(), False, "exception", "^ValueError: bad lr$"),
        (3, TRACEBACK.splitlines(), False, "exception", r"^ValueError: bad lr \(exit code 3\)$"),
        (3, ["no data"], False, "exit", "^code 3: no data$"),
        (3, [], False, "exit", "^code 3: it wrote nothing$"),
        (124, ["box"], False, "again", "exit code 124, which asks for another start"),
        (1, ["torch.OutOfMemoryError: CUDA out of memory. Tried"], False, "memory", "exit code 1"),
        (1, ["OSError: [Errno 28] No space left on device"], False, "full", "exit code 1"),
        (1, ["FloatingPointError: loss is nan"], False, "diverged", "exit code 1"),
        (-9, [], False, "killed", "ended by SIGKILL"),
        (-9, [], True, "memory", "ended by SIGKILL"),
        (137, ["x"], True, "memory", r"exit code 137 \(as a shell says of SIGKILL\)"),
        (-11, ["x"], False, "signal", "ended by SIGSEGV: x"),
    ],
)
def test_an_end_has_its_kind_and_words(
    code: int, lines: list[str], kernel: bool, kind: str, message: str
) -> None:
    found = ended(code, lines, {"again_on": [124]}, kernel)
    assert found.kind == kind
    with pytest.raises(KnownFailure, match=message):
        raise found


def test_what_a_function_returns_is_its_last_report(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> float:
        import raysearch

        assert raysearch.config() == config == {"lr": 0.5, "seed": 3} and raysearch.active()
        raysearch.report(1, {"loss": 1.0})
        raysearch.report(2, {"loss": 0.5, "other": 3})
        return 0.25

    heard = Heard(tmp_path, "loss")
    function.call(train, {"lr": 0.5, "seed": 3}, heard.session)
    assert [(step, metrics["loss"]) for step, metrics in heard.said] == [
        (1, 1),
        (2, 0.5),
        (3, 0.25),
    ]
    heard = Heard(tmp_path, "loss")
    with pytest.raises(KnownFailure, match="nothing was heard of it: no loss"):
        function.call(lambda config: None, {}, heard.session)
