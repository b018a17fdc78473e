"""Colours: one for each label, and slots look like what they show."""

from __future__ import annotations

import torch

from trainables.figures.palette import PALETTE, alike, color, paint


def test_labels_of_any_size_have_a_colour_and_the_first_21_differ() -> None:
    assert len(set(PALETTE)) == 21
    assert len(paint(torch.arange(21)).unique(dim=0)) == 21
    assert color(21) == PALETTE[1]
    assert color(40) == PALETTE[20]


def test_slots_have_the_labels_of_the_entities_that_they_show() -> None:
    true = torch.tensor([[[0, 0, 0, 1, 2, 2]]])
    found = torch.tensor([3, 0, 4])[true]
    assert alike(found, true, 5).tolist() == [[1, 3, 4, 0, 2]]


def test_without_truth_the_largest_slot_is_the_background() -> None:
    found = torch.tensor([[[3, 3, 3, 0, 4, 4]]])
    assert alike(found, None, 5).tolist() == [[1, 2, 3, 0, 4]]


def test_no_two_slots_share_a_label_when_there_are_more_entities() -> None:
    true = torch.arange(6).repeat(1, 4, 1)
    labels = alike(true // 3, true, 4)
    assert labels[0].unique().numel() == 4


def test_a_free_slot_has_no_label_that_an_object_has_in_another_image() -> None:
    true = torch.tensor([[[0, 0, 1, 1]], [[0, 0, 2, 2]]])
    found = torch.tensor([[[0, 0, 2, 2]], [[0, 0, 2, 2]]])
    assert alike(found, true, 3).tolist() == [[0, 3, 1], [0, 3, 2]]
