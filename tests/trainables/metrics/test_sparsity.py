"""Sparsity of maps against closed forms, a double loop, and what was published of the protocols."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trainables.metrics.sparsity import Rows, gini, mean_over_queries, row_gini, support, zeros


def pairwise(weights: Tensor) -> float:
    """The mean difference of two weights by twice their mean."""
    differences = (weights[:, None] - weights[None]).abs().mean()
    return float(differences / (2 * weights.mean()))


def sparse(*shape: int) -> Tensor:
    draws = torch.rand(*shape, generator=torch.Generator().manual_seed(0))
    draws = draws.where(draws > 0.8, 0)
    draws[..., 0] += 0.1
    return draws / draws.sum(-1, keepdim=True)


@pytest.mark.parametrize(
    ("weights", "index"),
    [
        ([0, 0, 0, 1], 0.75),
        ([0.25] * 4, 0.0),
        ([0.1, 0.2, 0.3, 0.4], 0.25),
        ([0, 0, 0.5, 0.5], 0.5),
        ([0, 7, 7, 0], 0.5),
    ],
)
def test_the_index_of_small_maps(weights: list[float], index: float) -> None:
    assert float(gini(torch.tensor(weights))) == pytest.approx(index, abs=1e-6)


def test_the_index_is_the_mean_difference() -> None:
    maps = sparse(3, 2, 30)
    expected = torch.tensor([[pairwise(one) for one in row] for row in maps])
    assert torch.allclose(gini(maps), expected, atol=1e-6)


def test_uniform_and_exponential_draws_have_a_third_and_a_half() -> None:
    draws = torch.rand(100_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(gini(draws)) == pytest.approx(1 / 3, abs=0.01)
    assert float(gini(-draws.log())) == pytest.approx(1 / 2, abs=0.01)


def test_padding_is_as_if_it_were_not_there() -> None:
    maps = sparse(2, 3, 12)
    padding = torch.zeros(2, 1, 12, dtype=torch.bool)
    padding[0, :, 7:] = True
    assert torch.allclose(gini(maps, padding)[0], gini(maps[0, :, :7]), atol=1e-6)
    assert torch.allclose(gini(maps, padding)[1], gini(maps[1]), atol=1e-6)
    assert torch.equal(zeros(maps, [0.0], padding)[0], zeros(maps[0, :, :7]))


def test_the_index_is_never_below_the_share_of_zeros() -> None:
    maps = sparse(200, 25)
    assert (gini(maps) >= zeros(maps)[:, 0] - 1e-6).all()


def test_maps_without_keys_or_weights_have_no_index() -> None:
    assert gini(torch.zeros(3)).isnan()
    assert gini(torch.ones(3), torch.ones(3, dtype=torch.bool)).isnan()


def test_zeros_are_counted_up_to_each_threshold() -> None:
    weights = torch.tensor([0.0, 1e-7, 1e-3, 0.999])
    assert zeros(weights, [0.0, 1e-6, 1e-3]).tolist() == [0.25, 0.5, 0.75]


def test_the_support_is_all_that_is_not_zero_and_no_padding() -> None:
    maps, padding = sparse(4, 3, 30), torch.zeros(4, 1, 30, dtype=torch.bool)
    padding[1, :, 20:] = True
    expected = [[sum(one > 0 for one in row.tolist()) for row in image] for image in maps]
    expected[1] = [sum(one > 0 for one in row[:20].tolist()) for row in maps[1]]
    assert support(maps, padding).tolist() == expected
    assert support(torch.tensor([0.0, 0.0])).item() == 0
    assert support(torch.full((7,), 1 / 7)).item() == 7
    share = zeros(maps, [0.0], padding)[..., 0]
    keys = (~padding).sum(-1)
    assert torch.allclose(support(maps, padding) / keys, 1 - share)


def test_the_second_protocol_is_the_first_less_the_empty_rows() -> None:
    maps = sparse(6, 40).unflatten(1, (5, 8))
    empty = (maps.flatten(1).unflatten(1, (8, 5)).sum(-1) == 0).float().mean(1)
    expected = row_gini(maps, "rows_a") - empty * 6 / 4
    assert torch.allclose(row_gini(maps, "rows_b"), expected, atol=1e-5)


def test_the_third_protocol_has_two_formulas() -> None:
    maps = sparse(6, 40).unflatten(1, (5, 8)) + 0.01
    assert torch.equal(row_gini(maps, "rows_c"), row_gini(maps, "rows_a"))
    others = row_gini(maps, "rows_c", is_sparse=False)
    assert torch.allclose(others * 5 / 4, row_gini(maps, "rows_a"), atol=1e-6)


def test_maps_of_zeros_are_sparse_but_for_the_protocols() -> None:
    maps = torch.zeros(25, 40)
    maps[10, 10:14] = torch.tensor([0.4, 0.3, 0.2, 0.1])
    assert float(gini(maps.flatten())) > 0.99
    own = pairwise(maps[10, :25]) * 25 / 24 / 40  # the one row of forty that is not empty
    assert float(row_gini(maps, "rows_a")) == pytest.approx(own, abs=1e-6)
    assert float(row_gini(maps, "rows_b")) == pytest.approx(own - 39 / 40 * 26 / 24, abs=1e-6)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(LookupError, match="protocol must be one of rows_a, rows_b, rows_c, got 'd"):
        row_gini(torch.ones(2, 2), "d")  # pyright: ignore[reportArgumentType]


def test_only_queries_that_count_are_in_the_mean() -> None:
    values = torch.tensor([[[1.0, torch.nan, 3.0]], [[5.0, 6.0, 7.0]]])
    counts = torch.tensor([[True, True, False], [False, False, False]])
    found = mean_over_queries(values, counts)
    assert found[0].tolist() == [1.0] and found[1].isnan().all()


@pytest.mark.parametrize("share", [0.0, 0.7, 0.97])
def test_arrays_are_sorted_and_compared_as_tensors_are(share: float) -> None:
    """Maps of any sparsity, beside tensors with gradients, which no array may be made of."""
    draws = torch.rand(3, 2, 30, generator=torch.Generator().manual_seed(0))
    maps = draws.where(draws > share, 0)
    maps[0, 0] = 0
    padding = torch.arange(30) > torch.tensor([29, 20, 5])[:, None, None]
    thresholds = [0.0, float(maps[0, 0, 0]), 0.1, float(maps[1, 1].max())]
    traced = maps.clone().requires_grad_()
    found, expected = gini(maps, padding), gini(traced, padding).detach()
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    found, expected = zeros(maps, thresholds, padding), zeros(traced, thresholds, padding)
    assert torch.equal(found, expected) and found.dtype == expected.dtype


def test_the_index_is_the_same_in_mixed_precision() -> None:
    maps = sparse(4, 6, 50)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, rows = gini(maps), row_gini(maps, "rows_b")
    assert torch.equal(found, gini(maps)) and torch.equal(rows, row_gini(maps, "rows_b"))


@pytest.mark.parametrize("protocol", ["rows_a", "rows_b", "rows_c"])
def test_rows_of_one_number_are_uniform(protocol: Rows) -> None:
    maps = torch.tensor([[[0.5, 0.0, 0.5]], [[0.0, 0.0, 0.0]], [[torch.nan] * 3]])
    for is_sparse in (True, False):
        found = row_gini(maps, protocol, is_sparse=is_sparse)
        assert found[:2].tolist() == [0, 0] and found[2].isnan()
    column = row_gini(torch.tensor([[[0.2], [0.3], [0.5]]]), protocol)  # one row of three
    assert float(column) == pytest.approx(0.3, abs=1e-6)
