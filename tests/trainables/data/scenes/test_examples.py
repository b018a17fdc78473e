"""An Example is read from its bytes in any order and form; what is none is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.trainables.data.scenes import written
from trainables.data.scenes.examples import Layout, alike, parse

FEATURES: dict[str, Any] = {
    "pixels": np.arange(100, dtype=np.uint8),
    "one": np.array([7], np.uint8),
    "floats": np.array([1.5, -2.25, 3e30], np.float32),
    "whole": np.array([0, 127, 128, 2**40, -1, -(2**63)], np.int64),
    "names": [b"a name", b"", b"and a longer one" * 20],
    "three": [b"\x0a\x01\x02"],
}


def view(data: bytes) -> Any:
    return np.frombuffer(data, np.uint8)


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return found == expected
    return found.dtype == expected.dtype and np.array_equal(found, expected)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("backwards", [False, True])
def test_every_kind_of_list_is_read_in_any_order(packed: bool, backwards: bool) -> None:
    given = dict(reversed(FEATURES.items())) if backwards else FEATURES
    found = parse(view(written.example(given, packed=packed)))
    assert list(found) == list(given)
    assert all(same(found[name], values) for name, values in FEATURES.items())


def test_small_numbers_that_are_not_packed_are_read() -> None:
    numbers = np.array([3, 4, 5], np.int64)
    assert same(parse(view(written.example({"n": numbers}, packed=False)))["n"], numbers)


def test_numbers_that_are_packed_in_two_parts_are_one_list() -> None:
    part = written.field(1, np.array([1, 2], "<f4").tobytes())
    entry = written.field(1, b"x") + written.field(2, written.field(2, part + part))
    found = parse(view(written.field(1, written.field(1, entry))))
    assert found["x"].tolist() == [1, 2, 1, 2]  # pyright: ignore[reportAttributeAccessIssue]


def test_only_what_is_named_is_read() -> None:
    data = view(written.example(FEATURES))
    assert list(parse(data, {"one", "names"})) == ["one", "names"]


def test_a_list_with_one_longer_string_is_a_list_of_strings() -> None:
    strings = [b"a", b"b", b"cde", b"f"]
    assert parse(view(written.example({"s": strings})))["s"] == strings


def test_an_empty_record_has_no_features() -> None:
    assert parse(view(b"")) == {}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (written.example(FEATURES)[:-1], "a field ends outside of what holds it"),
        (b"\x0b\x01", "a field of kind 3"),
        (b"\x0a" + b"\xff" * 11, "a number of more than ten bytes"),
        (b"\x0a", "index out of bounds"),
    ],
    ids=["cut", "foreign", "endless", "empty"],
)
def test_what_is_no_example_is_said(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=f"is no tf.train.Example .*{words}"):
        parse(view(data))


def test_records_of_one_layout_are_read_together() -> None:
    scenes = [written.scene("clevr_with_masks", seed) for seed in range(5)]
    lines = np.stack([view(written.example(scene)) for scene in scenes])
    [(count, found)] = alike(lines, [])
    assert count == 5
    for name in scenes[0]:
        values = np.stack([scene[name].ravel() for scene in scenes])
        assert same(found[name], values)


def test_records_in_several_orders_are_read_in_their_own() -> None:
    scenes = [written.scene("tetrominoes", seed) for seed in range(6)]
    turned = [dict(reversed(scenes[i].items())) if i % 3 else scenes[i] for i in range(6)]
    lines = np.stack([view(written.example(scene)) for scene in turned])
    known: list[Layout] = []
    groups = list(alike(lines, known))
    assert [count for count, _ in groups] == [1, 2, 1, 2] and len(known) == 2
    x = np.concatenate([np.asarray(found["x"]) for _, found in groups])
    assert np.array_equal(x, np.stack([scene["x"] for scene in scenes]))


def test_other_strings_and_numbers_belong_to_their_record() -> None:
    given = [{"n": np.array([3, each]), "s": [b"ab", bytes([each])]} for each in (1, 1, 2)]
    lines = np.stack([view(written.example(each)) for each in given])
    groups = list(alike(lines, []))
    assert [(count, np.asarray(found["n"]).tolist()) for count, found in groups] == [
        (2, [[3, 1], [3, 1]]),
        (1, [[3, 2]]),
    ]
