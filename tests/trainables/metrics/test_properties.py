"""Questions on objects beside a loop over objects."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trainables.metrics.properties import (
    CLEVR_VALUES,
    combinations,
    counts,
    property_targets,
    questions,
)


def scenes(images: int = 40, entities: int = 11) -> tuple[dict[str, Tensor], Tensor]:
    """Codes of a background (0), of objects (from 1) and of places that are empty (0)."""
    random = torch.Generator().manual_seed(0)
    codes = {
        name: torch.randint(1, values + 1, (images, entities), generator=random).byte()
        for name, values in CLEVR_VALUES.items()
    }
    there = torch.arange(entities) <= torch.randint(0, entities, (images, 1), generator=random)
    for code in codes.values():
        code[:, 0], code[~there] = 0, 0
    hidden = torch.rand(images, entities, generator=random) < 0.1
    return codes, there & ~hidden


def test_questions_are_those_of_a_loop_over_objects() -> None:
    codes, visible = scenes()
    expected = torch.zeros(40, 96, dtype=torch.bool)
    for image in range(40):
        for entity in range(1, 11):
            if visible[image, entity]:
                size, color, material, shape = (
                    int(codes[name][image, entity]) - 1 for name in CLEVR_VALUES
                )
                expected[image, ((size * 8 + color) * 2 + material) * 3 + shape] = True
    found = questions(**codes, visible=visible)
    assert torch.equal(found, expected)
    assert 0.03 < float(found.double().mean()) < 0.08


def test_a_background_that_is_said_to_be_something_is_no_object() -> None:
    codes, visible = scenes()
    found = questions(**codes, visible=visible)
    for code in codes.values():
        code[:, 0] = 1
    assert torch.equal(questions(**codes, visible=visible), found)


def test_values_are_those_of_a_loop_over_objects_for_each_property() -> None:
    codes, visible = scenes()
    found = property_targets(codes, visible, CLEVR_VALUES)
    for name, values in CLEVR_VALUES.items():
        for image in range(40):
            seen = set(codes[name][image, 1:][visible[image, 1:]].tolist())
            assert found[name][image].tolist() == [code in seen for code in range(1, values + 1)]


def test_codes_may_start_at_0_and_there_may_be_several_backgrounds() -> None:
    code, visible = torch.tensor([[0, 1, 2, 0]]), torch.tensor([[True, True, True, True]])
    for background, expected in ((0, [1, 1, 1]), (1, [1, 1, 1]), (2, [1, 0, 1]), (3, [1, 0, 0])):
        found = combinations(
            {"shape": code}, visible, {"shape": 3}, num_background=background, first_code=0
        )
        assert found.long().tolist() == [expected]


def test_objects_are_counted_up_to_a_maximum() -> None:
    _, visible = scenes()
    plain = [sum(row[1:]) for row in visible.tolist()]
    assert counts(visible, 10).tolist() == plain
    assert counts(visible, 4).tolist() == [min(4, number) for number in plain]
    assert counts(visible, 11, num_background=0).tolist() == visible.sum(1).tolist()


def test_a_code_that_is_too_large_is_refused_where_there_is_an_object() -> None:
    codes, visible = scenes()
    codes["color"][3, 1], visible[3, 1] = 9, True
    with pytest.raises(ValueError, match="color must have codes up to 8, got 9"):
        questions(**codes, visible=visible)
    visible[3, 1] = False
    assert questions(**codes, visible=visible).shape == (40, 96)
