"""Embeddings on a plane: neighbourhoods counted one by one, and clusters that t-SNE keeps apart."""

from __future__ import annotations

import pytest
import torch
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from trainables.metrics.embedding_maps import (
    fitting_perplexity,
    principal_components,
    purity,
    tsne,
)


def clusters(number: int = 45, width: int = 6) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(number) % 3
    centres = 8 * torch.randn(3, width, generator=random)
    return centres[labels] + torch.randn(number, width, generator=random), labels


@pytest.mark.parametrize("neighbors", [1, 7, 60])
def test_purity_is_that_of_neighbours_counted_one_by_one(neighbors: int) -> None:
    points = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(40) % 3
    count = min(neighbors, 39)
    _, near = NearestNeighbors(n_neighbors=count + 1).fit(points).kneighbors(points)
    found = [float((labels[row[1:]] == labels[row[0]]).float().mean()) for row in near]
    assert purity(points, labels, neighbors) == pytest.approx(sum(found) / 40)


def test_purity_of_classes_apart_is_one_and_of_equals_that_of_chance() -> None:
    vectors, labels = clusters()
    assert purity(vectors, labels) == 1.0
    assert purity(torch.zeros(2, 2), torch.tensor([0, 1])) == 0.0
    with pytest.raises(ValueError, match="points must be at least 2 .* got 1"):
        purity(vectors[:1], labels[:1])


def test_a_map_is_that_of_scikit_learn_and_the_same_each_time() -> None:
    """Of few dimensions the components are a rotation, which changes no distance."""
    vectors, labels = clusters()
    found = tsne(vectors, perplexity=5, rate=60)
    seen = principal_components(vectors, 50)[0]
    seen = (seen / seen[:, 0].std(correction=0)).float().numpy()
    known = TSNE(
        2,
        perplexity=5,
        learning_rate=60,  # pyright: ignore[reportArgumentType]
        max_iter=1000,
        init="pca",
        random_state=123,
    ).fit_transform(seen)
    assert torch.equal(found, torch.from_numpy(known).double())
    assert torch.equal(found, tsne(vectors, perplexity=5, rate=60))
    assert purity(found, labels) == 1.0


def test_a_perplexity_too_large_for_few_points_is_a_third_of_the_others() -> None:
    assert fitting_perplexity(30, 31) == 30 and fitting_perplexity(30, 30) == 29 / 3
    assert torch.isfinite(tsne(torch.randn(5, 3), perplexity=30)).all()
    with pytest.raises(ValueError, match="vectors must be finite, and at least 4 .* got 3 that"):
        tsne(torch.ones(3, 2))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_features_changes_no_map(scale: float) -> None:
    vectors, _ = clusters(12)
    assert torch.allclose(tsne(scale * vectors.double(), perplexity=3),
                          tsne(vectors.double(), perplexity=3), atol=1e-3)  # fmt: skip


@pytest.mark.parametrize("vectors", [torch.ones(6, 3), torch.full((9, 4), 0.1)])
def test_features_that_have_collapsed_end_no_process(vectors: Tensor) -> None:
    """As they would within scikit-learn, which divides by their deviation."""
    assert torch.equal(tsne(vectors), torch.zeros(len(vectors), 2).double())


def test_what_ends_processes_is_refused() -> None:
    with pytest.raises(ValueError, match="vectors must be finite"):
        tsne(torch.full((6, 3), torch.nan))
    with pytest.raises(ValueError, match="rate must be above 0 and at most 1000, got 1001"):
        tsne(torch.randn(6, 3), rate=1001)
    assert tsne(torch.randn(5, 3), rate=1000, perplexity=2).isfinite().all()
