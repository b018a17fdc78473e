"""Queries: which have a gradient, which differ between images, what they are distributed as."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainables.layers.kmeans import first_centroids, kmeans
from trainables.layers.queries import (
    LearnedQueries,
    SampledQueries,
    kmeans_queries,
    normal_queries,
    patch_queries,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_learned_queries_are_the_same_for_all_images_and_learn_from_all() -> None:
    queries = LearnedQueries(11, 64)
    assert sum(one.numel() for one in queries.parameters()) == 704
    found = queries(3)
    assert torch.equal(found[0], found[2]) and found.shape == (3, 11, 64)
    found.sum().backward()
    assert queries.table.grad is not None and (queries.table.grad == 3).all()


def test_sampled_queries_are_the_mixture_that_they_say() -> None:
    torch.manual_seed(0)
    queries = SampledQueries(3, components=2)
    found = queries(drawn(40_000, 1, 3), uniform(40_000, 1, seed=1)).detach()[:, 0]
    mean, deviation = queries.mean.detach(), queries.log_deviation.detach().exp()
    second = (deviation.square() + mean.square()).mean(0)
    torch.testing.assert_close(found.mean(0), mean.mean(0), atol=0.05, rtol=0.02)
    torch.testing.assert_close(found.square().mean(0), second, atol=0.05, rtol=0.05)


def test_sampled_queries_choose_each_component_by_equal_shares() -> None:
    queries = SampledQueries(2, components=4)
    draws = torch.tensor([[0.0, 0.2499, 0.25, 0.5, 0.75, 0.9999]])
    found = queries(torch.zeros(1, 6, 2), draws)[0]
    assert torch.equal(found, queries.mean[[0, 0, 1, 2, 3, 3]])


def test_sampled_queries_learn_both_tables_and_take_any_number_of_slots() -> None:
    queries = SampledQueries(4)
    bound = math.sqrt(6 / 4)
    assert all(one.abs().max() <= bound for one in queries.parameters())
    for slots in (7, 24):
        noise, draws = drawn(2, slots, 4), uniform(2, slots)
        found = queries(noise, draws)
        assert found.shape == (2, slots, 4) and not torch.equal(found[0], found[1])
        assert torch.equal(found, queries(noise, draws)), "the same draws, the same queries"
    queries(drawn(2, 5, 4), uniform(2, 5)).square().sum().backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in queries.parameters())


def test_normal_queries_differ_between_images_unless_a_published_figure_is_repeated() -> None:
    noise = drawn(3, 5, 4)
    assert normal_queries(noise) is noise
    shared = normal_queries(noise, shared=True)
    assert torch.equal(shared[2], noise[0]) and torch.equal(shared[0], noise[0])


def test_patch_queries_are_patches_and_their_gradient_goes_there() -> None:
    patches = drawn(2, 6, 3).requires_grad_()
    draws = torch.tensor([[0.0, 0.99], [0.5, 0.5]])
    found = patch_queries(patches, draws)
    assert torch.equal(found, torch.stack([patches[0, [0, 5]], patches[1, [3, 3]]]))
    found.sum().backward()
    assert patches.grad is not None
    assert patches.grad.sum(-1).tolist() == [[3, 0, 0, 0, 0, 3], [0, 0, 0, 6, 0, 0]]


def test_kmeans_queries_are_the_centroids_and_repeat() -> None:
    patches, draws = drawn(3, 40, 4).requires_grad_(), uniform(3, 40)
    found = kmeans_queries(patches, draws, 5)
    start = first_centroids(patches.detach(), draws, 5)
    assert torch.equal(found, kmeans(patches, start).centroids) and not found.requires_grad
    assert torch.equal(found, kmeans_queries(patches, draws, 5))
    assert not torch.equal(found, kmeans_queries(patches, draws, 5, spherical=True))
