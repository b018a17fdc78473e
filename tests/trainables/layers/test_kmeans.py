"""K-means of many sets at once beside scikit-learn, and where it used to fail."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional

from trainables.layers.kmeans import first_centroids, kmeans


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def blobs(sets: int, clusters: int) -> Tensor:
    """Sets of 60 vectors around some centres, [B, 60, 5]."""
    centres = 3 * drawn(sets, clusters, 5, seed=1)
    return centres.repeat(1, 60 // clusters, 1) + drawn(sets, 60, 5)


@pytest.mark.parametrize("iterations", [1, 3, 20])
def test_it_is_that_of_scikit_learn_from_one_start(iterations: int) -> None:
    vectors = blobs(6, 4)
    start = first_centroids(vectors, uniform(6, 60), 4)
    found = kmeans(vectors, start, iterations=iterations)
    for b in range(6):
        options: dict[str, Any] = {"n_init": 1, "init": start[b].numpy(), "max_iter": iterations}
        peer = KMeans(4, tol=0, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            peer.fit(vectors[b].numpy())
        assert len(np.unique(np.asarray(peer.labels_))) == 4, "no cluster is empty here"
        expected = torch.from_numpy(np.asarray(peer.cluster_centers_))
        torch.testing.assert_close(found.centroids[b], expected, rtol=1e-4, atol=1e-5)


def test_clusters_far_from_the_origin_are_told_apart() -> None:
    near = torch.arange(4.0).repeat_interleave(15)[None, :, None].expand(2, -1, 3)
    vectors = near + 0.05 * drawn(2, 60, 3) + 1e4
    start = vectors[:, [0, 15, 30, 45]]
    assert torch.equal(kmeans(vectors, start).members, near[..., 0].long())


def test_an_empty_cluster_keeps_its_centroid() -> None:
    vectors = torch.tensor([[[0.0, 0.0], [0.0, 2.0]]])
    start = torch.tensor([[[0.0, 1.5], [50.0, 50.0]]])
    found = kmeans(vectors, start)
    assert found.centroids.tolist() == [[[0.0, 1.0], [50.0, 50.0]]]
    assert found.members.tolist() == [[0, 0]]


def test_directions_are_clustered_by_cosine_and_stay_numbers() -> None:
    vectors = drawn(3, 30, 4) * torch.linspace(0.1, 9, 30)[:, None]
    vectors[0, 0] = 0
    start = first_centroids(vectors, uniform(3, 30), 5)
    start[1, 0] = -vectors[1].sum(0)  # may be nobody's
    start[2, 1] = 0
    found = kmeans(vectors, start, spherical=True)
    assert torch.isfinite(found.centroids).all()
    lengths = found.centroids.norm(dim=-1)
    assert ((lengths - 1).abs() < 1e-5)[:2].all()
    unit = functional.normalize(vectors, dim=-1)
    again = kmeans(unit, found.centroids, iterations=1, spherical=True)
    assert torch.equal(again.members, (unit @ found.centroids.mT).argmax(-1))
    for b, k in [(0, 0), (1, 1), (2, 2)]:
        own = unit[b][again.members[b] == k]
        expected = functional.normalize(own.sum(0), dim=0)
        torch.testing.assert_close(again.centroids[b, k], expected)


def test_of_two_opposite_directions_none_is_the_mean() -> None:
    vectors = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
    start = torch.tensor([[[0.0, 1.0]]])
    assert kmeans(vectors, start, spherical=True).centroids.tolist() == [[[0.0, 1.0]]]


def test_the_order_of_sets_and_their_company_change_nothing() -> None:
    vectors = blobs(4, 3)
    start = first_centroids(vectors, uniform(4, 60), 3)
    whole = kmeans(vectors, start).centroids
    for b in range(4):
        alone = kmeans(vectors[b : b + 1], start[b : b + 1]).centroids[0]
        torch.testing.assert_close(alone, whole[b])


def test_first_centroids_are_different_vectors_and_each_as_likely() -> None:
    vectors = torch.arange(5.0)[None, :, None].expand(4000, -1, -1)
    start = first_centroids(vectors, uniform(4000, 5), 2)[..., 0]
    assert (start[:, 0] != start[:, 1]).all()
    counts = torch.bincount(start.long().flatten(), minlength=5)
    assert ((counts - 1600).abs() < 150).all()


def test_more_clusters_than_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most the vectors \(3\), got 4"):
        first_centroids(torch.zeros(1, 3, 2), torch.zeros(1, 3), 4)
    assert first_centroids(torch.zeros(1, 3, 2), torch.zeros(1, 3), 3).shape == (1, 3, 2)


def test_no_gradient_flows() -> None:
    vectors = blobs(1, 3).requires_grad_()
    assert not kmeans(vectors, vectors[:, :3]).centroids.requires_grad
