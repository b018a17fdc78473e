"""What a trial may say, and in which words it is refused."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raysearch.trial.messages import (
    LARGEST,
    MOST_STEPS,
    InvalidMessage,
    checked_artifact,
    checked_facts,
    checked_metrics,
    checked_path,
    checked_step,
    receive,
    send,
)
from raysearch.trial.reported import ReportedSteps


class Pool(Enum):
    MEAN = "mean"


class Rude:
    """Raises in whatever it is asked."""

    shape = (2,)

    def __repr__(self) -> str:
        raise RuntimeError("no words")

    def __float__(self) -> float:
        raise RuntimeError("no number")

    def item(self) -> float:
        raise RuntimeError("no item")

    def tolist(self) -> list[float]:
        raise RuntimeError("no list")


@pytest.mark.parametrize(
    ("given", "step"),
    [(0, 0), (7, 7), (7.0, 7), (np.int64(7), 7), (torch.tensor(7), 7), (MOST_STEPS, MOST_STEPS)]
    + [(Fraction(14, 2), 7), (Decimal("7.0"), 7)],
)
def test_a_step_is_a_whole_number_of_any_type(given: Any, step: int) -> None:
    assert checked_step(given) == step


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (0.25, "step must be a whole number, got 0.25"),
        (Fraction(5, 2), "step must be a whole number, got Fraction(5, 2)"),
        (Decimal("NaN"), "step must be a whole number, got Decimal"),
        (7 + 0j, "step must be a whole number, got "),
        ("3", "step must be a whole number, got '3'"),
        (None, "step must be a whole number, got None"),
        (True, "step must be a whole number, got True"),
        (math.nan, "step must be a whole number, got nan"),
        (math.inf, "step must be a whole number, got inf"),
        (np.array([1, 2]), "step must be a whole number, got array"),
        (Rude(), "step must be a whole number, got a Rude"),
        (-1, f"step must be from 0 to {MOST_STEPS}, got -1"),
        (2**70, f"step must be from 0 to {MOST_STEPS}, got {2**70}"),
        (10**400, f"step must be from 0 to {MOST_STEPS}, got 1000"),
    ],
)
def test_any_other_step_is_refused_by_its_value(given: Any, words: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        checked_step(given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        np.float32(0.5),
        np.array(0.5),
        np.array([[0.5]]),
        torch.tensor([0.5]),
        torch.ones(()) / 2,
    ],
    ids=repr,
)
def test_what_has_one_element_is_a_number(value: Any) -> None:
    assert checked_metrics({"val/loss": value}) == {"val/loss": 0.5}


@pytest.mark.parametrize(
    "value",
    [None, "0.5", b"1", [0.5], {"a": 1}, 1j, 10**400, torch.tensor([]), torch.ones(2), Rude()]
    + [torch.empty((), device="meta"), np.array(["a"])],
    ids=lambda value: type(value).__name__,
)
def test_a_metric_that_is_no_number_is_named(value: Any) -> None:
    with pytest.raises(InvalidMessage, match=r"metric 'val/loss' must be a number, got "):
        checked_metrics({"val/loss": value})


class Stubborn(float):
    """A number that cannot be converted."""

    def __float__(self) -> float:
        raise ArithmeticError("not now")


def test_a_number_that_cannot_be_converted_says_why() -> None:
    words = r"must be a number, got 0\.3, which float\(\) cannot convert: ArithmeticError: not now$"
    with pytest.raises(InvalidMessage, match=words):
        checked_metrics({"val/loss": Stubborn(0.3)})


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e30])
def test_progress_is_finite_and_counts(value: float) -> None:
    with pytest.raises(InvalidMessage, match=r"'progress/epochs' must be a finite number from 0"):
        checked_metrics({"progress/epochs": value})


@pytest.mark.parametrize("name", [1, "a\0b", "caf\udce9", "x" * 1001, None, ("a", "b")])
def test_a_name_that_cannot_be_stored_is_refused(name: Any) -> None:
    with pytest.raises(InvalidMessage, match="the name of a metric must be a text"):
        checked_metrics({name: 1.0})


def test_facts_become_plain_data() -> None:
    facts = {
        "path": Path("/data"),
        "number": np.float32(0.5),
        "array": np.arange(3),
        "tensor": torch.ones(2),
        "set": {2, 1},
        "tuple": (1, (2, None)),
        "enum": Pool.MEAN,
        "nested": {1: {"a": torch.tensor(True)}},
        "file": "caf\udce9\0",
    }
    plain = checked_facts(facts)
    assert json.loads(json.dumps(plain)) == {
        "path": "/data",
        "number": 0.5,
        "array": [0, 1, 2],
        "tensor": [1.0, 1.0],
        "set": [1, 2],
        "tuple": [1, [2, None]],
        "enum": "mean",
        "nested": {"1": {"a": True}},
        "file": "caf\\xe9\\x00",
    }


@pytest.mark.parametrize("value", [object(), Rude(), np.zeros(1001), lambda: None, b"raw"])
def test_a_fact_that_is_no_plain_data_is_named(value: Any) -> None:
    with pytest.raises(InvalidMessage, match="fact 'model' must be plain data"):
        checked_facts({"model": value})


def test_a_fact_that_no_text_can_hold_is_named() -> None:
    assert checked_facts({"a": 10**1000, "b": True}) == {"a": 10**1000, "b": True}
    with pytest.raises(InvalidMessage, match="fact 'a' must be a number of at most 1000 digits"):
        checked_facts({"a": [-(10**5000)]})


def test_a_fact_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidMessage, match="fact 'a' must be plain data"):
        checked_facts({"a": endless})


def test_a_path_is_found_through_links_on_either_side(tmp_path: Path) -> None:
    real, link = tmp_path / "disk", tmp_path / "runs"
    (real / "0001/attempt-1").mkdir(parents=True)
    link.symlink_to(real)
    for one, other in [(real, link), (link, real), (link, link)]:
        path = one / "0001/attempt-1/a.pt"
        assert checked_path("checkpoint", path, other / "0001") == Path("attempt-1/a.pt")


@pytest.mark.parametrize(
    "path",
    ["output/a.pt", "/etc/passwd", "{trial}", "{trial}/attempt-1", "{trial}/../0002/attempt-1/a"]
    + [
        "{trial}/attempt-1/../../../x",
        "{trial}/attempt-1/out/a.pt",
        "{trial}/attempt-1/" + "a" * 256,
        "{trial}/attempt-1/" + "a/" * 2000,
        "a\0b",
        3,
        None,
        b"{trial}/a/b",
    ],
)
def test_a_path_elsewhere_is_refused_by_its_name(tmp_path: Path, path: Any) -> None:
    trial = tmp_path / "0001"
    (trial / "attempt-1").mkdir(parents=True)
    (trial / "attempt-1" / "out").symlink_to("/tmp")
    given = path.format(trial=trial) if isinstance(path, str) else path
    with pytest.raises(InvalidMessage, match="^checkpoint must be "):
        checked_path("checkpoint", given, trial)


@pytest.mark.parametrize("name", ["", ".", "/etc/x", "../x", "a/../../x", "a\0", 3])
def test_the_name_of_an_artifact_leads_nowhere_else(name: Any) -> None:
    with pytest.raises(InvalidMessage, match="the name of an artifact must be"):
        checked_artifact(name)


def test_reports_of_one_step_are_one() -> None:
    reported = ReportedSteps()
    assert reported.take(1, {"train/loss": 0.5}, "a.pt") == {"train/loss": 0.5}
    assert reported.take(1, {"train/loss": 0.5, "val/loss": math.nan}, None).keys() == {"val/loss"}
    assert reported.take(1, {"val/loss": math.nan}, None) == {}
    assert reported.checkpoint == "a.pt"
    with pytest.raises(InvalidMessage, match="'train/loss' must have one value at step 1, got 0.5"):
        reported.take(1, {"train/loss": 0.6}, None)
    assert reported.take(2, {"train/loss": 0.6}, None) == {"train/loss": 0.6}
    assert reported.checkpoint is None
    with pytest.raises(InvalidMessage, match="step must not go back within a run, got 1 after 2"):
        reported.take(1, {}, None)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"3", b"[]", b'{"kind": 3}', b"\xff"]
)
def test_what_is_no_message_is_no_crash(content: bytes) -> None:
    ours, theirs = Pipe()
    theirs.send_bytes(content)
    with pytest.raises(InvalidMessage, match="a message must be"):
        receive(ours)


def test_a_message_that_is_too_large_is_refused_where_it_is_sent() -> None:
    ours, _theirs = Pipe()
    with pytest.raises(InvalidMessage, match=f"must have at most {LARGEST} bytes"):
        send(ours, {"kind": "describe", "facts": {"a": "x" * LARGEST}})
