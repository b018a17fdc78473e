"""Shares of answers that stay right, and the same."""

from __future__ import annotations

import pytest
import torch

from trainables.metrics.steadiness import among_neighbours, under_change


def test_answers_stay_right_and_the_same_by_count() -> None:
    before, after = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 0])
    assert under_change(before, after, torch.tensor([0, 0, 1, 2])) == (0.5, 0.5)


def test_the_worst_frame_around_an_image_counts() -> None:
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (40,), generator=draw)
    answers = torch.where(torch.rand(40, generator=draw) < 0.7, labels, (labels + 1) % 3)
    anchors = torch.randint(0, 40, (90,), generator=draw)
    neighbours = torch.randint(0, 40, (90,), generator=draw)
    rights, sames = list[bool](), list[bool]()
    for one in sorted(set(anchors.tolist())):
        seen = [one, *neighbours[anchors == one].tolist()]
        rights.append(all(bool(answers[k] == labels[k]) for k in seen))
        sames.append(len({int(answers[k]) for k in seen}) == 1)
    found = among_neighbours(answers, labels, anchors, neighbours)
    assert found.right == pytest.approx(sum(rights) / len(rights))
    assert found.same == pytest.approx(sum(sames) / len(sames))


def test_without_neighbours_there_is_nothing_to_say() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="neighbours must be at least one, got none"):
        among_neighbours(torch.zeros(3), torch.zeros(3), none, none)
