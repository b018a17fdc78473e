"""Two runs of a trial are compared number by number."""

from __future__ import annotations

import math

import pytest

from raysearch.provenance.comparison import fact_rows, metric_rows, shortened, version_rows


def test_not_a_number_equals_itself_and_a_lost_step_differs() -> None:
    then = {1: {"a": math.nan, "b": 1.0}, 2: {"a": 1.0}}
    rows = {row.what: row for row in metric_rows(then, {1: {"a": math.nan}, 2: {"a": 1.0}})}
    assert rows["a"].is_equal and not rows["b"].is_equal
    assert rows["b"].text == "1 of 1 step, first at step 1: 1.0 then, absent now"


def test_the_smallest_difference_is_one() -> None:
    [row] = metric_rows({1: {"a": 1.0}}, {1: {"a": math.nextafter(1.0, 2.0)}})
    assert row.text.endswith("at most 2.22e-16, at step 1")


def test_nested_facts_are_compared_by_their_paths() -> None:
    rows = fact_rows({"versions": {"torch": "1"}}, {"versions": {"torch": "2"}})
    assert [(row.what, row.text, row.decides) for row in rows] == [
        ("versions.torch", "1 then, 2 now", False)
    ]


def test_equal_metrics_of_one_family_are_one_line() -> None:
    then = {1: {"val/f1": 1.0, "val/f1/0": 1.0, "val/f1/1": 2.0, "val/f1/2": 3.0}}
    rows = shortened(metric_rows(then, {1: {**then[1], "val/f1/1": 2.5}}))
    assert [row.what for row in rows] == ["val/f1", "val/f1/* (2)", "val/f1/1"]


@pytest.mark.parametrize("count", [12, 13])
def test_many_versions_are_counted_after_the_twelfth(count: int) -> None:
    rows = version_rows((f"p{n}", "1", "2") for n in range(count))
    assert len(rows) == count and (rows[-1].what == "1 more versions") == (count == 13)
