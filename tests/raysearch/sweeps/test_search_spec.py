"""The specification of a search comes back as it was written, and says what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from raysearch.sweeps.search_spec import (
    FORMAT,
    UNKNOWN,
    CodeState,
    EvaluatedTrial,
    EvaluatedTrials,
    GitState,
    KnownTrial,
    KnownTrials,
    MetricSpec,
    SearchSpec,
)

TRAINED = EvaluatedTrial("a", 3, {"x": [1]}, {"x": 1}, {"x": {"type": "int"}}, "/a.pt", 5, "00")
FULL = replace(
    UNKNOWN,
    search="one",
    metrics=(MetricSpec("loss", "minimize", "mean(3)"), MetricSpec("score", "maximize")),
    trials=7,
    fixed={"optimizer.lr": 0.1, "sizes": [1, 2]},
    warnings=("too short",),
    evaluates=EvaluatedTrials("a", (TRAINED, replace(TRAINED, bytes=None))),
    known=KnownTrials((KnownTrial({"x": 1}, (0.5, 1)),), "past.csv"),
    request={"space": "own:toy", "time": None},
    git=GitState("c" * 40, "main", True),
    code=CodeState("0" * 32, "1" * 32, "2" * 32),
)


@pytest.mark.parametrize("spec", [UNKNOWN, FULL])
def test_it_comes_back_from_json_as_it_was(spec: SearchSpec) -> None:
    body = json.loads(json.dumps(spec.to_body()))
    assert SearchSpec.from_body(body) == spec == SearchSpec.from_body(spec.to_body())
    assert body["format"] == FORMAT and set(body) == {"format", *(f.name for f in fields(spec))}


def test_it_cannot_be_changed_nor_given_a_new_field() -> None:
    anything: Any = FULL
    with pytest.raises(FrozenInstanceError):
        anything.sampler = "grid"
    assert not hasattr(anything, "__dict__")


@pytest.mark.parametrize("name", [each.name for each in fields(SearchSpec)])
def test_a_field_that_is_missing_is_named(name: str) -> None:
    body = FULL.to_body()
    del body[name]
    with pytest.raises(ValueError, match=f"^it lacks {name}$"):
        SearchSpec.from_body(body)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"seed": True}, "seed must be a whole number, got True"),
        ({"sampler": None}, "sampler must be a text, got None"),
        ({"trials": "7"}, "trials must be a whole number, got 7"),
        ({"cpus": "1"}, "cpus must be a number, got 1"),
        ({"fidelity": "steps"}, "fidelity must be one of epochs, samples, evaluations, got steps"),
        ({"tags": []}, r"tags must be a mapping, got \[\]"),
        ({"warnings": "a"}, "warnings must be a list, got a"),
        ({"warnings": ["a", 1]}, r"warnings\[1\] must be a text, got 1"),
        ({"packages": {"ray": 2}}, "packages.ray must be a text, got 2"),
        ({"metrics": [{"name": "a"}]}, r"it lacks metrics\[0\].direction"),
        ({"git": {"dirty": "no"}}, "git.dirty must be true or false, got no"),
        ({"code": "0"}, "code must be a mapping, got 0"),
        ({"evaluates": {"search": "a", "trials": [{}]}}, r"it lacks evaluates.trials\[0\].search"),
    ],
)
def test_a_field_of_another_type_is_named_with_its_value(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        SearchSpec.from_body({**FULL.to_body(), **changes})


def test_a_whole_number_is_a_number_and_null_is_none() -> None:
    found = SearchSpec.from_body({**FULL.to_body(), "cpus": 1, "time": 60, "trials": None})
    assert (found.cpus, found.time, found.trials) == (1, 60, None)


def test_what_follows_from_its_fields() -> None:
    assert [metric.sign for metric in FULL.metrics] == [1.0, -1.0]
    assert FULL.metric.name == "loss" and not FULL.metric.is_maximized
    assert replace(FULL, sampler="grid:shuffle=1").is_grid and not FULL.is_grid
    where = {"search": "a", "trial": 3, "checkpoint": "/a.pt"}
    assert TRAINED.link() == {**where, "bytes": 5, "sha256": "00"}
    assert replace(TRAINED, bytes=None, sha256=None).link() == where
