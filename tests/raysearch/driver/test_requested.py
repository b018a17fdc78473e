"""Options of a search that are of another kind than they have to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raysearch.driver.plan import make_request
from raysearch.errors import BadSetting, UnknownName


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("trials", "many", "--trials must be a whole number, got 'many'"),
        ("trials", True, "--trials must be a whole number, got True"),
        ("trials", 1.5, "--trials must be a whole number, got 1.5"),
        ("trials", 1 << 63, "--trials must be from -9.* to 9223372036854775807, got 9223.*808"),
        ("seed", 1 << 63, "--seed must be from 0 to 9223372036854775807, got 9223372036854775808"),
        ("seed", -1, "--seed must be from 0 to 9223372036854775807, got -1"),
        ("seed", 10**200, "--seed must be from 0 to 9223372036854775807, got 100.*…"),
        ("seed", None, "--seed must be a whole number, got None"),
        ("gpus", "one", "--gpus must be a number, got 'one'"),
        ("gpus", float("nan"), "--gpus must be a number, got nan"),
        ("name", 5, "--name must be a text, got 5"),
        ("name", ["x"], r"--name must be a text, got \['x'\]"),
        ("tags", ["a=b"], r"tags must be a mapping, got \['a=b'\]"),
        ("tags", {1: "b"}, r"tags must be a mapping, got \{1: 'b'\}"),
        ("time", [90], r"--time must be a positive duration .* got '\[90\]'"),
        ("time", "9" * 400, "--time must be a number, got inf"),
        ("notes", {"x": "y" * 500}, "--notes must be a text, got .{53}….{26}$"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_option(
    option: str, value: Any, rule: str
) -> None:
    with pytest.raises(BadSetting, match=rule):
        make_request("own:x", {}, **{option: value})


@pytest.mark.parametrize("overrides", [["lr=1"], "lr=1", 5, None, {1: 2}])
def test_overrides_are_a_mapping_by_text(overrides: Any) -> None:
    with pytest.raises(BadSetting, match="overrides must be a mapping, got"):
        make_request("own:x", overrides)


def test_an_option_that_is_none_is_offered_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no option 'trial'.*trials"):
        make_request("own:x", {}, trial=3)


def test_both_edges_and_numbers_of_numpy_are_taken_as_plain_numbers() -> None:
    request = make_request("own:x", {"lr": 1}, trials=np.int64(3), gpus=np.float32(0.5), seed=0)
    assert (request.trials, request.gpus, request.seed) == (3, 0.5, 0)
    assert type(request.trials) is int and type(request.gpus) is float
    assert make_request("own:x", {}, seed=(1 << 63) - 1).seed == (1 << 63) - 1
    assert make_request("own:x", {}, gpus=1).gpus == 1
