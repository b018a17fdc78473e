"""The queue of keys: by a list, over micro-batches and ranks, and what is in a checkpoint."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.trainables.groups import together
from trainables.core import distributed
from trainables.layers.queue import Queue

OFFSETS = torch.tensor([0.0, 0.25, 0.5])


def keys(step: int, number: int = 4) -> Tensor:
    """Keys [N, 3] of a step, whose first values are all different whole numbers."""
    return (torch.arange(number) + 100 * step)[:, None] + OFFSETS


def entered(queue: Queue, *batches: Tensor) -> None:
    """A step of so many micro-batches."""
    for batch in batches:
        queue.collect(batch)
    queue.update()


def held(queue: Queue) -> list[int]:
    """The first values of the keys in the queue in order; the others must belong to them."""
    found = queue.keys[queue.valid]
    assert torch.equal(found, found[:, :1] + OFFSETS)
    return sorted(int(one) for one in found[:, 0])


@pytest.mark.parametrize("number", [1, 3, 4, 5, 7, 10, 12, 23])
def test_it_has_the_last_keys_as_a_list_would(number: int) -> None:
    """Also of batches that do not divide the queue, and of those that are larger."""
    queue, all_of_them = Queue(10, 3), list[int]()
    for step in range(6):
        batch = keys(step, number)
        entered(queue, batch)
        all_of_them += batch[:, 0].int().tolist()
        assert held(queue) == sorted(all_of_them[-10:])
        assert int(queue.valid.sum()) == min(10, len(all_of_them))


def test_places_are_taken_in_turn() -> None:
    queue = Queue(6, 3)
    entered(queue, keys(0))
    assert queue.keys[:, 0].tolist() == [0, 1, 2, 3, 0, 0]
    assert queue.valid.tolist() == [True] * 4 + [False] * 2
    entered(queue, keys(1))
    assert queue.keys[:, 0].tolist() == [102, 103, 2, 3, 100, 101]


@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_are_one_batch_and_see_one_queue(parts: int) -> None:
    whole, split = Queue(10, 3), Queue(10, 3)
    for step in range(4):
        batch = keys(step, 8)
        entered(whole, batch)
        before = split.keys.clone()
        for part in batch.chunk(parts):
            split.collect(part)
            assert torch.equal(split.keys, before)
        split.update()
    assert all(torch.equal(one, split.state_dict()[n]) for n, one in whole.state_dict().items())


def test_it_goes_on_from_a_checkpoint_as_it_was() -> None:
    queue, other = Queue(10, 3), Queue(10, 3)
    entered(queue, keys(0))
    other.load_state_dict(queue.state_dict())
    assert sorted(queue.state_dict()) == ["_entered", "keys", "valid"]
    for one in (queue, other):
        entered(one, keys(1, 8))
    assert all(torch.equal(one, other.state_dict()[n]) for n, one in queue.state_dict().items())


def test_what_puts_buffers_back_undoes_what_was_collected() -> None:
    """As the second gradient of a step with SAM does."""
    queue = Queue(10, 3)
    queue.collect(keys(0))
    kept = [(one, one.clone()) for one in queue.buffers()]
    queue.collect(keys(0))
    for buffer, value in kept:
        buffer.copy_(value)
    queue.update()
    assert held(queue) == [0, 1, 2, 3]


def test_without_keys_nothing_moves_and_no_gradient_stays() -> None:
    queue = Queue(4, 3)
    queue.update()
    assert not queue.valid.any()
    entered(queue, keys(0).requires_grad_())
    assert not queue.keys.requires_grad
    queue.update()
    assert held(queue) == [0, 1, 2, 3]


@pytest.mark.parametrize("number", [3, 8, 23])
def test_labels_stay_with_their_keys(number: int) -> None:
    queue = Queue(10, 3, has_labels=True)
    for step in range(4):
        rows = keys(step, number)
        for part in rows.split(4):
            queue.collect(part, part[:, 0].long())
        queue.update()
        assert torch.equal(queue.labels[queue.valid], queue.keys[queue.valid][:, 0].long())
    assert sorted(queue.state_dict()) == ["_entered", "keys", "labels", "valid"]


def test_keys_have_labels_or_none() -> None:
    with pytest.raises(ValueError, match="labels must be given for a queue that has them"):
        Queue(4, 3, has_labels=True).collect(keys(0))
    with pytest.raises(ValueError, match="labels must be left out for a queue that has none"):
        Queue(4, 3).collect(keys(0), torch.arange(4))


def test_a_queue_without_places_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        Queue(0, 3)


def queued(folder: Path) -> dict[str, Any]:
    """Three steps of a global batch in two micro-batches, of which each rank has its share."""
    module = nn.ModuleDict({"queue": Queue(20, 3, has_labels=True), "norm": nn.BatchNorm1d(1)})
    queue, norm = module["queue"], module["norm"]
    assert isinstance(queue, Queue) and isinstance(norm, nn.BatchNorm1d)
    for step in range(3):
        rows = keys(step, 8)
        for part in distributed.places(8, 2).chunk(2):
            queue.collect(rows[part], rows[part][:, 0].long())
            distributed.synchronize_buffers(module)
        queue.update()
    found = {name: one.clone() for name, one in queue.state_dict().items()}
    assert norm.running_mean is not None
    norm.running_mean.fill_(distributed.rank())
    queue.keys.fill_(distributed.rank())
    distributed.synchronize_buffers(module)
    return {**found, "kept": queue.keys[0, 0].item(), "agreed": norm.running_mean.item()}


@pytest.mark.slow
def test_two_ranks_have_the_queue_of_one_and_send_it_only_once(tmp_path: Path) -> None:
    one = queued(tmp_path)
    two = together(2, tmp_path / "two", partial(queued))
    for name in ("keys", "labels", "valid", "_entered"):
        assert all(torch.equal(rank[name], one[name]) for rank in two)
    assert [rank["kept"] for rank in two] == [0, 1]
    assert [rank["agreed"] for rank in two] == [0.5, 0.5]
