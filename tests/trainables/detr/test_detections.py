"""Detections: scores without "no object", boxes in pixels."""

from __future__ import annotations

import torch

from trainables.detr.detections import detections


def test_no_object_is_never_the_class_and_scores_are_probabilities_of_all() -> None:
    logits = torch.tensor([[[0.0, 2.0, 5.0], [3.0, 1.0, -1.0]]])
    found = detections(logits, torch.full((1, 2, 4), 0.5), torch.tensor([[10, 20]]))
    assert found.classes.tolist() == [[1, 0]]
    expected = logits.softmax(-1)
    torch.testing.assert_close(found.scores, torch.stack([expected[:, 0, 1], expected[:, 1, 0]], 1))


def test_boxes_are_in_pixels_of_their_own_picture() -> None:
    boxes = torch.tensor([[[0.5, 0.5, 0.5, 1.0]], [[0.25, 0.5, 0.5, 0.2]]])
    found = detections(torch.zeros(2, 1, 3), boxes, torch.tensor([[480, 640], [100, 200]]))
    assert found.boxes[0].tolist() == [[160.0, 0.0, 480.0, 480.0]]
    torch.testing.assert_close(found.boxes[1], torch.tensor([[0.0, 40.0, 100.0, 60.0]]))


def test_half_precision_is_read_in_single() -> None:
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    boxes, sizes = torch.full((2, 3, 4), 0.5).bfloat16(), torch.tensor([[333, 501], [99, 100]])
    half, single = (
        detections(logits, boxes, sizes),
        detections(logits.float(), boxes.float(), sizes),
    )
    assert all(map(torch.equal, half, single))
