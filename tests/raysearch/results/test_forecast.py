"""How many trials a search will run: not more than its space has."""

from __future__ import annotations

from typing import Any

import pytest

from raysearch.results.forecast import expected_runs, total_runs
from raysearch.results.view import SearchView
from tests.raysearch.specs import make_spec


@pytest.mark.parametrize(
    ("spec", "runs"),
    [
        ({"trials": 24, "repeats": 3, "finalists": 3, "distinct": None}, 24 + 3 * 4),
        ({"trials": 24, "repeats": 3, "finalists": 3, "distinct": 1}, 1 + 3),
        ({"trials": 24, "repeats": 3, "finalists": 3, "distinct": 2}, 2 + 3 * 2),
        ({"trials": 24, "repeats": 3, "finalists": 3, "distinct": 20}, 20 + 3 * 4),
        ({"trials": 24, "repeats": 1, "finalists": 3, "distinct": 20}, 20),
        ({"trials": 5, "repeats": 1, "finalists": 3, "distinct": 20}, 5),
        ({"trials": None, "repeats": 3, "finalists": 3, "distinct": 20}, None),
        ({"trials": 24, "repeats": 3, "finalists": 3}, 24 + 3 * 4),
        ({"trials": None, "repeats": 3, "points": 6, "distinct": 6}, 18),
    ],
)
def test_a_search_runs_no_more_than_its_space_has(spec: dict[str, Any], runs: int | None) -> None:
    assert expected_runs(make_spec(**spec)) == runs


def test_a_finished_search_has_run_all_that_it_wanted() -> None:
    spec = make_spec(trials=12, repeats=2, finalists=2, distinct=None)
    assert total_runs(SearchView("one", spec)) == 12 + 2 * 3
    assert total_runs(SearchView("one", spec, state="finished")) == 0
    assert total_runs(SearchView("one", spec, state="finished", reason="its time is over")) == 18
