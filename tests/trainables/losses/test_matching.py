"""Matching: the cheapest pairs, of costs that are means of Huber functions."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch.nn import functional

from trainables.losses import matching
from trainables.losses.matching import assign, huber_cost, match_views, matched_huber


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (6, 3), (3, 6)])
@pytest.mark.parametrize("maximize", [False, True])
def test_no_other_pairs_cost_less(rows: int, columns: int, maximize: bool) -> None:
    costs = torch.randn(5, rows, columns, generator=torch.Generator().manual_seed(0))
    sign = -1 if maximize else 1
    found_rows, found_columns = assign(costs, maximize=maximize)
    for cost, r, c in zip(costs * sign, found_rows, found_columns, strict=True):
        if rows >= columns:
            ways = (cost[list(one), range(columns)] for one in permutations(range(rows), columns))
        else:
            ways = (cost[range(rows), list(one)] for one in permutations(range(columns), rows))
        assert float(cost[r, c].sum()) == pytest.approx(min(float(way.sum()) for way in ways))


def test_surplus_slots_stay_alone_and_rows_rise() -> None:
    costs = torch.tensor([[[5.0, 9.0], [1.0, 9.0], [9.0, 2.0]]])
    rows, columns = assign(costs)
    assert (rows.tolist(), columns.tolist()) == ([[1, 2]], [[0, 1]])
    assert rows.dtype == torch.int64


def test_costs_that_are_not_numbers_leave_the_loss_to_say_so() -> None:
    rows, columns = assign(torch.full((1, 2, 2), torch.nan))
    assert sorted(rows[0].tolist()) == sorted(columns[0].tolist()) == [0, 1]


@pytest.mark.parametrize("delta", [1.0, 0.3])
def test_the_cost_is_the_huber_function_of_all_pairs(delta: float) -> None:
    predictions = torch.randn(2, 3, 19, generator=torch.Generator().manual_seed(0)) * 2
    targets = torch.randn(2, 4, 19, generator=torch.Generator().manual_seed(1))
    cost = huber_cost(predictions, targets, delta)
    for b, k, o in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(4)).tolist():
        pair = functional.huber_loss(predictions[b, k], targets[b, o], delta=delta)
        torch.testing.assert_close(cost[b, k, o], pair)


def test_the_cost_is_quadratic_up_to_delta_and_linear_beyond() -> None:
    cost = huber_cost(torch.tensor([[[0.5], [1.0], [3.0]]]), torch.zeros(1, 1, 1))
    assert cost.flatten().tolist() == [0.125, 0.5, 2.5]


@pytest.mark.parametrize(("slots", "objects"), [(4, 4), (6, 3), (3, 6)])
def test_matched_costs_are_those_of_the_assignment(slots: int, objects: int) -> None:
    predictions = torch.randn(5, slots, 19, generator=torch.Generator().manual_seed(0))
    targets = torch.randn(5, objects, 19, generator=torch.Generator().manual_seed(1))
    costs = huber_cost(predictions, targets)
    found = matched_huber(predictions, targets)
    for image, (rows, columns) in enumerate(zip(*assign(costs), strict=True)):
        torch.testing.assert_close(found.costs[image], costs[image, rows, columns])
        assert set(found.alone[image].nonzero().flatten().tolist()) == {*range(slots)} - set(
            rows.tolist()
        )


def test_gradients_flow_through_matched_pairs_as_through_all_costs() -> None:
    predictions = torch.randn(5, 6, 19, generator=torch.Generator().manual_seed(0)) * 2
    targets = torch.randn(5, 4, 19, generator=torch.Generator().manual_seed(1))
    mine, plain = predictions.clone().requires_grad_(), predictions.clone().requires_grad_()
    matched_huber(mine, targets).costs.sum().backward()
    costs = huber_cost(plain, targets)
    rows, columns = assign(costs)
    costs[torch.arange(5)[:, None], rows, columns].sum().backward()
    torch.testing.assert_close(mine.grad, plain.grad)


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5, 6])
def test_views_are_matched_by_the_pairs_of_the_largest_cosines_together(slots: int) -> None:
    generator = torch.Generator().manual_seed(slots)
    first, second = (torch.randn(4, slots, 3, generator=generator) for _ in range(2))
    partners = match_views(first, second)
    cosines = functional.cosine_similarity(first[:, :, None], second[:, None], dim=-1)
    for b in range(4):
        found = sum(float(cosines[b, s, partners[b, 0, s]]) for s in range(slots))
        ways = permutations(range(slots))
        best = max(sum(float(cosines[b, s, t]) for s, t in enumerate(way)) for way in ways)
        assert found == pytest.approx(best)
        assert partners[b, 1, partners[b, 0]].tolist() == list(range(slots)), "its own inverse"


def test_the_nearest_may_be_that_of_several() -> None:
    first = torch.tensor([[[1.0, 0.0], [1.0, 0.1]]])
    second = torch.tensor([[[1.0, 0.02], [-1.0, 0.0]]])
    assert match_views(first, second, one_to_one=False).tolist() == [[[0, 0], [0, 1]]]
    assert match_views(first, second).tolist() == [[[0, 1], [0, 1]]]


def counted(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Costs with every possible number of real columns; the others are by far the cheapest."""
    counts = torch.arange(columns + 1)
    generator = torch.Generator().manual_seed(rows)
    costs = torch.randn(columns + 1, rows, columns, generator=generator)
    return costs.where(torch.arange(columns) < counts[:, None, None], -1e9), counts


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (5, 3), (3, 5)])
def test_only_real_columns_are_matched_and_cost_least(rows: int, columns: int) -> None:
    costs, counts = counted(rows, columns)
    found = assign(costs, counts=counts)
    for b, count in enumerate(counts.tolist()):
        one, other = found.rows[b][found.matched[b]], found.columns[b][found.matched[b]]
        size = min(rows, count)
        assert len(one) == size and bool((other < count).all())
        total = float(costs[b, one, other].sum())
        ways = (
            float(costs[b, list(r), list(c)].sum())
            for r in permutations(range(rows), size)
            for c in permutations(range(count), size)
        )
        assert total == pytest.approx(min(ways))


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (5, 3), (3, 5)])
def test_no_row_and_no_column_comes_twice_in_an_image(rows: int, columns: int) -> None:
    costs, counts = counted(rows, columns)
    found = assign(costs, counts=counts)
    size = min(rows, columns)
    for places in (found.rows, found.columns):
        assert all(len(set(image)) == size for image in places.tolist())
    assert found.matched.sum(1).tolist() == counts.clamp(max=rows).tolist()


@pytest.mark.parametrize("maximize", [False, True])
def test_full_counts_change_nothing(maximize: bool) -> None:
    costs = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0))
    found = assign(costs, maximize=maximize, counts=torch.full((6,), 4))
    rows, columns = assign(costs, maximize=maximize)
    assert found.matched.all() and torch.equal(found.rows, rows)
    assert torch.equal(found.columns, columns)


def test_threads_find_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = torch.randn(20, 9, 7, generator=torch.Generator().manual_seed(0))
    counts = torch.arange(20) % 8
    alone = assign(costs, counts=counts)
    before = torch.get_num_threads()
    monkeypatch.setattr(matching, "_WORTH_THREADS", 0)
    torch.set_num_threads(2)
    try:
        threaded = assign(costs, counts=counts)
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, alone, threaded))


@pytest.mark.parametrize("cost", [torch.nan, torch.inf, -torch.inf])
def test_counted_costs_that_are_not_finite_are_matched_somehow(cost: float) -> None:
    found = assign(torch.full((1, 3, 2), cost), counts=torch.tensor([2]))
    assert sorted(found.columns[0].tolist()) == [0, 1]


def test_counts_of_another_number_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"counts must be one an image, \[2\], got \[3\]"):
        assign(torch.zeros(2, 3, 3), counts=torch.zeros(3, dtype=torch.long))


@pytest.mark.parametrize("count", [-1, 4])
def test_counts_beyond_the_columns_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=rf"counts must be in 0…3, got \[3, {count}\]"):
        assign(torch.zeros(2, 3, 3), counts=torch.tensor([3, count]))
