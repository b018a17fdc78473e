"""Neighbours by a product of matrices, a probe of kept features: each beside what takes longer.

Neighbours of 10,000 queries among 50,000 features, 192 wide, of ten classes: ours, and those of
scikit-learn's ball tree for so many of the queries, whose time is multiplied. Both say the same of
these. A probe of 100 epochs on a vision transformer (ViT-tiny, patch 4, 32 pixels): features that
are computed once, and features that are computed in each epoch, whose time is that of one pass, 100
times. Processor seconds of one thread. Run by

    python -m benchmarks.neighbours
    python -m benchmarks.neighbours --bank 5000 --queries 1000 --images 256
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torch.nn import functional

from trainables.layers.vit import ViT
from trainables.metrics.knn import class_votes
from trainables.metrics.probe import fit_classifier

WIDTH, CLASSES, NEIGHBORS, EPOCHS, BATCH = 192, 10, 20, 100, 256
TRIED = 200
"""Queries that the ball tree answers."""

Found = TypeVar("Found")


def neighbours(bank: int, queries: int) -> float:
    """How many times faster ours is; prints both.

    Raises:
        ValueError: they do not say the same.
    """
    draws = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (bank + queries,), generator=draws)
    means = torch.randn(CLASSES, WIDTH, generator=draws)
    noise = 2.5 * torch.randn(bank + queries, WIDTH, generator=draws)
    features = functional.normalize(means[labels] + noise)
    known, asked = features[:bank], features[bank:]
    given = {"neighbors": NEIGHBORS, "num_classes": CLASSES, "temperature": None}
    votes, own = timed(lambda: class_votes(known, labels[:bank], asked, **given))  # pyright: ignore[reportArgumentType]
    tree = KNeighborsClassifier(NEIGHBORS, algorithm="ball_tree", n_jobs=1)
    _, fitted = timed(lambda: tree.fit(known.numpy(), labels[:bank].numpy()))
    tried = min(TRIED, queries)
    shares, answered = timed(lambda: tree.predict_proba(asked[:tried].numpy()))
    if not torch.allclose(votes[:tried].double(), torch.from_numpy(shares), atol=1e-6):
        raise ValueError("neighbours must be those of scikit-learn")
    other = fitted + answered * queries / tried
    return line(f"neighbours, {queries:,} among {bank:,}", other, own)


def probe(images: int) -> float:
    """The same of a probe."""
    torch.manual_seed(0)
    network = ViT(
        image_size=32, channels=3, patch_size=4, width=WIDTH, layers=12, heads=3, classes=0
    ).eval()
    pictures, labels = torch.rand(images, 3, 32, 32), torch.randint(CLASSES, (images,))

    @torch.inference_mode()
    def features() -> Tensor:
        return torch.cat([network.embed(part) for part in pictures.split(BATCH)])

    seen, once = timed(features)
    steps = EPOCHS * max(1, images // BATCH)
    draw = torch.Generator().manual_seed(0)
    _, fitted = timed(
        lambda: fit_classifier(seen.clone(), labels, CLASSES, generator=draw, steps=steps)
    )
    return line(
        f"probe of {EPOCHS} epochs, {images:,} pictures", EPOCHS * once + fitted, once + fitted
    )


def timed(work: Callable[[], Found]) -> tuple[Found, float]:
    """What it gives, and its processor seconds."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def line(name: str, other: float, own: float) -> float:
    """Prints a line; returns how many times faster ours is."""
    print(f"{name:<44}{other:>12.2f}{own:>10.2f}{other / own:>9.1f}", flush=True)
    return other / own


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.neighbours",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bank", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=2_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':<44}{'other, CPU-s':>12}{'ours':>10}{'times':>9}")
    neighbours(given.bank, given.queries)
    probe(given.images)
