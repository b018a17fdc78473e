"""The centre of targets: its recurrence, micro-batches and ranks, and what a checkpoint has."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.groups import together
from trainables.core import distributed
from trainables.layers.centre import Centre


def logits(step: int) -> Tensor:
    """Of a global batch of a step: two views of 8 images, K = 5."""
    return torch.randn(8, 2, 5, generator=torch.Generator().manual_seed(step)).double() + 3


def test_it_is_that_of_the_official_code() -> None:
    """facebookresearch/dino, `DINOLoss.update_center` in float64, its logits 2·sin(n²)."""
    centre = Centre(5).double()
    centre.value.copy_(torch.linspace(-0.5, 0.5, 5))
    centre.collect(2 * torch.sin(torch.arange(1, 31).double().square()).view(2, 3, 5))
    centre.update()
    official = [-0.44187881698185305, -0.28782193261320665, 0.009247202592566527]
    official += [0.17845347853432508, 0.4084695972801534]
    torch.testing.assert_close(
        centre.value, torch.tensor(official, dtype=torch.float64), rtol=1e-12, atol=0
    )


def test_a_constant_offset_of_each_output_is_absorbed_by_a_tenth_a_step() -> None:
    offset, centre = torch.tensor([3.0, -1.0, 0.5]).double(), Centre(3).double()
    for step in range(1, 31):
        centre.collect(offset.expand(4, 2, 3))
        centre.update()
        torch.testing.assert_close(offset - centre.value, 0.9**step * offset, rtol=1e-9, atol=1e-12)


def test_it_has_one_number_for_each_output() -> None:
    """A published fault was the mean of all outputs, one number, which a softmax ignores."""
    centre = Centre(3, 0.0)
    centre.collect(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.5]]))
    centre.update()
    assert centre.value.tolist() == [2.0, 2.0, 2.25]


def test_two_micro_batches_are_one_and_move_it_once() -> None:
    whole, parts = Centre(5).double(), Centre(5).double()
    for step in range(3):
        whole.collect(logits(step))
        before = parts.value.clone()
        for part in logits(step).chunk(2):
            parts.collect(part)
            assert torch.equal(parts.value, before)
        whole.update()
        parts.update()
    torch.testing.assert_close(parts.value, whole.value, rtol=1e-12, atol=0)


def test_nothing_is_collected_twice_and_nothing_moves_without_logits() -> None:
    centre = Centre(5).double()
    centre.collect(logits(0))
    centre.update()
    moved = centre.value.clone()
    centre.update()
    assert torch.equal(centre.value, moved)
    assert not any(one.any() for name, one in centre.named_buffers() if name != "value")


def test_a_checkpoint_has_the_centre_alone() -> None:
    centre = Centre(5, 0.5)
    centre.collect(torch.ones(2, 5))
    centre.update()
    assert list(centre.state_dict()) == ["value"]
    other = Centre(5)
    other.load_state_dict(centre.state_dict())
    assert other.value.tolist() == [0.5] * 5


@pytest.mark.parametrize("momentum", [-0.1, 1.1])
def test_a_momentum_out_of_range_is_refused_with_a_sentence(momentum: float) -> None:
    with pytest.raises(ValueError, match=rf"momentum must be in 0…1, got {momentum:g}"):
        Centre(5, momentum)


@pytest.mark.parametrize(("momentum", "value"), [(0.0, 1.0), (1.0, 0.0)])
def test_momenta_at_both_ends_of_the_range(momentum: float, value: float) -> None:
    centre = Centre(2, momentum)
    centre.collect(torch.ones(3, 2))
    centre.update()
    assert centre.value.tolist() == [value, value]


def centred(folder: Path, parts: int = 2) -> dict[str, Any]:
    """The centre behind three steps of a global batch, of which each rank collects its share."""
    centre = Centre(5).double()
    for step in range(3):
        for part in distributed.places(8, parts).chunk(parts):
            centre.collect(logits(step)[part])
        centre.update()
    return {"value": centre.value}


@pytest.mark.slow
def test_two_ranks_are_one(tmp_path: Path) -> None:
    one = centred(tmp_path)["value"]
    first, second = together(2, tmp_path / "two", partial(centred))
    torch.testing.assert_close(first["value"], one, rtol=1e-12, atol=0)
    assert torch.equal(first["value"], second["value"])
